"""What else can travel in a bundle: examples with answers, 8-bit weights, a map of the picture, "none of these"."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import shoebox
from shoebox.bundle import check, inspect, load_classifier
from shoebox.bundle._explain import heatmap
from shoebox.bundle._export import export
from shoebox.bundle._export_int8 import INT8_BOUND
from shoebox.bundle._records import Preprocessing
from shoebox.data import Dataset
from shoebox.errors import BundleError
from shoebox.training import _fastai  # noqa: F401  fastai whole and quietly, before anything else imports a part

from fastai.vision.all import Learner, Normalize, Resize, imagenet_stats, xresnet18  # isort: skip

from tests._exported import Pictures, all_on, loaders
from tests._models import edit_manifest, feature_model, lively_learner, replace_model, tiny_bundle, tiny_model
from tests._pictures import COLOURS, draw, folders, save

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ds(tmp_path_factory):
    return Dataset(folders(tmp_path_factory.mktemp("extras") / "data", {"red": 70, "green": 70, "blue": 70}),
                   valid_pct=0.6)


@pytest.fixture(scope="module")
def learn(ds):
    shoebox.seed_everything(1)  # the loaders' shuffling is drawn when they are made
    learn = lively_learner(loaders(ds, Resize(48), [Normalize.from_stats(*imagenet_stats)]))
    with learn.no_bar(), learn.no_logging():
        learn.fit(10, 3e-3)
    return learn


@pytest.fixture(scope="module")
def bundle(ds, learn, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "colours"
    return path, export(learn, ds, path, examples=5, int8=True, pickle=True, robustness=[{"night": "50 %"}])


# examples and check

def test_the_examples_are_checked_again_anywhere(bundle, learn):
    path, _ = bundle
    report = check(path)
    assert (report.n, report.same_labels) == (5, 5) and report.max_difference < 1e-4 < report.bound == 1e-3
    assert "on 5 pictures it says what its learner said" in str(report)
    manifest = inspect(path)
    assert {example.label for example in manifest.examples} == {"red", "green", "blue"}
    for example in manifest.examples:
        with learn.no_bar(), learn.no_logging():
            _, _, expected = learn.predict(path / example.file)
        assert example.probabilities == pytest.approx(expected.tolist(), abs=1e-4)
        with Image.open(path / example.file) as image:
            assert not image.getexif() and max(image.size) <= 640


def test_a_bundle_that_answers_otherwise_fails_the_check(tmp_path):
    from shoebox.bundle._records import Example

    out = io.BytesIO()
    Image.new("RGB", (20, 20), (250, 5, 5)).save(out, "PNG")
    bundle = tiny_bundle(tmp_path / "tiny", extra={"example-01.png": out.getvalue()},
                         examples=(Example("example-01.png", "red", (0.1, 0.8, 0.1)),))
    with pytest.raises(BundleError, match=r"on 1 of 1 pictures.*'example-01.png'"):
        check(bundle)
    right = load_classifier(bundle).raw(out.getvalue())["probabilities"].tolist()
    edit_manifest(bundle, lambda values: values["examples"][0].update(probabilities=right))
    assert check(bundle).n == 1
    replace_model(bundle, tiny_model(weights=np.eye(3) * 3.9).SerializeToString())
    with pytest.raises(BundleError, match="does not say here what its learner said"):
        check(bundle)


def test_without_examples_the_files_are_checked_and_it_is_said(tmp_path):
    report = check(tiny_bundle(tmp_path / "tiny"))
    assert (report.n, report.files) == (0, 2) and "No pictures travel with it" in str(report)


@pytest.mark.parametrize("n", [-1, 51, True, 1.5, "3"])
def test_an_impossible_number_of_examples_is_refused(ds, learn, tmp_path, n):
    with pytest.raises(BundleError, match="whole number from 0 to 50"):
        export(learn, ds, tmp_path / "model", examples=n)
    assert not list(tmp_path.iterdir())


# 8-bit weights

def test_eight_bit_weights_give_nearly_the_same_answers(ds, bundle):
    path, _ = bundle
    record = inspect(path).int8
    full, small = load_classifier(path), load_classifier(path, precision="int8")
    assert small.precision == "int8" and small.manifest.files[record.file].size_bytes < 0.5 * (
        full.manifest.files["model.onnx"].size_bytes)
    files = [ds.file(r.path) for r in ds.images if r.side == "valid"]
    pairs = [(full.predict(file), small.predict(file)) for file in files]
    differences = [max(abs(a.probabilities[c] - b.probabilities[c]) for c in full.classes) for a, b in pairs]
    assert 0 < max(differences) < 0.2, "equal answers would mean that nothing was quantised"
    assert record.n == len(files) and record.bound == INT8_BOUND
    assert record.same_labels == sum(a.label == b.label for a, b in pairs)
    assert check(path, precision="int8").n == 5


def test_eight_bit_weights_leave_the_pixels_alone(bundle):
    import onnx

    nodes = {node.name: node for node in onnx.load(bundle[0] / "model.int8.onnx").graph.node}
    quantised = [node for node in nodes.values() if node.op_type.endswith("uantizeLinear")]
    makers = {name: node for node in nodes.values() for name in node.output}
    first = [node for node in nodes.values()
             if node.name.startswith("pre_") and not node.op_type.endswith("uantizeLinear")]
    assert len(quantised) > 10 and len(first) > 20  # whole numbers stay whole up to the network's first layer
    sources = [makers[name] for node in first for name in node.input if name in makers]
    assert sources and not any(node.op_type.endswith("uantizeLinear") for node in sources)


def test_without_eight_bit_weights_it_is_said(tmp_path):
    bundle = tiny_bundle(tmp_path / "tiny")
    with pytest.raises(BundleError, match="no weights of 8 bits"):
        load_classifier(bundle, precision="int8")
    with pytest.raises(BundleError, match="give 'full' or 'int8'"):
        load_classifier(bundle, precision="fp16")


def test_eight_bit_weights_that_change_clear_labels_are_left_off(ds, learn, tmp_path, monkeypatch):
    from shoebox.bundle import _export_int8

    monkeypatch.setattr(_export_int8, "quantised", lambda model, files, least_px: tiny_model(
        weights=-np.eye(3) * 4).SerializeToString())
    export(learn, ds, tmp_path / "model", int8=True)
    manifest = inspect(tmp_path / "model")
    assert manifest.int8 is None and "got another class" in manifest.notes["int8"]
    assert set(manifest.files) == {"model.onnx", "novelty.npz", "MODEL_CARD.md"}


def test_without_training_pictures_there_are_none(ds, learn, tmp_path):
    export(learn, all_on(ds, "valid"), tmp_path / "model", int8=True)
    assert "no training pictures" in inspect(tmp_path / "model").notes["int8"]


# fastai's own export beside it

def test_the_pickle_stands_beside_the_folder_and_is_fastais(bundle):
    from fastai.learner import load_learner

    path, _ = bundle
    assert not list(path.glob("*.pkl"))
    with pytest.warns(UserWarning, match="pickle"):
        learn = load_learner(path.with_name("colours.pkl"))
    assert list(learn.dls.vocab) == ["blue", "green", "red"]


# none of these, from a learner

def test_the_bundle_says_when_it_does_not_know(ds, bundle):
    classifier = load_classifier(bundle[0])
    record, n = classifier.manifest.novelty, sum(r.side == "valid" for r in ds.images)
    assert record.n == n >= 100 and record.band[0] < record.alarm_rate < record.band[1]
    assert classifier.manifest.calibration is None or classifier.manifest.calibration.n == n
    card = (bundle[0] / "MODEL_CARD.md").read_text("utf-8")
    assert "None of these" in card and f"{n} held" in card and "night" in card and "Confusion" in card
    assert "always answers" not in card
    white = np.full((48, 64, 3), 255, np.uint8)  # black is near: the known pictures have dark noise around them
    noise = np.random.default_rng(0).integers(0, 256, white.shape, np.uint8)
    assert all(classifier.predict(far).known is False for far in (white, noise))
    known = [classifier.predict(ds.file(r.path)).known for r in ds.images if r.side == "train"]
    assert np.mean(known) > 0.8


def test_the_band_of_false_alarms_is_on_the_app_s_card(bundle, monkeypatch):
    monkeypatch.delenv("SHOEBOX_MODEL", raising=False)
    (low, high), page = inspect(bundle[0]).novelty.band, shoebox.app(bundle[0])
    words = f"between {low:.1%} and {high:.1%} are to be expected (90 % band)"
    assert page.problem == "" and words in page.about["card"]


# the map

class Colours(torch.nn.Module):
    def forward(self, pictures):
        return pictures


def corner(size=(200, 100), box=(0, 0, 50, 50)):
    image = Image.new("RGB", size, "black")
    ImageDraw.Draw(image).rectangle(box, fill=(255, 0, 0))
    return image


def test_the_map_of_a_linear_head_is_the_one_that_is_known(ds, tmp_path):
    """Zhou et al., 2016: with average pooling and one linear layer, the mean of the map is the logits."""
    head = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 3, bias=False))
    head[2].weight.data = torch.eye(3) * 5 + torch.arange(9.0).reshape(3, 3) / 3
    export(Learner(loaders(ds, Resize(48)), torch.nn.Sequential(Colours(), head)), ds, tmp_path / "model")
    outputs = load_classifier(tmp_path / "model").raw(draw(1, (48, 48)))
    logits = outputs["features"] @ head[2].weight.data.numpy().T
    assert outputs["cam"].shape == (3, 48, 48)
    assert outputs["cam"].mean(axis=(1, 2)) == pytest.approx(logits - logits.mean(), abs=1e-4)


@pytest.mark.parametrize(("arch", "epochs", "rate"), [("small_cnn", 12, 1e-3), ("resnet18", 6, 3e-3)])
def test_fastais_own_head_gives_a_map_where_the_thing_is(tmp_path, arch, epochs, rate):
    """A network that learned red from green squares says that it saw the square, wherever it lies."""
    root, rng = tmp_path / "squares", np.random.default_rng(0)
    for number in range(80):
        x, y = rng.integers(0, 64, 2).tolist()
        image = draw(number, (96, 96), (30, 30, 30))
        ImageDraw.Draw(image).rectangle((x, y, x + 30, y + 30), fill=("red", "green")[number % 2])
        save(root / ("red", "green")[number % 2] / f"{number}.png", image)
    squares = Dataset(root, valid_pct=0.3)
    shoebox.seed_everything(0)
    network = shoebox.small_cnn if arch == "small_cnn" else __import__("torchvision").models.resnet18
    learn = shoebox.vision_learner(loaders(squares, Resize(96)), network, pretrained=False, ps=0.0)
    with learn.no_bar(), learn.no_logging():
        learn.fit(epochs, rate)
    export(learn, squares, tmp_path / "model")
    classifier = load_classifier(tmp_path / "model")
    inside = []
    for x, y in ((2, 2), (60, 2), (2, 60), (60, 60), (30, 30)):
        image = Image.new("RGB", (96, 96), (30, 30, 30))
        ImageDraw.Draw(image).rectangle((x, y, x + 30, y + 30), fill="red")
        answer = classifier.predict(image, explain=True)
        assert answer.heatmap.shape == (96, 96) and answer.heatmap.dtype == np.float32 and answer.heatmap.max() <= 1
        row, column = np.unravel_index(answer.heatmap.argmax(), answer.heatmap.shape)
        inside.append(answer.label == "red" and abs(column - x - 15) <= 32 and abs(row - y - 15) <= 32)
    assert sum(inside) >= 4
    assert classifier.predict(image).heatmap is None


def test_the_map_lies_over_the_upright_picture(tmp_path):
    classifier = load_classifier(tiny_bundle(tmp_path / "tiny", model=feature_model()))
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "phone.png", corner(), exif=exif)  # 200 x 100 as stored: 100 x 200 upright
    found = classifier.predict(path, explain=True).heatmap
    assert found.shape == (200, 100)
    assert found[:45, 55:].min() > 0.9 and found[60:].max() < 0.1 and found[:45, :45].max() < 0.1


@pytest.mark.parametrize(("steps", "size", "box"), [
    (Preprocessing("squish", (64, 64), (64, 64)), (200, 100), (0, 200, 0, 100)),
    (Preprocessing("crop", (64, 64), (64, 64)), (200, 100), (50, 150, 0, 100)),
    (Preprocessing("pad", (64, 64), (64, 64), "zeros"), (200, 100), (0, 200, 0, 100)),
    (Preprocessing("squish", (80, 80), (64, 64)), (200, 100), (20, 180, 10, 90)),
    (Preprocessing("crop", (32, 64), (32, 64)), (100, 100), (25, 75, 0, 100)),
])
def test_the_map_covers_what_the_network_saw(steps, size, box):
    found = heatmap(np.ones((7, 7), np.float32), steps, *size)
    expected = np.zeros(size[::-1], bool)
    expected[box[2]:box[3], box[0]:box[1]] = True
    assert found.shape == size[::-1] and ((found > 0.5) == expected).mean() > 0.97
    assert heatmap(np.ones((7, 7), np.float32), steps, size[0] * 20, size[1] * 20).shape[1] <= 256


def test_a_padded_picture_has_its_map_in_the_middle():
    """The upper half of the network's input is margin and the picture's upper quarter."""
    evidence = np.zeros((8, 8), np.float32)
    evidence[2:4] = 1
    found = heatmap(evidence, Preprocessing("pad", (64, 64), (64, 64), "zeros"), 160, 80)
    assert found[5:35].min() > 0.5 and found[50:].max() < 0.1


def test_where_nothing_speaks_for_it_the_map_is_dark():
    found = heatmap(-np.ones((7, 7), np.float32), Preprocessing("squish", (8, 8), (8, 8)), 10, 10)
    assert found.max() == 0 and np.isfinite(found).all()


# architectures

def custom_head(learn):
    learn.model[1] = torch.nn.Sequential(torch.nn.Conv2d(512, 64, 1), torch.nn.AdaptiveAvgPool2d(1),
                                         torch.nn.Flatten(), torch.nn.GELU(), torch.nn.LayerNorm(64),
                                         torch.nn.Linear(64, 3))
    return learn


ARCHITECTURES = {
    "torchvision": lambda dls: shoebox.vision_learner(dls, __import__("torchvision").models.resnet18, pretrained=False),
    "a custom head": lambda dls: custom_head(
        shoebox.vision_learner(dls, __import__("torchvision").models.resnet18, pretrained=False)),
    "fastai's xresnet": lambda dls: shoebox.vision_learner(dls, xresnet18, pretrained=False),
    "timm resnet": lambda dls: shoebox.vision_learner(dls, "resnet10t", pretrained=False),
    "timm convnext": lambda dls: shoebox.vision_learner(dls, "convnext_atto", pretrained=False),
    "timm mobilenet": lambda dls: shoebox.vision_learner(dls, "mobilenetv3_small_050", pretrained=False),
    "timm vit": lambda dls: shoebox.vision_learner(dls, "vit_tiny_patch16_224", pretrained=False),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_are_exported_and_repeat_their_learner(ds, tmp_path, name):
    size = 224 if "vit" in name else 64
    shoebox.seed_everything(3)
    learn = ARCHITECTURES[name](loaders(ds, Resize(size), [Normalize.from_stats(*imagenet_stats)]))
    few = Pictures(ds.root, tuple(replace(r, side="train") for r in ds.images[::12]), ds.classes, ds.fingerprint)
    report = export(learn, few, tmp_path / "model")
    assert report.same_labels == report.n >= 17 and report.max_difference < 1e-4
    answer = load_classifier(tmp_path / "model").predict(draw(5, (80, 60), COLOURS[0]), explain=True)
    manifest = inspect(tmp_path / "model")
    assert (answer.heatmap is None) == ("heatmap" in manifest.notes) == ("vit" in name)
