"""What is refused before anything of a bundle is run: changed bytes, pickles, strange models, files elsewhere."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

import shoebox
from shoebox.bundle import _sealed, inspect, load_classifier
from shoebox.bundle._external import _CHILDREN, refuse_external_data
from shoebox.cli import main
from shoebox.errors import BundleError
from tests._models import edit_manifest, replace_model, tiny_bundle, tiny_model


@pytest.fixture
def bundle(tmp_path):
    return tiny_bundle(tmp_path / "tiny")


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
        parsed.append(model if isinstance(model, bytes) else Path(model).read_bytes())
        return real(model, *args, **kwargs)

    whole = (bundle / "model.onnx").read_bytes()
    monkeypatch.setattr(onnxruntime, "InferenceSession", exchange_first)
    load_classifier(bundle)
    assert parsed == [whole]
    monkeypatch.setattr(_sealed, "_sealable", lambda: None)  # as where there is no sealed memory
    (bundle / "model.onnx").write_bytes(whole)
    load_classifier(bundle)
    assert parsed == [whole, whole]


def test_the_number_of_threads_is_that_of_the_processors_this_process_may_use(bundle, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert load_classifier(bundle).threads == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    assert load_classifier(bundle).threads == 4


def test_the_way_to_convert_a_pickle_is_named_wherever_one_is_given(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("SHOEBOX_MODEL", raising=False)
    marker, source = tmp_path / "the-payload-ran", tmp_path / "export.pkl"
    source.write_bytes(pickle.dumps(Payload(marker)))
    notebook = tmp_path / "app.ipynb"
    notebook.write_text('{"cells": []}')
    said = [shoebox.app(source).problem]
    for ask in (load_classifier, inspect, shoebox.check, shoebox.pack):
        with pytest.raises(BundleError) as caught:
            ask(source)
        said.append(str(caught.value))
    for command in (["inspect", str(source)], ["check", str(source)], ["pack", str(source)],
                    ["serve", str(notebook), "--model", str(source)]):
        assert main(command) == 1
        said.append(capsys.readouterr().err)
    assert len(said) == 9
    for sentence in said:
        assert "shoebox convert export.pkl DATA MODEL" in sentence and "runs whatever code" in sentence
    assert not marker.exists()


def test_a_refusal_leaves_no_import_behind_that_would_abort_the_program(bundle):
    """onnxruntime is imported in a thread: a program that ended meanwhile was aborted, about once in ten."""
    (bundle / "model.onnx").write_bytes(b"not a model")
    source = ("import sys, threading\nfrom shoebox.bundle import load_classifier\n"
              "from shoebox.errors import BundleError\n"
              "assert 'onnxruntime' not in sys.modules\n"
              "try:\n    load_classifier(sys.argv[1])\nexcept BundleError:\n"
              "    print(threading.active_count(), 'onnxruntime' in sys.modules)\n")
    done = subprocess.run([sys.executable, "-c", source, str(bundle)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 True\n", "")
