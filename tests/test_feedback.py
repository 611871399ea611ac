"""What visitors left is not trained on before somebody has looked at it."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import shoebox
from shoebox.apps import Inbox
from shoebox.data import Dataset, SourceRecord, SourceTable, undecided_feedback
from shoebox.errors import ShoeboxWarning, TrainingError
from tests._pictures import CYRILLIC, draw, folders, save

CLASSES = ("black", "grizzly", CYRILLIC)


@pytest.fixture
def ds(tmp_path: Path) -> Dataset:
    """Twelve pictures of the owner's and three that visitors call grizzlies."""
    root = folders(tmp_path / "bears", {"black": 6, "grizzly": 6})
    inbox = Inbox(tmp_path / "inbox")
    for seed in range(100, 103):
        data = save(tmp_path / "sent" / f"{seed}.jpg", draw(seed)).read_bytes()
        inbox.add(data, label=1, answer=0, probability=0.6, model="abc", classes=CLASSES)
    return shoebox.collect(root, inbox).ds


def left(ds: Dataset) -> list[str]:
    return sorted(image.path for image in ds.images if ds.sources.get(image.image_id))


def test_a_picture_counts_once_it_is_kept_or_relabelled_and_that_applied(ds: Dataset) -> None:
    first, second, third = left(ds)
    assert undecided_feedback(ds) == {first, second, third}
    ds.decide(first, "keep")
    ds.decide(second, "relabel", "black")
    ds.decide(third, "unsure")
    assert undecided_feedback(ds) == {second, third}, "it stands under the wrong label still"
    ds.apply()
    assert undecided_feedback(ds) == {third} and len(left(ds)) == 3
    ds.undo_apply()
    assert undecided_feedback(ds) == {second, third}
    ds.decide(third, "relabel", "grizzly")
    assert undecided_feedback(ds) == {second}, "what the visitor said, said again by somebody else"
    ds.decide(first, "remove")
    assert undecided_feedback(ds) == {first, second}


def test_a_decision_is_for_the_picture_and_holds_where_its_file_goes(ds: Dataset) -> None:
    first, *others = left(ds)
    ds.decide(first, "keep")
    ds.file(first).rename(ds.file("black/by-hand.jpg"))
    ds.scan()
    assert undecided_feedback(ds) == set(others)


def test_a_visitor_who_sends_a_picture_of_the_owner_s_takes_nothing_from_the_training(tmp_path: Path) -> None:
    ds = Dataset(folders(tmp_path / "bears", {"black": 3, "grizzly": 3}))
    image = ds.images[0]
    SourceTable(ds._catalog).add([SourceRecord("feedback/1", "grizzly", source="feedback", state="duplicate",
                                               path=image.path, image_id=image.image_id)])
    assert undecided_feedback(ds) == frozenset()


@pytest.mark.slow
def test_the_loaders_leave_out_what_nobody_has_decided_on_and_say_how_many(ds: Dataset) -> None:
    first, second, third = left(ds)
    ds.decide(first, "keep")
    with pytest.warns(ShoeboxWarning, match=r"^2 pictures that visitors left are not trained on.*Open the cleaner"):
        dls = shoebox.dataloaders(ds, size_px=32)
    files = {Path(file) for side in (dls.train_ds, dls.valid_ds) for file in side.items}
    assert files == {ds.file(image.path) for image in ds.images} - {ds.file(second), ds.file(third)}
    for side in (dls.train_ds, dls.valid_ds):
        for file, (_, label) in zip(side.items, side, strict=True):
            assert dls.vocab[label] == ds.record(file.relative_to(ds.root).as_posix()).label
    ds.decide_many([shoebox.data.Choice(path, "keep") for path in (second, third)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dls = shoebox.dataloaders(ds, size_px=32)
    assert len(dls.train_ds) + len(dls.valid_ds) == len(ds.images)


@pytest.mark.slow
def test_a_class_that_only_visitors_have_named_is_a_sentence(tmp_path: Path) -> None:
    root = folders(tmp_path / "bears", {"black": 6, "grizzly": 6})
    inbox = Inbox(tmp_path / "inbox")
    data = save(tmp_path / "sent.jpg", draw(100)).read_bytes()
    inbox.add(data, label=2, answer=0, probability=0.6, model="abc", classes=CLASSES)
    ds = shoebox.collect(root, inbox).ds
    with pytest.warns(ShoeboxWarning, match="1 picture"), \
            pytest.raises(TrainingError, match=f"{CYRILLIC}.*decide on those that visitors left"):
        shoebox.dataloaders(ds, size_px=32)
