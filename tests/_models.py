"""Small models for the tests: a bundle without torch, and a lively untrained learner."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from shoebox.bundle import Manifest
from shoebox.bundle._manifest import PROTOCOL, checksum
from shoebox.bundle._records import Calibration, DatasetRecord, FileRecord, Parity, Preprocessing

CLASSES = ("red", "green", "blue")
WEIGHTS = np.asarray([[4, -2, -2], [-2, 4, -2], [-2, -2, 4]], np.float32)


def tiny_model(classes: int = 3, *, input_name: str = "image", output_name: str = "probabilities",
               weights: Any = None) -> onnx.ModelProto:
    """softmax of a matrix times the mean colour: enough to tell red, green and blue."""
    matrix = WEIGHTS if weights is None else np.asarray(weights, np.float32)
    constants = [numpy_helper.from_array(matrix[:, :classes] / 255 * 2, "matrix"),
                 numpy_helper.from_array(np.asarray([1, 2]), "axes")]
    nodes = [helper.make_node("Cast", [input_name], ["pixels"], to=TensorProto.FLOAT),
             helper.make_node("ReduceMean", ["pixels", "axes"], ["colour"], keepdims=0),
             helper.make_node("MatMul", ["colour", "matrix"], ["logits"]),
             helper.make_node("Softmax", ["logits"], [output_name], axis=1)]
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info(input_name, TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info(output_name, TensorProto.FLOAT, ["N", classes])], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def feature_model() -> onnx.ModelProto:
    """`tiny_model` that also gives its mean colour as `features`, and as `cam` what each pixel speaks for."""
    model = tiny_model()
    model.graph.node.extend([helper.make_node("Identity", ["colour"], ["features"]),
                             helper.make_node("MatMul", ["pixels", "matrix"], ["everywhere"]),
                             helper.make_node("Transpose", ["everywhere"], ["planes"], perm=[0, 3, 1, 2]),
                             helper.make_node("ReduceMean", ["planes", "second"], ["middle"], keepdims=1),
                             helper.make_node("Sub", ["planes", "middle"], ["cam"])])
    model.graph.initializer.append(numpy_helper.from_array(np.asarray([1]), "second"))
    model.graph.output.extend([helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3]),
                               helper.make_tensor_value_info("cam", TensorProto.FLOAT, ["N", 3, None, None])])
    return model


def tiny_bundle(folder: Path, *, classes: tuple[str, ...] = CLASSES, temperature: float = 1.0,
                least_px: int | None = None, model: onnx.ModelProto | None = None,
                extra: dict[str, bytes] | None = None, **fields: Any) -> Path:
    """A whole bundle around `tiny_model`; `fields` go into the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"model.onnx": (model or tiny_model()).SerializeToString(), "MODEL_CARD.md": b"# tiny\n",
                **(extra or {})}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    manifest = Manifest(
        PROTOCOL, "Tiny", "2026-01-02T03:04:05Z", classes,
        Preprocessing("squish", (8, 8), (8, 8), least_px=least_px), temperature,
        {"accuracy": 0.5, "n_images": 4}, Parity(4, 0.0, 1e-3, 4), DatasetRecord("0" * 64, dict.fromkeys(classes, 2)),
        {"shoebox": "0.1.0"},
        {name: FileRecord(hashlib.sha256(data).hexdigest(), len(data)) for name, data in contents.items()},
        calibration=None if temperature == 1 else Calibration(100, 1.0, 0.9), **fields)
    (folder / "manifest.json").write_bytes(manifest.to_json())
    return folder


def edit_manifest(folder: Path, change: Any, *, seal: bool = True) -> None:
    """`change(values)` on the manifest of a bundle; with `seal`, by someone who knows how the checksum is made."""
    path = folder / "manifest.json"
    values = json.loads(path.read_text("utf-8"))
    change(values)
    if seal:
        values["checksum"] = checksum(values)
    path.write_text(json.dumps(values), "utf-8")


def replace_model(folder: Path, data: bytes) -> None:
    """Put another model in, and its hash into the manifest."""
    (folder / "model.onnx").write_bytes(data)
    record = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    edit_manifest(folder, lambda values: values["files"].__setitem__("model.onnx", record))


def lively_learner(dls: Any, seed: int = 1) -> Any:
    """An untrained small network that has seen the pictures' statistics and gives unlike answers to unlike pictures."""
    import torch

    import shoebox

    shoebox.seed_everything(seed)
    learn = shoebox.vision_learner(dls, shoebox.small_cnn, pretrained=False, lin_ftrs=[], ps=0.1)
    for module in learn.model.modules():
        if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            module.momentum = None  # the mean over all that it has seen
    pictures = torch.cat([torch.as_tensor(batch[0]) for batch in dls.train]).as_subclass(torch.Tensor)
    with torch.no_grad():
        learn.model.train()
        learn.model(pictures)
        learn.model.eval()
        spread = learn.model(pictures).std(dim=0).mean()
        last = [module for module in learn.model.modules() if isinstance(module, torch.nn.Linear)][-1]
        last.weight.mul_(2 / spread)
    return learn
