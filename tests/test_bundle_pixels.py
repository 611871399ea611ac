"""The exported model sees the pixels that its learner sees, and says the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from PIL import Image

from shoebox.bundle import _shape, inspect, load_classifier
from shoebox.bundle._export import export
from shoebox.bundle._export_graph import preprocessing_graph
from shoebox.bundle._export_resize import Graph, pillow_picks_the_order, resized
from shoebox.bundle._records import Preprocessing
from shoebox.bundle._shape import can_shape, shaped
from shoebox.training import _fastai  # noqa: F401  fastai whole and quietly, before anything else imports a part

from fastai.vision.all import (  # isort: skip
    PILImage, RandomResizedCrop, Resize, ResizeMethod, imagenet_stats)

from tests._exported import STATS, all_asked, loaders
from tests._models import lively_learner

pytest_plugins = ["tests._exported_fixtures"]
pytestmark = pytest.mark.slow


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
    report = export(learn, all_asked(ds), tmp_path / "model")
    assert report.n == len(ds.images) == report.same_labels
    assert report.max_difference < 2e-5 < report.bound == 1e-3
    classifier = load_classifier(tmp_path / "model")
    answers = [classifier.predict(ds.file(record.path)) for record in ds.images]
    spread = np.asarray([[answer.probabilities[label] for label in ds.classes] for answer in answers]).std(axis=0)
    assert spread.max() > 0.05, "answers too much alike for a difference to show"
    assert replace(classifier.manifest.preprocessing, mean=None, std=None) == replace(wanted, least_px=448)
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


@pytest.mark.parametrize("steps", [
    Preprocessing("squish", (48, 36), (48, 36)), Preprocessing("crop", (224, 224), (224, 224)),
    Preprocessing("crop", (36, 48), (36, 48)), Preprocessing("squish", (112, 112), (96, 96))], ids=str)
def test_pillow_may_do_the_first_step_for_the_graph(steps):
    """A picture that Pillow cropped and resized goes through the graph as the whole one does, value for value."""
    graph, output = preprocessing_graph(steps)
    session = session_of(graph, output, TensorProto.FLOAT)
    rng = np.random.default_rng(9)
    sides = [(1, 1), (2, 300), (230, 300), (244, 251), steps.resize_px,
             *map(tuple, rng.integers(1, 700, (20, 2)).tolist())]
    for seed, (width, height) in enumerate(sides):
        pixels = noise(seed, width, height)
        whole = session.run(None, {"image": pixels[None]})[0]
        small = np.asarray(shaped(Image.fromarray(pixels), steps))[None]
        assert small.shape[1:3] == steps.resize_px[::-1]
        assert (session.run(None, {"image": small})[0] == whole).all(), (width, height)


@pytest.mark.parametrize("size", [(2500, 1800), (1800, 2500), (2049, 1800), (90, 40000), (40000, 90), (1100, 3100)])
@pytest.mark.parametrize("method", ["crop", "squish"])
def test_a_large_picture_is_shaped_by_several_threads_to_the_same_values(size, method, monkeypatch):
    """By the two calls of Pillow that fastai makes: a crop, where it is wanted, and a resize."""
    monkeypatch.setattr(_shape, "_LARGE_PIXELS", 10_000)
    steps = Preprocessing(method, (64, 48), (64, 48))
    image = Image.fromarray(noise(3, *size))
    before = image.tobytes()
    box = (0, 0, *size)
    if method == "crop":
        scale = min(size[0] / 64, size[1] / 48)
        width, height = int(scale * 64), int(scale * 48)
        left, top = int((size[0] - width) * 0.5), int((size[1] - height) * 0.5)
        box = (left, top, left + width, top + height)
    wanted = image.crop(box).resize((64, 48), Image.Resampling.BILINEAR)
    for threads in (1, 2, 3):
        assert shaped(image, steps, threads=threads).tobytes() == wanted.tobytes(), threads
    assert image.tobytes() == before


def test_what_goes_wrong_in_a_thread_is_not_lost(monkeypatch):
    """Memory that ran out in one of the threads would else leave black rows, and an answer about them."""
    def full(self, *args, **kwargs):
        raise MemoryError
    image = Image.fromarray(noise(3, 2500, 1800))
    monkeypatch.setattr(Image.Image, "crop", full)
    with pytest.raises(MemoryError):
        shaped(image, Preprocessing("crop", (64, 48), (64, 48)), threads=2)


def test_a_picture_of_the_wanted_size_is_handed_on_as_it_is(tmp_path):
    """What the app has shaped costs the graph nothing more: no loop of the resize runs."""
    graph = Graph()
    output = resized(graph, "image", (64, 48), picks_order=True)
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "ran")
    session = session_of(graph, output, options=options)
    pixels = noise(5, 64, 48)[None]
    assert (session.run(None, {"image": pixels})[0] == pixels).all()
    ran = Path(session.end_profiling())
    kinds = {event.get("args", {}).get("op_name") for event in json.loads(ran.read_text())}
    assert "If" in kinds and not kinds & {"Loop", "Transpose", "Mul"}


def test_pillow_does_it_only_where_it_is_the_one_of_the_export(bundle):
    manifest = inspect(bundle[0])
    assert can_shape(manifest)
    assert not can_shape(replace(manifest, versions={**manifest.versions, "pillow": "1.0"}))
    assert not can_shape(replace(manifest, preprocessing=Preprocessing("pad", (8, 8), (8, 8), "zeros")))


def test_what_predict_says_is_what_the_graph_says(ds, bundle):
    classifier = load_classifier(bundle[0])
    for record in ds.images[::3]:
        answer, raw = classifier.predict(ds.file(record.path)), classifier.raw(ds.file(record.path))["probabilities"]
        assert [answer.probabilities[label] for label in classifier.classes] == raw.tolist()


def session_of(graph, output, kind=TensorProto.UINT8, options=None):
    pixels = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])
    result = helper.make_tensor_value_info(output, kind, ["A", "B", "C", "D"])
    model = helper.make_model(helper.make_graph(graph.nodes, "pixels", [pixels], [result], graph.constants),
                              opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


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
