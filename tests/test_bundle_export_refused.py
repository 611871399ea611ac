"""What is not exported: pipelines that cannot be repeated, losses of another kind, bundles that differ."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from shoebox.bundle import _export_graph
from shoebox.bundle._export import export
from shoebox.bundle._export_parity import Reference, compare
from shoebox.bundle._records import Parity
from shoebox.errors import BundleError
from shoebox.training import _fastai  # noqa: F401  fastai whole and quietly, before anything else imports a part

from fastai.vision.all import (  # isort: skip
    BCEWithLogitsLossFlat, CategoryBlock, CrossEntropyLossFlat, CropPad, DataBlock, FocalLossFlat, ImageBlock, Learner,
    LabelSmoothingCrossEntropyFlat, Normalize, PILImage, PILImageBW, RandomResizedCrop, RandomResizedCropGPU,
    RatioResize, Resize, ResizeMethod, Transform, aug_transforms, get_image_files, parent_label)

from tests._exported import EMOJI, STATS, all_asked, loaders
from tests._models import lively_learner

pytest_plugins = ["tests._exported_fixtures"]
pytestmark = pytest.mark.slow


class Tint(Transform):
    order = 2

    def encodes(self, image: PILImage):
        return image


REFUSED = {
    "a second resampling": (Resize(64), aug_transforms(size=48), r"Flip.*size of its own"),
    "a crop on the batch": (Resize(64), [RandomResizedCropGPU(48)], "RandomResizedCropGPU"),
    "a transform of one's own": ([Resize(64), Tint()], [], "Tint"),
    "no resize": ([CropPad(64)], [], "CropPad"),
    "one side only": ([RatioResize(64), Resize(64)], [], "RatioResize"),
    "two resizes": ([Resize(80), RandomResizedCrop(64)], [], "it has Resize, RandomResizedCrop, ToTensor"),
    "nearest neighbour": (Resize(64, resamples=(Image.Resampling.NEAREST, Image.Resampling.NEAREST)), [], "resamples"),
    "a hook of one's own": (Resize(64, ResizeMethod.Squish, before_call=lambda b, split_idx: None), [], "before_call"),
    "grey statistics": (Resize(64), [Normalize(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1))], "in colour"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_pipeline_that_cannot_be_repeated_is_refused_by_name(ds, tmp_path, name):
    item, batch, sentence = REFUSED[name]
    dls = loaders(ds, item, batch)
    learn = Learner(dls, torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 3)))
    with pytest.raises(BundleError, match=sentence) as caught:
        export(learn, ds, tmp_path / "model")
    assert "rain again" in str(caught.value) or "expected" in str(caught.value) or "needs" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_second_normalisation_is_refused(ds, learn, tmp_path):
    dls = loaders(ds, Resize(64), STATS)
    dls.add_tfms([Normalize.from_stats([0, 0, 0], [1, 1, 1])], "after_batch", "valid")
    with pytest.raises(BundleError, match="Normalize 2 times"):
        export(Learner(dls, learn.model), ds, tmp_path / "model")


def test_transforms_of_training_only_may_stand_anywhere(ds, tmp_path):
    dls = loaders(ds, [Resize(64), Tint(split_idx=0)], [*aug_transforms(), *STATS])
    assert export(lively_learner(dls), ds, tmp_path / "model").same_labels > 0


def test_grey_pictures_are_refused(ds, tmp_path):
    block = DataBlock((ImageBlock(PILImageBW), CategoryBlock), get_items=get_image_files, get_y=parent_label,
                      item_tfms=Resize(32))
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(1, 3))
    with pytest.raises(BundleError, match=r"\(1, 32, 32\)"):
        export(Learner(block.dataloaders(ds.root, num_workers=0, bs=4), net), ds, tmp_path / "model")


@pytest.mark.parametrize("loss", [CrossEntropyLossFlat(), LabelSmoothingCrossEntropyFlat(), FocalLossFlat(),
                                  torch.nn.CrossEntropyLoss(), torch.nn.functional.cross_entropy], ids=str)
def test_losses_for_one_label_give_a_softmax(ds, learn, loss):
    files = [ds.file(record.path) for record in ds.images[:9]]
    probabilities = Reference(Learner(learn.dls, learn.model, loss_func=loss), files).probabilities(lambda done: None)
    expected = Reference(learn, files).probabilities(lambda done: None)
    assert probabilities.sum(axis=1) == pytest.approx(1) and (probabilities == expected).all()


@pytest.mark.parametrize("loss", [BCEWithLogitsLossFlat(), torch.nn.BCEWithLogitsLoss()], ids=str)
def test_losses_for_several_labels_are_refused(ds, learn, tmp_path, loss):
    with pytest.raises(BundleError, match="not for one label per picture"):
        export(Learner(learn.dls, learn.model, loss_func=loss), ds, tmp_path / "model")


def test_other_classes_are_refused_and_both_lists_named(ds, learn, tmp_path):
    other = replace(all_asked(ds), classes=(*ds.classes[:-1], "zebra"))
    with pytest.raises(BundleError) as caught:
        export(learn, other, tmp_path / "model")
    assert EMOJI in str(caught.value) and "zebra" in str(caught.value)


def test_too_few_outputs_are_refused(ds, learn, tmp_path):
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2))
    with pytest.raises(BundleError, match="3 classes were expected"):
        export(Learner(learn.dls, net), ds, tmp_path / "model")


class Unexportable(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 3)

    def forward(self, pictures):
        logits = self.linear(pictures.mean(dim=(2, 3)))
        return logits if float(logits.sum()) > 0 else -logits


def test_a_network_that_torch_cannot_convert_is_a_sentence(ds, learn, tmp_path):
    with pytest.raises(BundleError, match="could not turn this network into ONNX"):
        export(Learner(learn.dls, Unexportable()), ds, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_data_set_without_pictures_is_refused(ds, learn, tmp_path):
    with pytest.raises(BundleError, match="no validation or training pictures"):
        export(learn, replace(all_asked(ds), images=()), tmp_path / "model")


@pytest.mark.parametrize("harm", ["mean", "crop", "order"])
def test_a_bundle_that_differs_is_not_written_and_the_pictures_are_named(ds, learn, tmp_path, monkeypatch, harm):
    """Three wrong graphs: another mean; a pixel more than fastai takes; the colours turned round."""
    real, fastais = _export_graph._normalised, _export_graph._window

    def wrong_mean(graph, pixels, steps):
        return real(graph, pixels, replace(steps, mean=(0.0, 0.0, 0.0)))

    def never_loses_a_pixel(graph, pixels, size, kind):
        monkeypatch.setattr(graph, "whole", lambda value: graph.op("Cast", graph.op("Round", value), to=7))
        return fastais(graph, pixels, size, kind)

    def blue_first(graph, pixels, steps):
        return real(graph, graph.op("Gather", pixels, graph.ints(2, 1, 0), axis=3), steps)

    name, fault = {"mean": ("_normalised", wrong_mean), "crop": ("_window", never_loses_a_pixel),
                   "order": ("_normalised", blue_first)}[harm]
    monkeypatch.setattr(_export_graph, name, fault)
    pictures = all_asked(ds)
    with pytest.raises(BundleError, match="does not repeat its learner") as caught:
        export(learn, pictures, tmp_path / "model")
    named = [record.path for record in pictures.images if repr(record.path) in str(caught.value)]
    assert 1 <= len(named) <= 5 and "0.001 is allowed" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_comparing_names_the_worst_and_forgives_a_tie():
    paths = [f"p{i}" for i in range(8)]
    same = np.tile([0.7, 0.2, 0.1], (8, 1))
    assert compare(same, same, paths, bound=1e-3, side="valid") == Parity(8, 0.0, 1e-3, 8, "valid")
    other = same.copy()
    other[1:8, 0] -= np.arange(1, 8) / 100
    with pytest.raises(BundleError, match=r"up to 0\.07 on 7 of 8") as caught:
        compare(same, other, paths, bound=1e-3, side="valid")
    assert re.findall(r"'(p\d)'", str(caught.value)) == ["p7", "p6", "p5", "p4", "p3"]
    near, flipped = np.asarray([[0.4502, 0.4498, 0.1]]), np.asarray([[0.4498, 0.4502, 0.1]])
    assert compare(near, flipped, ["p"], bound=1e-3, side="any").same_labels == 0
    for broken in (np.nan, np.inf):
        with pytest.raises(BundleError, match="on 1 of 1"):
            compare(near, np.asarray([[broken, 0.5, 0.1]]), ["p"], bound=1e-3, side="any")
