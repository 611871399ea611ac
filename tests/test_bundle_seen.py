"""Held out means held out: pictures that the learner was trained on are neither measured on nor fitted on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest

import shoebox
from shoebox.bundle import inspect
from shoebox.bundle._export import export
from shoebox.bundle._export_seen import trained_on
from shoebox.data import Dataset
from shoebox.training import _fastai  # noqa: F401  fastai whole and quietly, before anything else imports a part

from fastai.vision.all import (  # isort: skip
    CategoryBlock, DataBlock, ImageBlock, ImageDataLoaders, Learner, Resize, get_image_files, parent_label)

from tests._exported import all_asked, all_on, loaders
from tests._models import lively_learner
from tests._pictures import folders


@pytest.fixture(scope="module")
def ds(tmp_path_factory):
    return Dataset(folders(tmp_path_factory.mktemp("seen") / "data", {"red": 24, "green": 24}), valid_pct=0.4)


@pytest.fixture(scope="module")
def learn(ds):
    return lively_learner(loaders(ds, Resize(32)))


def paths(ds, side):
    return {record.path for record in ds.images if record.side == side}


def turned_round(ds, keep=lambda place: True):
    """The sides exchanged, as another split would have them."""
    return replace(all_on(ds, "valid"), images=tuple(
        replace(record, side="train" if record.side == "valid" else "valid") if keep(place) else record
        for place, record in enumerate(ds.images)))


def test_pictures_of_training_are_left_out_and_it_is_said(ds, learn, tmp_path):
    mixed = turned_round(ds, lambda place: place % 3 == 0)
    valid, learned = paths(mixed, "valid"), paths(ds, "train")
    report = export(learn, mixed, tmp_path / "model")
    manifest = inspect(tmp_path / "model")
    assert valid & learned and valid - learned
    assert report.n == manifest.metrics["n_images"] == manifest.label_sets.n == len(valid - learned)
    assert manifest.parity.side == "valid"
    sentence = f"{len(valid & learned)} of {len(valid)} pictures were left out: the learner was trained on them."
    assert report.notes["validation"] == sentence and sentence in str(report)


def test_where_all_of_them_were_learned_nothing_is_measured(ds, learn, tmp_path):
    other = all_on(ds, "valid", keep=lambda record: record.side == "train")
    report = export(learn, other, tmp_path / "model")
    manifest = inspect(tmp_path / "model")
    assert report.accuracy is manifest.novelty is manifest.label_sets is None and manifest.parity.side == "any"
    assert report.n == len(other.images)
    words = f"the learner was trained on all {len(other.images)} validation pictures"
    assert words in manifest.notes["label_sets"] and words in str(report) and words in str(manifest)
    assert words in (tmp_path / "model" / "MODEL_CARD.md").read_text("utf-8")


def test_the_data_set_s_own_split_loses_nothing(ds, learn, tmp_path):
    report = export(learn, ds, tmp_path / "model")
    assert report.n == len(paths(ds, "valid")) and "validation" not in report.notes
    assert trained_on(learn, ds) == paths(ds, "train")
    assert "no validation pictures" in export(learn, all_asked(ds), tmp_path / "model").notes["label_sets"]


def copied(ds, root):
    """The same pictures elsewhere, each with a name of its own."""
    for record in ds.images:
        target = root / record.label / record.path.replace("/", "-")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ds.file(record.path), target)
    return Dataset(root, valid_pct=0.4)


def test_a_copy_elsewhere_is_the_same_picture(ds, learn, tmp_path, monkeypatch):
    learned = {path.replace("/", "-") for path in paths(ds, "train")}
    assert {path.partition("/")[2] for path in trained_on(learn, copied(ds, tmp_path / "copy"))} == learned
    monkeypatch.chdir(ds.root.parent)
    (tmp_path / "link").symlink_to(ds.root)
    for root in (Path("data"), Path("data/../data"), tmp_path / "link"):
        assert trained_on(learn, replace(all_asked(ds), root=root)) == paths(ds, "train")


def test_a_file_that_has_gone_is_known_by_its_folder_and_name_or_its_name(ds, tmp_path):
    there = copied(ds, tmp_path / "there")
    learn, learned = lively_learner(loaders(there, Resize(32))), paths(there, "train")
    assert trained_on(learn, there) == learned
    red = next(path for path in sorted(learned) if path.startswith("red/"))
    green = red.replace("red/", "green/", 1)
    there.file(red).rename(there.file(green))
    there.scan()
    assert trained_on(learn, there) == learned - {red} | {green}, "relabelled since"
    there.root.rename(tmp_path / "later")
    later = replace(all_on(there, "valid"), root=tmp_path / "later")
    assert trained_on(learn, later) == learned - {red} | {green}, "a folder of another name"
    away = replace(later, images=tuple(replace(r, path=f"other/{n}.jpg") for n, r in enumerate(ds.images)))
    assert trained_on(learn, away) is None, "files that have gone and fit nothing say nothing"


def test_tables_of_names_are_read_and_other_items_say_nothing(ds, tmp_path):
    table = pandas.DataFrame({"name": [record.path for record in ds.images],
                              "label": [record.label for record in ds.images],
                              "later": [record.side == "valid" for record in ds.images]})
    dls = ImageDataLoaders.from_df(table, ds.root, valid_col="later", item_tfms=Resize(32), bs=8, num_workers=0)
    assert trained_on(Learner(dls, None, loss_func=len), ds) == paths(ds, "train")
    arrays = DataBlock((ImageBlock, CategoryBlock), get_items=lambda _: [np.zeros((8, 8, 3), np.uint8)] * 8,
                       get_y=lambda _: "red", item_tfms=Resize(32)).dataloaders(None, bs=4, num_workers=0)
    assert trained_on(Learner(arrays, None, loss_func=len), ds) is None


def test_the_book_s_own_split_is_read_from_its_learner(ds):
    block = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label, item_tfms=Resize(32))
    dls = block.dataloaders(ds.root, bs=8, num_workers=0)
    learned = trained_on(Learner(dls, None, loss_func=len), ds)
    assert learned == {file.relative_to(ds.root).as_posix() for file in dls.train.items}
    assert learned & paths(ds, "valid"), "else a book's learner would be no danger"
    assert shoebox.Recorder.name == "shoebox_recorder", "by which an exported learner's record is found"
