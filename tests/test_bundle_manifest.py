"""The manifest: every wrong value is named, and nothing but our error comes out."""

from __future__ import annotations

import json
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoebox.bundle import Manifest, inspect, load_classifier
from shoebox.bundle._manifest import PROTOCOLS
from shoebox.errors import BundleError
from tests._models import CLASSES, edit_manifest, tiny_bundle


@pytest.fixture
def bundle(tmp_path):
    return tiny_bundle(tmp_path / "tiny")


def test_inspect_reads_without_loading(bundle, no_parser):
    (bundle / "model.onnx").write_bytes(b"damaged")
    manifest = inspect(bundle)
    assert manifest.classes == CLASSES and manifest.fingerprint == "0" * 64
    assert "Tiny: 3 classes (red, green, blue)" in str(manifest) and "50.0% of 4" in str(manifest)


@pytest.mark.parametrize("number", [0, 4, 99, -1, "1", 1.5, True, None, [1]])
def test_an_unknown_protocol_is_named_with_the_known_ones(bundle, no_parser, number):
    edit_manifest(bundle, lambda values: values.update(protocol=number, unknown_to_us={"future": True}))
    with pytest.raises(BundleError, match="this version of Shoebox reads 1, 2, 3") as caught:
        load_classifier(bundle)
    assert repr(number) in str(caught.value) and PROTOCOLS == (1, 2, 3)


FAULTS = [
    (("name",), "", "name"), (("name",), 7, "name"), (("name",), "a\nb", "name"), (("name",), "x" * 201, "name"),
    (("name",), "\ud800", "name"),
    (("created",), "yesterday", "created"), (("created",), "2026-13-01T00:00:00Z", "created"),
    (("classes",), [], "classes"), (("classes",), "red", "classes"), (("classes",), ["red", "red", "x"], "twice"),
    (("classes",), ["\u0439", "\u0438\u0306", "x"], "twice"), (("classes",), ["red", 1, "x"], "classes"),
    (("classes",), ["red", "", "x"], "classes"), (("classes",), {"red": 1}, "classes"),
    (("preprocessing",), [], "preprocessing: an object"), (("preprocessing", "method"), "stretch", "squish, crop, pad"),
    (("preprocessing", "size_px"), [8], "size_px"), (("preprocessing", "size_px"), [0, 8], "size_px"),
    (("preprocessing", "size_px"), [8, 8.0], "size_px"), (("preprocessing", "size_px"), [9, 9], "larger than resize"),
    (("preprocessing", "resize_px"), [8, 10**6], "resize_px"), (("preprocessing", "resize_px"), [True, 8], "resize_px"),
    (("preprocessing", "pad_mode"), "zeros", "pad_mode"), (("preprocessing", "mean"), [1, 2, 3], "mean and std"),
    (("preprocessing", "std"), [1, 1, 0], "std"), (("preprocessing", "mean"), [1, 2], "mean: 3 numbers"),
    (("preprocessing", "mean"), [1, 2, "3"], "mean"),
    (("temperature",), 0, "temperature"), (("temperature",), "1", "temperature"),
    (("temperature",), True, "temperature"), (("temperature",), 1e9, "temperature"),
    (("temperature",), None, "temperature"),
    (("temperature",), 2, "needs its calibration"), (("calibration",), {"n": 1}, "log_loss_before: is missing"),
    (("novelty",), {"n": 9, "alarm_rate": 0.05, "band": [0, 1], "file": "x.npz"}, "none of the bundle's files"),
    (("novelty",), {"n": 9, "alarm_rate": 0.9, "band": [0, 1], "file": "model.onnx"}, "alarm_rate"),
    (("novelty",), {"n": 9, "alarm_rate": 0.1, "band": [1, 0], "file": "model.onnx"}, "band"),
    (("label_sets",), {"n": 0, "coverage": 0.9, "threshold": 0.1}, "n: a whole"), (("label_sets",), [], "an object"),
    (("int8",), {"file": "a", "n": 1, "max_difference": 0, "bound": 0.1, "same_labels": 2}, "same_labels"),
    (("examples",), [{"file": "MODEL_CARD.md", "label": "black", "probabilities": [1, 0, 0]}], "none of the classes"),
    (("examples",), [{"file": "MODEL_CARD.md", "label": "red", "probabilities": [1, 0]}], "3 numbers"),
    (("examples",), [{}] * 51, "at most 50"), (("examples",), ["x"], "an object"), (("notes", "pizza"), "x", "pizza"),
    (("notes", "novelty"), "", "a sentence"), (("classes",), ["red"] * 50_001, "at most 50,000"),
    (("metrics",), None, "metrics"), (("metrics", "accuracy"), 1.5, "accuracy"), (("metrics", "f1"), "high", "f1"),
    (("metrics", "n_images"), 0, "n_images"), (("metrics", "n_images"), 10**400, "n_images"),
    (("metrics", ""), 1, "no name"), (("metrics", "n_images"), 1.5, "n_images"),
    (("metrics", "accuracy"), 2, "accuracy"),
    (("parity", "n"), 0, r"parity\.n"), (("parity", "n"), True, r"parity\.n"),
    (("parity", "max_difference"), 0.5, "max_diff"), (("parity", "bound"), -1, "bound"),
    (("parity", "same_labels"), 5, "same_labels"), (("parity", "side"), "test", "side"),
    (("dataset", "fingerprint"), "abc", "fingerprint"), (("dataset", "counts"), [1], "counts"),
    (("dataset", "counts", "red"), -1, "red"), (("dataset", "counts", "yellow"), 1, "none of the classes"),
    (("versions", "shoebox"), 1, "shoebox"), (("versions",), "0.1", "versions"),
    (("files",), {}, "model.onnx"), (("files",), [], "files"), (("files", "model.onnx", "sha256"), "0" * 63, "sha256"),
    (("files", "model.onnx", "sha256"), "A" * 64, "sha256"), (("files", "model.onnx", "size_bytes"), 0, "size_bytes"),
    (("files", "model.onnx", "size_bytes"), 2**31, "size_bytes"), (("files", "model.onnx"), "hash", "an object"),
    (("files", "MODEL.onnx"), {"sha256": "0" * 64, "size_bytes": 1}, "differ in case"),
]


@pytest.mark.parametrize(("where", "value", "sentence"), FAULTS)
def test_every_wrong_value_is_named(bundle, no_parser, where, value, sentence):
    def change(values):
        for key in where[:-1]:
            values = values[key]
        values[where[-1]] = value

    edit_manifest(bundle, change)
    with pytest.raises(BundleError, match=sentence):
        load_classifier(bundle)


FIELDS = [*Manifest.__dataclass_fields__, "checksum"]


@pytest.mark.parametrize("field", FIELDS[1:])
def test_every_missing_field_is_named(bundle, no_parser, field):
    edit_manifest(bundle, lambda values: values.pop(field), seal=False)
    with pytest.raises(BundleError, match=f"{field}: is missing"):
        load_classifier(bundle)


@pytest.mark.parametrize("field", FIELDS[1:])
@pytest.mark.parametrize("value", [None, True, -1, 0.5, "x", [], {}, [[]], {"x": {}}, "x" * 10**5, 10**30])
def test_no_value_of_any_type_brings_anything_but_our_error(bundle, field, value):
    before = inspect(bundle)
    edit_manifest(bundle, lambda values: values.__setitem__(field, value))
    try:
        same = json.loads((bundle / "manifest.json").read_bytes())[field] == OLD[field]
        assert inspect(bundle) != before or field == "checksum" or same
    except BundleError as error:
        assert field in str(error)


def test_an_unknown_field_is_refused_and_the_near_one_suggested(bundle, no_parser):
    def change(values):
        values["temperatur"] = values.pop("temperature")
        values["preprocessing"]["methods"] = "crop"
        values["temper\u00adature!"] = 1

    edit_manifest(bundle, change)
    with pytest.raises(BundleError) as caught:
        inspect(bundle)
    sentence = str(caught.value)
    assert "'temperatur': unknown; was 'temperature' meant?" in sentence and "temperature: is missing" in sentence
    assert "preprocessing.'methods': unknown; was 'method' meant?" in sentence


def test_all_faults_are_told_at_once(bundle):
    edit_manifest(bundle, lambda values: values.update(name=1, created=2, temperature=3000, notes=4))
    with pytest.raises(BundleError) as caught:
        inspect(bundle)
    assert all(field in str(caught.value) for field in ("name", "created", "temperature", "notes"))


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"protocol": NaN}', b'{"a": 1, "a": 2}',
                                  b"[" * 100_000, b'{"protocol": 1' + b"0" * 5000 + b"}", b"9" * 9_000_000])
def test_what_is_no_manifest_is_a_sentence(bundle, no_parser, text):
    (bundle / "manifest.json").write_bytes(text)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        load_classifier(bundle)


def test_a_manifest_changed_by_hand_is_refused(bundle, no_parser):
    edit_manifest(bundle, lambda values: values.update(name="Another"), seal=False)
    with pytest.raises(BundleError, match="changed after the export"):
        load_classifier(bundle)


def test_another_layout_of_the_same_manifest_is_fine(bundle):
    before = inspect(bundle)
    values = json.loads((bundle / "manifest.json").read_text("utf-8"))
    (bundle / "manifest.json").write_text(json.dumps(dict(reversed(values.items())), indent=4), "utf-8")
    assert inspect(bundle) == before


@given(st.binary(max_size=400))
def test_bytes_of_any_kind_are_a_sentence(data):
    with pytest.raises(BundleError, match=r"manifest\.json"):
        Manifest.from_json(data)


@given(st.data())
def test_a_manifest_with_other_bytes_in_it_is_a_sentence_or_the_same(data):
    start = data.draw(st.integers(0, len(TEMPLATE)))
    end = data.draw(st.integers(start, min(len(TEMPLATE), start + 20)))
    harmed = TEMPLATE[:start] + data.draw(st.binary(max_size=20)) + TEMPLATE[end:]
    try:
        assert Manifest.from_json(harmed) == Manifest.from_json(TEMPLATE)
    except BundleError as error:
        assert "manifest.json" in str(error)


PLAIN = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=60).filter(str.strip)


@given(name=PLAIN, classes=st.lists(PLAIN, min_size=1, max_size=5, unique_by=lambda t: unicodedata.normalize("NFC", t)))
def test_a_manifest_says_the_same_after_writing_and_reading(name, classes):
    normal = tuple(unicodedata.normalize("NFC", label) for label in classes)
    base = Manifest.from_json(TEMPLATE)
    values = {field: getattr(base, field) for field in Manifest.__dataclass_fields__}
    dataset = type(base.dataset)("1" * 64, dict.fromkeys(normal, 3))
    manifest = Manifest(**{**values, "name": name, "classes": normal, "dataset": dataset})
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_what_could_not_be_read_back_is_not_written():
    base = Manifest.from_json(TEMPLATE)
    values = {field: getattr(base, field) for field in Manifest.__dataclass_fields__}
    with pytest.raises(BundleError, match="name"):
        Manifest(**{**values, "name": "two\nlines"}).to_json()


def _template():
    with tempfile.TemporaryDirectory() as folder:
        return (tiny_bundle(Path(folder) / "t") / "manifest.json").read_bytes()


TEMPLATE = _template()
OLD = json.loads(TEMPLATE)
