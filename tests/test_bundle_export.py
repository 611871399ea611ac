"""The studio's half of the bundle: the exported model repeats its learner, or nothing is written."""

from __future__ import annotations

import json
import logging
import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import mistune
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image

import shoebox
from shoebox.bundle import _export_graph, _write, inspect, load_classifier
from shoebox.bundle._card import model_card, plain, wilson_interval
from shoebox.bundle._export import export
from shoebox.bundle._export_graph import preprocessing_graph
from shoebox.bundle._export_parity import Reference, compare, pick
from shoebox.bundle._export_resize import Graph, pillow_picks_the_order, resized
from shoebox.bundle._records import Parity, Preprocessing
from shoebox.bundle._write import put_bundle
from shoebox.data import Dataset
from shoebox.errors import BundleError
from shoebox.training import _fastai  # noqa: F401  fastai whole and quietly, before anything else imports a part

from fastai.vision.all import (  # isort: skip
    BCEWithLogitsLossFlat, CategoryBlock, CrossEntropyLossFlat, CropPad, DataBlock, FocalLossFlat, ImageBlock, Learner,
    LabelSmoothingCrossEntropyFlat, MixUp, Normalize, PILImage, PILImageBW, RandomResizedCrop, RandomResizedCropGPU,
    RatioResize, Resize, ResizeMethod, Transform, aug_transforms, imagenet_stats, get_image_files, parent_label)

from tests._models import edit_manifest, lively_learner, tiny_bundle
from tests._pictures import AWKWARD, COLOURS, CYRILLIC, draw, save

pytestmark = pytest.mark.slow

EMOJI = "🐻 | `x`"
NAMES = (AWKWARD, CYRILLIC, EMOJI)
# 230, 237, 244 and 251 lose a pixel when fastai crops for 224: int(230 / 224 * 224) is 229
SIZES = ((230, 300), (300, 237), (244, 244), (251, 400), (640, 480), (480, 640), (90, 400), (400, 90), (64, 64),
         (224, 224), (33, 47), (120, 361))


@dataclass(frozen=True)
class Pictures:
    """A data set as an export sees it, with sides of our choice."""

    root: Path
    images: tuple
    classes: tuple
    fingerprint: str

    def file(self, path):
        return self.root / path


def all_valid(ds, side="valid", keep=lambda record: True):
    images = tuple(replace(record, side=side) for record in ds.images if keep(record))
    return Pictures(ds.root, images, ds.classes, ds.fingerprint)


@pytest.fixture(scope="module")
def ds(tmp_path_factory):
    """Mixed sizes and kinds: JPEG, PNG, grey, with alpha, palette, and a phone's photo that lies on its side."""
    root = tmp_path_factory.mktemp("export") / "pictures"
    for seed in range(30):
        image = draw(seed, SIZES[seed % len(SIZES)], COLOURS[seed % 3])
        save(root / NAMES[seed % 3] / f"{seed:02} it's.{'png' if seed % 4 == 0 else 'jpg'}", image)
    exif = Image.Exif()
    exif[0x0112] = 6
    save(root / NAMES[0] / "phone.jpg", draw(40, (300, 200)), exif=exif)
    save(root / NAMES[1] / "grey.png", draw(41, (237, 180)).convert("L"))
    alpha = draw(42, (251, 251)).convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize((251, 251)))
    save(root / NAMES[2] / "alpha.png", alpha)
    save(root / NAMES[2] / "palette.png", draw(43, (100, 77)).convert("P"))
    return Dataset(root, valid_pct=0.4)


def loaders(ds, item=None, batch=()):
    return shoebox.dataloaders(ds, item_tfms=item or Resize(64), batch_tfms=list(batch) or None, augment=False,
                               batch_size=8)


@pytest.fixture(scope="module")
def learn(ds):
    return lively_learner(loaders(ds, Resize(224), [*aug_transforms(), Normalize.from_stats(*imagenet_stats)]))


@pytest.fixture(scope="module")
def bundle(ds, learn, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "new" / "медведи 'x'"
    HEARD.clear()
    report = export(learn, ds, str(path), name="Bears & <b>others</b>",
                    progress=lambda done, total: HEARD.append((done, total)))
    return path, report


HEARD = []


# parity

STATS = [Normalize.from_stats(*imagenet_stats)]
PIPELINES = {
    "squish": (Resize(96, ResizeMethod.Squish), STATS, Preprocessing("squish", (96, 96), (96, 96))),
    "crop": (Resize(224), [], Preprocessing("crop", (224, 224), (224, 224))),
    "crop to a rectangle": (Resize((96, 160)), STATS, Preprocessing("crop", (160, 96), (160, 96))),
    "pad with reflection": (Resize(96, ResizeMethod.Pad), STATS,
                            Preprocessing("pad", (96, 96), (96, 96), "reflection")),
    "pad with border": (Resize((64, 96), ResizeMethod.Pad, pad_mode="border"), [],
                        Preprocessing("pad", (96, 64), (96, 64), "border")),
    "pad with zeros": (Resize(96, ResizeMethod.Pad, pad_mode="zeros"), STATS,
                       Preprocessing("pad", (96, 96), (96, 96), "zeros")),
    "random resized crop": (RandomResizedCrop(96, min_scale=0.4), STATS, Preprocessing("squish", (112, 112), (96, 96))),
    "its margin left out": (RandomResizedCrop(96, val_xtra=0), [], Preprocessing("squish", (96, 96), (96, 96))),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_the_bundle_repeats_the_learner(ds, tmp_path, name):
    item, batch, wanted = PIPELINES[name]
    learn = lively_learner(loaders(ds, item, batch))
    report = export(learn, all_valid(ds), tmp_path / "model")
    assert report.n == len(ds.images) == report.same_labels
    assert report.max_difference < 2e-5 < report.bound == 1e-3
    classifier = load_classifier(tmp_path / "model")
    answers = [classifier.predict(ds.file(record.path)) for record in ds.images]
    spread = np.asarray([[answer.probabilities[label] for label in ds.classes] for answer in answers]).std(axis=0)
    assert spread.max() > 0.05, "answers too much alike for a difference to show"
    assert replace(classifier.manifest.preprocessing, mean=None, std=None) == wanted
    means = classifier.manifest.preprocessing.mean
    assert (means is None) == (not batch) and (means is None or means == pytest.approx(imagenet_stats[0]))


def test_the_learners_own_predict_says_the_same(ds, learn, bundle):
    classifier = load_classifier(bundle[0])
    for record in ds.images[::5]:
        with learn.no_bar(), learn.no_logging():
            label, _, probabilities = learn.predict(ds.file(record.path))
        answer = classifier.predict(ds.file(record.path))
        assert answer.label == label
        assert [answer.probabilities[c] for c in learn.dls.vocab] == pytest.approx(probabilities.tolist(), abs=1e-4)


def session_of(graph, output, kind=TensorProto.UINT8):
    pixels = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])
    result = helper.make_tensor_value_info(output, kind, ["A", "B", "C", "D"])
    model = helper.make_model(helper.make_graph(graph.nodes, "pixels", [pixels], [result], graph.constants),
                              opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def noise(seed, width, height):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(224, 224), (96, 64), (1, 1), (255, 256)])
def test_resizing_is_pillows_in_every_value(size):
    graph = Graph()
    session = session_of(graph, resized(graph, "image", size, picks_order=pillow_picks_the_order()))
    rng = np.random.default_rng(3)
    shapes = [(1, 1), (2, 900), (900, 2), size, (448, 448), (64, 64), (1200, 900),
              *map(tuple, rng.integers(1, 500, (25, 2)).tolist())]
    for seed, (width, height) in enumerate(shapes):
        pixels = noise(seed, width, height)
        expected = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
        assert (session.run(None, {"image": pixels[None]})[0][0] == expected).all(), (width, height)


def test_older_pillows_always_resize_the_width_first():
    graph = Graph()
    session = session_of(graph, resized(graph, "image", (40, 30), picks_order=False))
    for seed, (width, height) in enumerate([(50, 200), (200, 50), (45, 300)]):
        pixels = noise(seed, width, height)
        one_by_one = Image.fromarray(pixels).resize((40, height), Image.Resampling.BILINEAR)
        expected = np.asarray(one_by_one.resize((40, 30), Image.Resampling.BILINEAR))
        assert (session.run(None, {"image": pixels[None]})[0][0] == expected).all()


def test_a_batch_of_pictures_is_each_of_them():
    graph = Graph()
    session = session_of(graph, resized(graph, "image", (20, 30), picks_order=True))
    batch = np.stack([noise(seed, 50, 80) for seed in range(3)])
    together = session.run(None, {"image": batch})[0]
    assert (together == np.concatenate([session.run(None, {"image": one[None]})[0] for one in batch])).all()


@pytest.mark.parametrize("tfm", [Resize(224), Resize((48, 36)), Resize(49, ResizeMethod.Pad),
                                 Resize(96, ResizeMethod.Pad, pad_mode="border"),
                                 Resize((30, 96), ResizeMethod.Pad, pad_mode="zeros"),
                                 Resize(48, ResizeMethod.Squish), RandomResizedCrop((64, 40))], ids=repr)
def test_the_graphs_pixels_are_fastais_in_every_value(tfm):
    from shoebox.bundle._export_pipeline import _shape, _squeeze

    steps = Preprocessing(*(_squeeze(tfm) if isinstance(tfm, RandomResizedCrop) else _shape(tfm)))
    graph, output = preprocessing_graph(steps)
    session = session_of(graph, output, TensorProto.FLOAT)
    rng = np.random.default_rng(5)
    sides = [230, 237, 244, 251, 224, *rng.integers(50, 700, 25).tolist()]
    for seed, (width, height) in enumerate(zip(sides, reversed(sides), strict=True)):
        pixels = noise(seed, width, height)
        expected = np.asarray(tfm(PILImage(Image.fromarray(pixels)), split_idx=1)).transpose(2, 0, 1)
        found = session.run(None, {"image": pixels[None]})[0][0]
        assert (np.rint(found * 255) == expected).all(), (width, height)
        assert np.abs(found - expected / np.float32(255)).max() <= 1e-7


# refusals

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
    other = replace(all_valid(ds), classes=(*ds.classes[:-1], "zebra"))
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
        export(learn, replace(all_valid(ds), images=()), tmp_path / "model")


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
    pictures = all_valid(ds)
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


# what is written

def test_the_report_and_the_manifest_say_what_was_measured(ds, learn, bundle):
    path, report = bundle
    manifest = inspect(path)
    valid = [record for record in ds.images if record.side == "valid"]
    with learn.no_bar(), learn.no_logging():
        probabilities, _ = learn.get_preds(dl=learn.dls.test_dl([ds.file(record.path) for record in valid]))
    right = np.mean([learn.dls.vocab[int(i)] == r.label for i, r in zip(probabilities.argmax(1), valid, strict=True)])
    assert report.accuracy == manifest.metrics["accuracy"] == pytest.approx(right)
    assert report.n == manifest.metrics["n_images"] == manifest.parity.n == len(valid)
    assert (report.max_difference, report.bound) == (manifest.parity.max_difference, manifest.parity.bound)
    assert manifest.parity.side == "valid" and manifest.temperature == 1 and manifest.thresholds is None
    assert manifest.classes == tuple(learn.dls.vocab) == tuple(sorted(NAMES))
    assert manifest.fingerprint == ds.fingerprint
    assert manifest.dataset.counts == {label: sum(r.label == label for r in ds.images) for label in NAMES}
    assert torch.__version__.startswith(manifest.versions["torch"]) and manifest.versions["shoebox"] != "unknown"
    assert set(manifest.files) == {"model.onnx", "MODEL_CARD.md"}
    assert {file.name for file in path.iterdir()} == {*manifest.files, "manifest.json"}
    assert report.size_bytes == sum(p.stat().st_size for p in path.iterdir())
    assert set(report.seconds) == {"convert", "learner", "bundle", "write"}
    assert f"{report.n} validation pictures" in str(report) == repr(report) and "0.001 allowed" in str(report)


def test_the_model_keeps_no_trace_of_this_machine(ds, bundle):
    path, _ = bundle
    data = (path / "model.onnx").read_bytes()
    model = onnx.load_model_from_string(data)
    assert "metadata_props" not in str(model) and "doc_string" not in str(model)
    everything = b"".join(p.read_bytes() for p in path.iterdir())
    for trace in (b".py", b"site-packages", str(Path.home()).encode() + b"/", str(ds.root).encode(), b"File \"",
                  b"/tmp/", str(Path(shoebox.__file__).parents[2]).encode(), b"fastai.", b"lively_learner"):
        assert trace not in everything


def test_the_model_gives_the_features_before_the_last_layer(ds, learn, bundle):
    session = onnxruntime.InferenceSession(str(bundle[0] / "model.onnx"), providers=["CPUExecutionProvider"])
    pixels = np.asarray(shoebox.open_image(ds.file(ds.images[0].path)))[None]
    features, probabilities = session.run(["features", "probabilities"], {"image": pixels})
    last = [module for module in learn.model.modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():
        again = torch.softmax(torch.from_numpy(features) @ last.weight.T + (0 if last.bias is None else last.bias), 1)
    assert features.shape == (1, last.in_features) and np.allclose(again, probabilities, atol=1e-6)


def test_the_learner_is_left_as_it_was(ds, tmp_path, capfd, caplog):
    learn = lively_learner(loaders(ds, Resize(64), [*aug_transforms(), Normalize.from_stats(*imagenet_stats)]))
    learn.add_cb(MixUp())
    learn.model.train()
    hooked = []
    learn.model[0].register_forward_hook(lambda *_: hooked.append(1))
    state = {name: value.clone() for name, value in learn.model.state_dict().items()}
    normalize = next(step for step in learn.dls.valid.after_batch.fs if isinstance(step, Normalize))
    before = (learn.model, list(learn.cbs), learn.loss_func, learn.dls.valid, list(learn.dls.valid.after_batch.fs),
              normalize.mean, [p.requires_grad for p in learn.model.parameters()], torch.is_grad_enabled(),
              logging.getLogger("torch.onnx").level, list(warnings.filters))
    with caplog.at_level(logging.WARNING):
        export(learn, ds, tmp_path / "model")
    after = (learn.model, list(learn.cbs), learn.loss_func, learn.dls.valid, list(learn.dls.valid.after_batch.fs),
             normalize.mean, [p.requires_grad for p in learn.model.parameters()], torch.is_grad_enabled(),
             logging.getLogger("torch.onnx").level, list(warnings.filters))
    assert before[0] is after[0] and before[2] is after[2] and before[3] is after[3]
    assert before[1] == after[1] and before[4] == after[4] and before[5] is after[5]
    assert before[6:] == after[6:]
    assert all(torch.equal(value, learn.model.state_dict()[name]) for name, value in state.items())
    assert all(module.training for module in learn.model.modules())
    assert capfd.readouterr() == ("", "") and not caplog.records


def test_without_validation_pictures_others_are_used_and_it_is_said(ds, learn, tmp_path):
    report = export(learn, all_valid(ds, side="train"), tmp_path / "model")
    manifest = inspect(tmp_path / "model")
    assert report.accuracy is None and manifest.metrics == {} and manifest.parity.side == "any"
    assert "On 34 pictures it repeats" in str(report) and "right" not in str(report)
    assert "not measured" in str(manifest)
    assert "Not measured" in (tmp_path / "model" / "MODEL_CARD.md").read_text("utf-8")


def test_sealed_pictures_are_never_asked(ds):
    sides = [replace(record, side="test" if i % 2 else "train") for i, record in enumerate(ds.images)]
    chosen, side = pick(sides, 500)
    assert side == "any" and {record.side for record in chosen} == {"train"}
    with pytest.raises(BundleError, match="no validation or training pictures"):
        pick(sides[1::2], 500)


def test_too_many_pictures_are_thinned_out_evenly(ds):
    many = [replace(ds.images[0], path=f"{i:04}", side="valid" if i % 2 else "train") for i in range(2400)]
    chosen, side = pick(many, 500)
    places = [int(record.path) for record in chosen]
    assert side == "valid" and len(set(places)) == 500 and places[0] == 1 and places[-1] == 2399
    assert max(np.diff(places)) <= 6


def test_progress_rises_to_the_end(bundle):
    done, totals = zip(*HEARD, strict=True)
    assert list(done) == sorted(done) and set(totals) == {done[-1]} and len(set(done)) > 5


# where it is written

def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def named(path, name):
    """The files of a bundle of that name."""
    whole = contents(tiny_bundle(path))
    edit_manifest(path, lambda values: values.update(name=name))
    return {**whole, "manifest.json": (path / "manifest.json").read_bytes()}


@pytest.fixture
def drafts(tmp_path):
    return named(tmp_path / "drafts" / "1", "first"), named(tmp_path / "drafts" / "2", "second")


@pytest.fixture
def shelf(tmp_path):
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


def test_a_bundle_is_replaced_as_a_whole(ds, learn, shelf, drafts):
    put_bundle(shelf / "model", {**drafts[0]}, check=load_classifier, overwrite=True)
    assert (shelf / "model").stat().st_mode & 0o777 == 0o755
    with pytest.raises(BundleError, match="overwrite=True"):
        export(learn, ds, shelf / "model", overwrite=False)
    with pytest.raises(BundleError, match="overwrite=True"):
        put_bundle(shelf / "model", drafts[1], check=load_classifier, overwrite=False)
    assert inspect(shelf / "model").name == "first"
    export(learn, all_valid(ds, keep=lambda record: "2" in record.path), shelf / "model")
    assert load_classifier(shelf / "model").manifest.name == "model"
    assert [path.name for path in shelf.iterdir()] == ["model"]


@pytest.mark.parametrize("step", ["write", "check", "rename", "bad"])
def test_when_it_fails_late_the_old_bundle_still_stands(shelf, drafts, monkeypatch, step):
    put_bundle(shelf / "model", drafts[0], check=load_classifier, overwrite=True)
    before = contents(shelf)
    check, draft = load_classifier, dict(drafts[1])

    def disk_full(*_, **__):
        raise OSError(28, "No space left on device")

    rename = Path.rename
    if step == "write":
        monkeypatch.setattr(_write.os, "fsync", disk_full)
    elif step == "check":
        check = disk_full
    elif step == "bad":
        draft["model.onnx"] = draft["model.onnx"][:-1]
    else:
        monkeypatch.setattr(Path, "rename", lambda path, target: disk_full() if path.suffix == ".new" else
                            rename(path, target))
    with pytest.raises((OSError, BundleError), match=r"No space|model\.onnx is not the file"):
        put_bundle(shelf / "model", draft, check=check, overwrite=True)
    assert contents(shelf) == before and [path.name for path in shelf.iterdir()] == ["model"]


def test_nothing_that_is_no_bundle_is_replaced(ds, learn, shelf, drafts):
    folder, file, link, noted = (shelf / name for name in ("thesis", "a file", "link", "noted"))
    save(folder / "chapter.png", draw(1))
    file.write_text("mine")
    put_bundle(noted, drafts[0], check=load_classifier, overwrite=True)
    link.symlink_to(noted, target_is_directory=True)
    (noted / "notes.txt").write_text("mine")
    before = contents(shelf)
    for path, sentence in ((folder, "chapter.png"), (file, "is a file"), (link, "symbolic link"), (noted, "notes.txt")):
        with pytest.raises(BundleError, match=sentence):
            export(learn, ds, path)
        with pytest.raises(BundleError, match=sentence):
            put_bundle(path, drafts[1], check=load_classifier, overwrite=True)
    assert contents(shelf) == before


def test_an_empty_folder_is_filled(shelf, drafts):
    put_bundle(shelf, drafts[0], check=load_classifier, overwrite=False)
    assert contents(shelf) == drafts[0]


# the card

def test_the_card_shows_every_name_as_it_is(ds, bundle):
    text = (bundle[0] / "MODEL_CARD.md").read_text("utf-8")
    page = mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough"])(text)
    shown = re.sub(r"<[^>]+>", "\n", page).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
    shown = shown.replace("&amp;", "&")
    for name in NAMES:
        assert name in shown
    assert "Bears & <b>others</b>" in shown and "<b>" not in page and page.count("<table>") == 1
    for words in (ds.fingerprint, "95 % interval", "0.001 allowed", "always answers"):
        assert words in shown


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "[a](javascript:x)", "![x](https://e.org/p.png)", "`c`",
                                  "a|b", "**b**", "# h", "1. x", "---", "https://example.org", "&lt;", "\\*", "~~s~~",
                                  "- [x] y"])
def test_no_name_becomes_markup(name):
    card = model_card(name=name, created="2026-01-01T00:00:00Z", counts={name: 1, "x": 2}, fingerprint="0" * 64,
                      correct=1, n=2, preprocessing=Preprocessing("crop", (8, 8), (8, 8)),
                      parity=Parity(2, 0, 1e-3, 2), versions={})
    page = mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough", "task_lists"])(card)
    tags = set(re.findall(r"<(\w+)", page))
    assert tags <= {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "ul", "li"}
    assert page.count("<code>") == 1 and page.count("<h1>") == 1 and page.count("<tr>") == 3
    assert plain("two\nlines | one") == r"two lines \| one"


def test_wilsons_interval():
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # R: binom::binom.wilson(8, 10)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson_interval(10, 10)[1] == 1.0


def test_the_manifest_is_plain_json_for_other_readers(bundle):
    values = json.loads((bundle[0] / "manifest.json").read_bytes())
    assert values["protocol"] == 1 and values["preprocessing"]["size_px"] == [224, 224]
    assert values["classes"] == sorted(NAMES) and len(values["checksum"]) == 64
