"""Training on real pictures: loaders, the recorder, pretrained weights, predictions and their ranking."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import shoebox
from shoebox.data import Dataset
from shoebox.errors import ShoeboxWarning, TrainingError
from tests._pictures import AWKWARD, CYRILLIC, folders, save

pytestmark = pytest.mark.slow

CLASSES = {"red": 24, CYRILLIC: 24, AWKWARD: 24}


@pytest.fixture(scope="module")
def ds(tmp_path_factory):
    root = folders(tmp_path_factory.mktemp("training") / "pictures", CLASSES)
    (root / "red" / "picture-000.jpg").rename(root / CYRILLIC / "planted.jpg")
    return Dataset(root)


@pytest.fixture(scope="module")
def learn(ds):
    shoebox.seed_everything(1)
    dls = shoebox.dataloaders(ds, size_px=32, batch_size=16)
    learn = shoebox.vision_learner(dls, shoebox.small_cnn, pretrained=False, lin_ftrs=[], ps=0.1)
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(20, base_lr=1e-2)
    return learn


def recorder_of(learn):
    return next(cb for cb in learn.cbs if isinstance(cb, shoebox.Recorder))


def test_loaders_follow_the_catalogs_split_and_labels(ds):
    dls = shoebox.dataloaders(ds, size_px=32, augment=False)
    for side, items in (("train", dls.train_ds.items), ("valid", dls.valid_ds.items)):
        assert {path.relative_to(ds.root).as_posix() for path in items} == {r.path for r in ds.images if r.side == side}
    _image, label = dls.valid_ds[0]
    assert dls.vocab[label] == ds.record(dls.valid_ds.items[0].relative_to(ds.root).as_posix()).label
    assert list(dls.vocab) == list(ds.classes)


def test_training_sees_the_pixels_that_the_app_will_see(ds, tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "phone.jpg", Image.new("RGB", (40, 20), "red"), exif=exif)
    dls = shoebox.dataloaders(ds, size_px=32)
    seen = dls.test_dl([path]).dataset[0][0]
    assert (np.asarray(seen) == np.asarray(shoebox.open_image(path))).all() and seen.size == (20, 40)


@pytest.mark.parametrize(("classes", "sentence"), [
    ({}, "no picture"),
    ({"black": 9}, "one class only"),
    ({"black": 1}, "one class only"),
    ({"black": 2, "grizzly": 1}, "0 validation"),
])
def test_too_little_data_is_refused_in_a_sentence(tmp_path, classes, sentence):
    (tmp_path / "few").mkdir()
    few = Dataset(folders(tmp_path / "few", classes), valid_pct=0.0)
    with pytest.raises(TrainingError, match=sentence):
        shoebox.dataloaders(few)
    with pytest.raises(TrainingError, match="squish"):
        shoebox.dataloaders(Dataset(folders(tmp_path / "more", {"a": 20, "b": 20})), method="stretch")


def test_the_recorder_is_the_mean_over_epochs_of_the_right_pictures(ds, monkeypatch):
    import torch

    dls = shoebox.dataloaders(ds, size_px=32, batch_size=7, augment=False)
    learn = shoebox.vision_learner(dls, shoebox.small_cnn, pretrained=False)
    with learn.no_bar():
        learn.lr_find(num_it=20, show_plot=False)
    assert recorder_of(learn).epochs == 0, "the search for a learning rate is no training"
    seen = {}

    class Spy(type(learn.cbs[0]).__mro__[1]):  # a plain fastai Callback that keeps pixels with probabilities
        order = 71

        def after_pred(self):
            if not self.training:
                for pixels, p in zip(self.xb[0], torch.softmax(self.learn.pred, 1), strict=True):
                    seen.setdefault(pixels.numpy().tobytes(), []).append(p.detach().numpy())

    with learn.no_bar(), learn.no_logging():
        learn.fit(2, lr=1e-3, cbs=Spy())
        learn.validate()
        learn.get_preds()
    files, means, counted = recorder_of(learn).recorded(1)
    assert counted.all() and len(files) == len(dls.valid_ds)
    x, _ = dls.valid.one_batch()
    for row in range(len(x)):
        expected = np.mean(seen[x[row].numpy().tobytes()][:2], axis=0)
        assert means[row] == pytest.approx(expected, abs=1e-6)
    _, train_means, train_counted = recorder_of(learn).recorded(0)
    assert train_counted.mean() > 0.8 and train_means[train_counted].sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_planted_wrong_label_comes_first(ds, learn):
    ranking = shoebox.rank(ds, learn)
    assert len(ranking.only(kind="label")) == len(ranking.pictures()) == sum(CLASSES.values())
    assert ranking[0].path == f"{CYRILLIC}/planted.jpg" and ranking[0].suggested_label == "red"
    again = shoebox.rank(Dataset(ds.root))
    assert [i.path for i in again] == [i.path for i in ranking], "saved: a restarted notebook ranks at once"


def test_a_learner_still_knows_its_pictures_after_an_apply(ds, learn):
    """Shipped bug: relabelled pictures fell out of the ranking and of the evaluation until the next training."""
    valid = next(r for r in ds.images if r.side == "valid" and r.label == "red")
    before = {issue.image_id for issue in shoebox.rank(ds, learn)}
    ds.decide(valid.path, "relabel", CYRILLIC)
    ds.apply()
    try:
        assert {issue.image_id for issue in shoebox.rank(ds, learn)} == before
        evaluation = shoebox.evaluate(learn, ds)
        row = evaluation.predictions.image_ids.index(valid.image_id)
        assert evaluation.predictions.classes[evaluation.predictions.labels[row]] == CYRILLIC
    finally:
        ds.undo_apply()
    assert {issue.image_id for issue in shoebox.rank(ds, learn)} == before
    ds.undo_decision()


def test_evaluation_is_on_held_out_pictures_only(ds, learn):
    evaluation = shoebox.evaluate(learn, ds)
    assert set(evaluation.predictions.paths) == {r.path for r in ds.images if r.side == "valid"}
    assert set(evaluation.predictions.origins) == {"held_out"} and evaluation.accuracy > 0.7
    assert shoebox.compare(evaluation.predictions, evaluation.predictions).fixed == 0


def test_other_classes_than_the_learner_knows_are_named(ds, learn, tmp_path):
    other = Dataset(folders(tmp_path / "other", {"red": 4, "polar": 4}))
    with pytest.raises(TrainingError, match="'polar'"):
        shoebox.evaluate(learn, other)
    with pytest.raises(TrainingError, match=r"knows \[.*'red'.*has \['polar', 'red'\]"):
        shoebox.rank(other, learn)


def test_a_learner_without_recorder_ranks_with_a_warning(ds, learn):
    with learn.removed_cbs(recorder_of(learn)), pytest.warns(ShoeboxWarning, match=r"shoebox\.Recorder"):
        ranking = shoebox.rank(ds, learn)
    assert len(ranking.pictures()) == sum(CLASSES.values())
    lane, held_out = ranking.lanes[1], sum(r.side == "valid" for r in ds.images)
    assert held_out < 20 and (lane.name, lane.used) == ("held-out predictions", False)
    assert f"for {held_out} of {len(ds.images)} pictures, too few held-out ones" in lane.reason


@pytest.mark.parametrize("recorded", [True, False])
def test_a_ranking_never_sends_a_picture_through_augmentation(ds, learn, monkeypatch, recorded):
    import contextlib

    from fastai.vision import augment

    def refuse(*_):
        raise AssertionError("a picture went through a random transform")

    def only_as_it_is(pictures, mat=None, coord_tfm=None, **options):  # fastai passes validation pictures on so
        if coord_tfm is not None or (mat is not None and (mat != mat.new_tensor([[1, 0, 0], [0, 1, 0]])).any()):
            refuse()
        return moved(pictures, mat, coord_tfm, **options)

    moved = augment.TensorImage.affine_coord
    monkeypatch.setattr(augment.TensorImage, "affine_coord", only_as_it_is)
    monkeypatch.setattr(augment.TensorImage, "lighting", refuse)
    with pytest.raises(AssertionError, match="a random transform"):  # as training does
        list(learn.dls.train)
    without = contextlib.nullcontext() if recorded else learn.removed_cbs(recorder_of(learn))
    with without, warnings.catch_warnings():
        warnings.simplefilter("ignore", ShoeboxWarning)  # that a learner without a recorder has left pictures out
        assert len(shoebox.rank(ds, learn).pictures()) == sum(CLASSES.values())
        assert len(shoebox.evaluate(learn, ds).predictions) > 0


def test_mixed_pictures_are_not_recorded(ds):
    from fastai.callback.mixup import MixUp

    learn = shoebox.vision_learner(shoebox.dataloaders(ds, size_px=32), shoebox.small_cnn, pretrained=False)
    with learn.no_bar(), learn.no_logging(), pytest.warns(ShoeboxWarning, match="MixUp"):
        learn.fit(1, cbs=MixUp())
    assert not recorder_of(learn).recorded(0)[2].any() and recorder_of(learn).recorded(1)[2].all()


def test_weights_in_torchs_cache_are_really_loaded(ds, tmp_path, monkeypatch):
    import torch
    from torchvision.models import ResNet18_Weights, resnet18

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(5)
    source = resnet18()
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.save(source.state_dict(), checkpoints / ResNet18_Weights.DEFAULT.url.rsplit("/", 1)[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error", ShoeboxWarning)
        learn = shoebox.vision_learner(shoebox.dataloaders(ds, size_px=32), resnet18)
    assert torch.equal(learn.model[0][0].weight, source.conv1.weight)
    assert any(type(tfm).__name__ == "Normalize" for tfm in learn.dls.after_batch.fs)


def test_a_damaged_download_is_one_sentence_too_and_other_errors_are_not_hidden(ds, tmp_path, monkeypatch):
    from torchvision.models import ResNet18_Weights, resnet18

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / ResNet18_Weights.DEFAULT.url.rsplit("/", 1)[1]
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"half a download")
    with pytest.warns(ShoeboxWarning, match="from scratch"):
        shoebox.vision_learner(shoebox.dataloaders(ds, size_px=32), resnet18)

    def broken(**_):
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        shoebox.vision_learner(shoebox.dataloaders(ds, size_px=32), broken)


def test_without_weights_one_sentence_and_training_from_scratch(ds, tmp_path, monkeypatch):
    import urllib.error

    import torch.hub
    from torchvision.models import resnet18

    def no_network(*_, **__):
        raise urllib.error.URLError("Temporary failure in name resolution")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", no_network)
    dls = shoebox.dataloaders(ds, size_px=32)
    with pytest.warns(ShoeboxWarning, match="from scratch") as caught:
        learn = shoebox.vision_learner(dls, resnet18)
    assert len(caught) == 1 and "name resolution" in str(caught[0].message)
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(1)
    assert len(learn.opt.param_lists) == 1, "nothing is frozen, all layers learn at one rate"


def test_the_books_cells_run_as_printed(tmp_path, monkeypatch):
    """Chapter 2 of the book: relative paths, fastai's own DataBlock and learner, and the two loops."""
    import shutil

    assert callable(shoebox.vision_learner)  # loads fastai quietly
    from fastai.vision.all import (
        CategoryBlock,
        DataBlock,
        ImageBlock,
        Path,
        RandomResizedCrop,
        RandomSplitter,
        get_image_files,
        parent_label,
        vision_learner,
    )

    monkeypatch.chdir(tmp_path)
    path = Path("bears")
    folders(tmp_path / "bears", {"black": 12, "grizzly": 12, "teddy": 12})
    bears = DataBlock(blocks=(ImageBlock, CategoryBlock), get_items=get_image_files,
                      splitter=RandomSplitter(valid_pct=0.2, seed=42), get_y=parent_label,
                      item_tfms=RandomResizedCrop(32, min_scale=0.5))
    learn = vision_learner(bears.dataloaders(path, bs=8, num_workers=0), shoebox.small_cnn, pretrained=False)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    with pytest.warns(ShoeboxWarning, match=r"shoebox\.Recorder"):
        cleaner = shoebox.ImageClassifierCleaner(learn, max_n=10)
    assert len(cleaner.fns) == 36 and all(file.is_file() for file in cleaner.fns)
    removed, moved = (next(file for file in cleaner.fns if file.parent.name == name) for name in ("grizzly", "black"))
    cleaner.decide(removed.relative_to(path.resolve()).as_posix(), "remove")
    cleaner.decide(moved.relative_to(path.resolve()).as_posix(), "relabel", "teddy")
    (path / "teddy" / moved.name).unlink()  # the book's loop stops at an equal name
    for idx in cleaner.delete(): cleaner.fns[idx].unlink()  # noqa: E701
    for idx, cat in cleaner.change(): shutil.move(str(cleaner.fns[idx]), path / cat)  # noqa: E701
    assert not removed.exists() and not moved.exists() and (path / "teddy" / moved.name).is_file()
    assert not any(".shoebox" in file.parts for file in get_image_files(path))
