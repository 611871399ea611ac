"""What an export takes of its data set: credits, truncated files that were kept, pictures for the ranges of 8 bits."""

from __future__ import annotations

from pathlib import Path

import pytest

import shoebox
from shoebox.bundle import _export_int8, inspect
from shoebox.bundle._export import export
from shoebox.collect import Found, Limits
from shoebox.data import Dataset
from shoebox.training import _fastai  # noqa: F401  fastai whole and quietly, before anything else imports a part

from fastai.vision.all import Resize  # isort: skip

from tests._exported import loaders
from tests._models import lively_learner, tiny_model
from tests._pictures import draw, folders, save
from tests._web import body, jpeg, web

QUICK = Limits(starts_per_s=500, backoff_s=0.02, silence_s=5)


class Search:
    """A search engine that knows whose pictures they are."""

    name, searches = "made", True

    def __init__(self, *urls: str) -> None:
        self.urls = urls

    def search(self, query: str, n: int):
        for rank, url in enumerate(self.urls, start=1):
            yield Found(url, "https://www.page.example/x", "A bear", "CC BY 4.0", "https://licence.example/by",
                        "Анна <b>Петрова</b>", "engine", rank)


def card_of(ds: Dataset, folder: Path) -> str:
    export(lively_learner(loaders(ds, Resize(32))), ds, folder)
    return (folder / "MODEL_CARD.md").read_text("utf-8")


def test_who_took_the_pictures_stands_in_the_card(tmp_path):
    root = folders(tmp_path / "data", {"black": 7, "grizzly": 7})
    with web() as here:
        here.answers |= {f"/{n}.jpg": body(jpeg(50 + n)) for n in range(4)}
        ds = shoebox.collect(root, {"grizzly": "bear"}, source=Search(*(here.url(f"/{n}.jpg") for n in range(4))),
                             per_class=4, allow_private=True, limits=QUICK).ds
    card = card_of(ds, tmp_path / "model")
    assert card.count("by Анна \\<b\\>Петрова") == 4 and "<b>" not in card.replace("\\<b\\>", "")
    assert "[CC BY 4\\.0](<https://licence.example/by>)" in card
    assert len(ds.images) == 18 and "14 further pictures have no origin on record" in card


def test_a_card_says_when_no_origin_is_on_record(tmp_path):
    ds = Dataset(folders(tmp_path / "data", {"black": 8, "grizzly": 8}))
    assert "## Pictures\n\nNone of the 16 pictures has an origin on record" in card_of(ds, tmp_path / "model")


@pytest.fixture
def kept(tmp_path):
    """Most of what would set the ranges is cut off, and kept."""
    root = folders(tmp_path / "data", {"black": 9, "grizzly": 9})
    for number in range(40):
        file = save(root / "black" / f"cut-{number}.jpg", draw(100 + number, (320, 240)), quality=95)
        file.write_bytes(file.read_bytes()[:-3000])
    ds = Dataset(root, keep_truncated=True)
    assert sum(record.partly_there for record in ds.images) == 40
    return ds


def test_the_ranges_of_eight_bits_are_set_on_whole_training_pictures(kept, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(_export_int8, "quantised", lambda model, files, least_px: given.extend(files) or tiny_model(
        classes=2).SerializeToString())
    export(lively_learner(loaders(kept, Resize(32))), kept, tmp_path / "model", int8=True)
    assert {file.relative_to(kept.root).as_posix() for file in given} == {
        record.path for record in kept.images if record.side == "train" and not record.partly_there}


def test_a_picture_that_was_cut_off_and_kept_does_not_end_an_export_in_eight_bits(kept, tmp_path):
    export(lively_learner(loaders(kept, Resize(32))), kept, tmp_path / "model", int8=True)
    manifest = inspect(tmp_path / "model")
    assert manifest.int8 is not None or "another class" in manifest.notes["int8"]
