"""The app's half of the bundle: what is checked before anything is run, and what `predict` gives."""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
import tempfile
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shoebox.bundle import Manifest, inspect, load_classifier
from shoebox.bundle._external import _CHILDREN, refuse_external_data
from shoebox.bundle._manifest import PROTOCOLS
from shoebox.errors import BundleError, ImageError
from tests._models import CLASSES, WEIGHTS, edit_manifest, replace_model, tiny_bundle, tiny_model
from tests._pictures import AWKWARD, CYRILLIC, draw, save

NAMES = (CYRILLIC, AWKWARD, "🐻 | `x` \\ 熊")


@pytest.fixture
def bundle(tmp_path):
    return tiny_bundle(tmp_path / "tiny")


@pytest.fixture
def no_parser(monkeypatch):
    """Fails the test when anything is given to onnxruntime."""
    def refuse(*_, **__):
        pytest.fail("onnxruntime was asked to parse a file that had not been checked")  # which no except catches

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)


# predictions

def test_every_kind_of_picture_gives_the_same_answer(bundle, tmp_path):
    classifier = load_classifier(bundle)
    image = Image.new("RGB", (30, 20), (250, 10, 10))
    path = save(tmp_path / "red.png", image)
    answers = [classifier.predict(source) for source in
               (path, str(path), path.read_bytes(), memoryview(path.read_bytes()), image, np.asarray(image))]
    assert {answer.label for answer in answers} == {"red"}
    assert len({tuple(answer.probabilities.items()) for answer in answers}) == 1


def test_probabilities_are_the_models_own_best_first(bundle):
    answer = load_classifier(bundle).predict(Image.new("RGB", (5, 7), (20, 200, 120)))
    logits = np.asarray([20, 200, 120]) @ (WEIGHTS.astype(float) / 255 * 2)
    expected = np.exp(logits) / np.exp(logits).sum()
    assert list(answer.probabilities) == ["green", "blue", "red"] == [label for label, _ in answer.top()]
    assert [answer.probabilities[label] for label in CLASSES] == pytest.approx(expected, abs=1e-6)
    assert answer.probability == answer.probabilities["green"] and answer.elapsed_ms > 0
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert answer.known is None and answer.p_value is None


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_divides_the_logits(tmp_path, temperature):
    classifier = load_classifier(tiny_bundle(tmp_path / "warm", temperature=temperature))
    answer = classifier.predict(Image.new("RGB", (4, 4), (90, 60, 40)))
    logits = np.asarray([90, 60, 40]) @ (WEIGHTS.astype(float) / 255 * 2) / temperature
    expected = np.exp(logits) / np.exp(logits).sum()
    assert [answer.probabilities[label] for label in CLASSES] == pytest.approx(expected, abs=1e-5)


def test_a_phone_photo_is_turned_upright(bundle, tmp_path):
    """Upper half red as seen, left half red as stored: only the upright picture has the right pixels."""
    shapes = []
    classifier = load_classifier(bundle)
    inner = classifier._run
    classifier._run = lambda pixels: shapes.append(pixels.shape) or inner(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "phone.jpg", draw(1, (40, 20)), exif=exif)
    classifier.predict(path)
    assert shapes == [(1, 40, 20, 3)]


def test_a_broken_picture_is_an_image_error(bundle, tmp_path):
    classifier = load_classifier(bundle)
    data = save(tmp_path / "whole.jpg", draw(2)).read_bytes()
    for broken in (b"", b"text", data[:200], tmp_path / "not-there.jpg", np.zeros((3, 3), np.float32)):
        with pytest.raises(ImageError):
            classifier.predict(broken)
    assert classifier.predict(data).label in CLASSES


def test_many_pictures_come_back_in_order_with_progress(bundle):
    colours = [(250, 0, 0), (0, 0, 250), (0, 250, 0), (250, 0, 0)]
    heard = []
    answers = load_classifier(bundle).predict_many((Image.new("RGB", (9, 9), colour) for colour in colours),
                                                   lambda done, total: heard.append((done, total)))
    assert [answer.label for answer in answers] == ["red", "blue", "green", "red"]
    assert heard == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert load_classifier(bundle).predict_many([]) == []


def test_threads_share_one_classifier(bundle):
    classifier = load_classifier(bundle, threads=1)
    pictures = [draw(seed, (20 + seed, 50 - seed)) for seed in range(24)]
    alone = [classifier.predict(picture).probabilities for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda picture: classifier.predict(picture).probabilities, pictures * 4))
    assert together == alone * 4


def test_the_number_of_threads_is_checked(bundle):
    with pytest.raises(BundleError, match="threads is 0"):
        load_classifier(bundle, threads=0)


def test_a_classifier_says_what_it_is_in_a_line(bundle):
    assert repr(load_classifier(bundle)) == "Classifier('Tiny', 3 classes, 8 x 8 px, 0.0 MB)"


def test_class_names_in_any_script_come_through(tmp_path):
    nfd = tuple(unicodedata.normalize("NFD", name) for name in NAMES)
    classifier = load_classifier(tiny_bundle(tmp_path / "папка с 'именем'", classes=nfd))
    assert classifier.classes == NAMES
    assert set(classifier.predict(Image.new("RGB", (4, 4))).probabilities) == set(NAMES)
    assert classifier.manifest.dataset.counts == dict.fromkeys(NAMES, 2)


# what is refused

def test_any_changed_byte_is_refused_before_anything_is_parsed(bundle, no_parser):
    rng = random.Random(7)
    for path in sorted(bundle.iterdir()):
        whole = path.read_bytes()
        solid = [i for i, byte in enumerate(whole) if path.suffix != ".json" or not chr(byte).isspace()]
        for place in rng.sample(solid, min(60, len(solid))):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ rng.randrange(1, 256)]) + whole[place + 1:])
            with pytest.raises(BundleError):
                load_classifier(bundle)
        path.write_bytes(whole)
    with pytest.raises(pytest.fail.Exception, match="onnxruntime was asked"):
        load_classifier(bundle)  # unchanged again: only now does it come to the parser


@pytest.mark.parametrize("name", ["model.onnx", "MODEL_CARD.md", "manifest.json"])
@pytest.mark.parametrize("harm", ["cut", "longer", "empty", "missing", "folder", "link", "link to a folder"])
def test_harmed_files_are_refused_in_a_sentence(bundle, no_parser, tmp_path, name, harm):
    path = bundle / name
    data = path.read_bytes()
    path.unlink()
    if harm == "folder":
        path.mkdir()
    elif harm.startswith("link"):
        target = tmp_path / "elsewhere"
        target.mkdir() if harm.endswith("folder") else target.write_bytes(data)
        path.symlink_to(target)
    elif harm != "missing":
        path.write_bytes({"cut": data[:-5], "longer": data + b"\n ", "empty": b""}[harm])
    if (name, harm) == ("manifest.json", "longer"):
        assert inspect(bundle).name == "Tiny"  # white space after the end says nothing
        return
    with pytest.raises(BundleError, match=name) as caught:
        load_classifier(bundle)
    assert ("symbolic link" in str(caught.value)) == harm.startswith("link")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_and_not_waited_for(bundle, no_parser):
    (bundle / "model.onnx").unlink()
    os.mkfifo(bundle / "model.onnx")
    with pytest.raises(BundleError, match="no ordinary file"):
        load_classifier(bundle)


@pytest.mark.parametrize("name", ["../secret.onnx", "/etc/passwd", "sub/model.onnx", "..", "C:\\model.onnx",
                                  "manifest.json", "a\\b", ".hidden", "model.onnx\n", "", "MANIFEST.JSON"])
def test_no_file_outside_the_folder_is_ever_named(bundle, no_parser, name):
    edit_manifest(bundle, lambda values: values["files"].__setitem__(name, values["files"]["MODEL_CARD.md"]))
    with pytest.raises(BundleError, match="no plain file name"):
        load_classifier(bundle)


class Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("name", ["export.pkl", "model.PTH", "weights.pt"])
def test_a_pickle_is_refused_and_its_code_is_not_run(tmp_path, name):
    marker = tmp_path / "the-payload-ran"
    (tmp_path / name).write_bytes(pickle.dumps(Payload(marker)))
    for ask in (load_classifier, inspect):
        with pytest.raises(BundleError, match=r"runs whatever code.*shoebox\.export"):
            ask(tmp_path / name)
    assert not marker.exists()
    pickle.loads((tmp_path / name).read_bytes())
    assert marker.exists()  # it would have


def test_what_is_no_bundle_is_refused_in_a_sentence(tmp_path, bundle):
    (tmp_path / "empty").mkdir()
    for path, sentence in ((tmp_path / "nothing", "no bundle at"), (tmp_path / "empty", "no manifest.json"),
                           (bundle / "model.onnx", "a bundle is a folder")):
        with pytest.raises(BundleError, match=sentence):
            load_classifier(path)


@pytest.mark.parametrize(("model", "sentence"), [
    (tiny_model(input_name="picture"), "takes 'image' as uint8"),
    (tiny_model(output_name="logits2"), "gives 'probabilities'"),
    (tiny_model(classes=2), "names 3 classes"),
    (tiny_model(weights=np.full((3, 3), np.nan)), "no probabilities"),
])
def test_a_model_of_another_kind_is_refused(tmp_path, model, sentence):
    with pytest.raises(BundleError, match=sentence):
        load_classifier(tiny_bundle(tmp_path / "other", model=model))


def test_a_model_without_softmax_is_refused(bundle):
    model = tiny_model()
    model.graph.node[-1].op_type = "Identity"
    del model.graph.node[-1].attribute[:]
    replace_model(bundle, model.SerializeToString())
    with pytest.raises(BundleError, match="no probabilities"):
        load_classifier(bundle)


def test_garbage_with_a_fitting_hash_is_a_sentence(bundle, capfd):
    replace_model(bundle, b"\x08\x0a garbage")
    with pytest.raises(BundleError, match=r"model\.onnx cannot be loaded"):
        load_classifier(bundle)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("location", ["weights.bin", "absolute", "../outside.bin"])
def test_weights_outside_the_model_file_are_refused(tmp_path, monkeypatch, location):
    model = tiny_model()
    tensor = model.graph.initializer[0]
    places = [tmp_path / "tiny" / "weights.bin", tmp_path / "outside.bin", tmp_path / "weights.bin"]
    data = tensor.raw_data
    onnx.external_data_helper.set_external_data(tensor, str(places[1]) if location == "absolute" else location)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    bundle = tiny_bundle(tmp_path / "tiny", model=model, extra={"weights.bin": data})
    for place in places:
        place.write_bytes(data)
    monkeypatch.chdir(bundle)
    with pytest.raises(BundleError, match="another file"):
        load_classifier(bundle)


def external(tensor):
    onnx.external_data_helper.set_external_data(tensor, "weights.bin")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    return tensor


def test_weights_outside_are_found_wherever_they_hide():
    plain = onnx.numpy_helper.from_array(np.ones(3, np.float32), "t")
    hidden = external(onnx.numpy_helper.from_array(np.ones(3, np.float32), "t"))
    for tensor in (plain, hidden):
        constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
        inner = onnx.helper.make_graph([constant], "inner", [], [])
        branch = onnx.helper.make_node("If", ["image"], ["b"], then_branch=inner, else_branch=inner)
        sparse = onnx.SparseTensorProto(values=tensor)
        places = [tiny_model() for _ in range(5)]
        places[0].graph.node.append(constant)
        places[1].graph.node.append(branch)
        places[2].graph.sparse_initializer.append(sparse)
        places[3].functions.append(onnx.helper.make_function("d", "f", [], ["c"], [constant], []))
        places[4].training_info.add().algorithm.node.append(branch)
        for model in places:
            if tensor is plain:
                refuse_external_data(model.SerializeToString(), "m")
            else:
                with pytest.raises(BundleError, match="another file"):
                    refuse_external_data(model.SerializeToString(), "m")


def test_the_walk_knows_every_way_to_a_tensor():
    """Against onnx's own description, so that a new field of a later version is noticed."""
    names = {"ModelProto": "model", "TrainingInfoProto": "training", "FunctionProto": "function", "GraphProto": "graph",
             "NodeProto": "node", "AttributeProto": "attribute", "SparseTensorProto": "sparse", "TensorProto": "tensor"}
    for proto, name in names.items():
        fields = getattr(onnx, proto).DESCRIPTOR.fields
        assert _CHILDREN[name] == {f.number: names[f.message_type.name] for f in fields
                                   if f.message_type is not None and f.message_type.name in names}
        assert not {f.message_type.name for f in fields if f.message_type is not None} - set(names) - {
            "OperatorSetIdProto", "StringStringEntryProto", "DeviceConfigurationProto", "NodeDeviceConfigurationProto",
            "ValueInfoProto", "TensorAnnotation", "TypeProto", "Segment"}


@given(st.binary(max_size=200))
def test_the_walk_over_garbage_ends_in_a_sentence(data):
    try:
        refuse_external_data(data, "m")
    except BundleError as error:
        assert "cannot be loaded" in str(error)


def test_the_bytes_that_were_checked_are_the_bytes_that_are_parsed(bundle, monkeypatch):
    """A file that is exchanged after the check makes no difference."""
    parsed = []
    real = onnxruntime.InferenceSession

    def exchange_first(model, *args, **kwargs):
        (bundle / "model.onnx").write_bytes(b"exchanged")
        parsed.append(model)
        return real(model, *args, **kwargs)

    whole = (bundle / "model.onnx").read_bytes()
    monkeypatch.setattr(onnxruntime, "InferenceSession", exchange_first)
    load_classifier(bundle)
    assert parsed == [whole]


# the manifest

def test_inspect_reads_without_loading(bundle, no_parser):
    (bundle / "model.onnx").write_bytes(b"damaged")
    manifest = inspect(bundle)
    assert manifest.classes == CLASSES and manifest.fingerprint == "0" * 64
    assert "Tiny: 3 classes (red, green, blue)" in str(manifest) and "50.0% of 4" in str(manifest)


@pytest.mark.parametrize("number", [0, 2, 99, -1, "1", 1.5, True, None, [1]])
def test_an_unknown_protocol_is_named_with_the_known_ones(bundle, no_parser, number):
    edit_manifest(bundle, lambda values: values.update(protocol=number, unknown_to_us={"future": True}))
    with pytest.raises(BundleError, match="this version of Shoebox reads 1") as caught:
        load_classifier(bundle)
    assert repr(number) in str(caught.value) and PROTOCOLS == (1,)


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
    (("thresholds",), {}, "thresholds"), (("thresholds",), 0.5, "thresholds"),
    (("metrics",), None, "metrics"), (("metrics", "accuracy"), 1.5, "accuracy"), (("metrics", "f1"), "high", "f1"),
    (("metrics", "n_images"), 0, "n_images"), (("metrics", "n_images"), 10**400, "n_images"),
    (("metrics", ""), 1, "no name"), (("parity", "n"), 0, r"parity\.n"), (("parity", "n"), True, r"parity\.n"),
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
        assert inspect(bundle) != before or field in ("thresholds", "checksum")
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
    edit_manifest(bundle, lambda values: values.update(name=1, created=2, temperature=3000, thresholds=4))
    with pytest.raises(BundleError) as caught:
        inspect(bundle)
    assert all(field in str(caught.value) for field in ("name", "created", "temperature", "thresholds"))


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


# the app half stays small

def test_a_fresh_process_loads_and_predicts_without_the_studio(bundle, tmp_path):
    path = save(tmp_path / "red.jpg", Image.new("RGB", (50, 40), "red"))
    code = ("import sys\n"
            "import shoebox\n"
            "answer = shoebox.load_classifier(sys.argv[1]).predict(sys.argv[2])\n"
            "studio = ('torch', 'torchvision', 'fastai', 'fastcore', 'onnx', 'onnxscript', 'sklearn', 'pandas', "
            "'matplotlib', 'IPython', 'ipywidgets', 'anywidget', 'pickletools', 'cloudpickle')\n"
            "print(answer.label, sorted(set(studio) & set(sys.modules)))\n")
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code, str(bundle), str(path)], capture_output=True,
                         text=True, check=False, cwd=tmp_path)
    assert (ran.stdout, ran.stderr) == ("red []\n", "")


def _template():
    with tempfile.TemporaryDirectory() as folder:
        return (tiny_bundle(Path(folder) / "t") / "manifest.json").read_bytes()


TEMPLATE = _template()
