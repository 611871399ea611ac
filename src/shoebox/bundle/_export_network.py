"""The learner's network as ONNX, put behind the preprocessing graph, without a trace of the machine it was made on."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from shoebox.bundle._export_graph import preprocessing_graph
from shoebox.bundle._records import Preprocessing
from shoebox.errors import BundleError

__all__ = ["NO_MAP", "model_bytes", "strip_notes"]

_OPSET = 20
_LOGGERS = ("torch.onnx", "torch.export", "torch.fx", "torch._dynamo", "onnxscript", "onnx_ir", "onnx")


NO_MAP = ("Left off: this network does not end in a body that keeps the picture's plane and a head that takes it, as "
          "fastai's vision_learner builds them, so no place of a picture can be given a class.")


def model_bytes(network: nn.Module, example: Tensor, steps: Preprocessing, n_classes: int) -> bytes:
    """The whole of `model.onnx`: `probabilities`, and `features` and `cam` where the network has them.

    `features` (N, F) are the input of the last layer, when that is a plain linear one. `cam` (N, K, rows, columns) is
    a class-activation map: the head is asked about every place of the body's output as though the whole picture
    looked like that place, and the mean over the classes is taken off its logits. Above 0 speaks for a class. For a
    head of average pooling and one linear layer these are the maps of Zhou et al. (2016) but for the mean over
    classes, and their mean over the places is the logits; for fastai's head (two poolings, two linear layers) the
    places do not add up, but each is still judged by the very layers that judge the picture.

    Parameters
    ----------
    network : torch module
        On the CPU, in evaluation mode; gives logits (N, K). It is not changed.
    example : float32 tensor (2, 3, h, w)
        What the learner's pipeline made of pictures; only its shape matters.
    steps : Preprocessing
        Goes in front.
    n_classes : int
        K.
    """
    exported = _exported(network, example)
    _check_outputs(exported.graph, n_classes)
    graph, ready = preprocessing_graph(steps)
    nodes = [*graph.nodes, *exported.graph.node]
    _rename_input(nodes, exported.graph.input[0].name, ready)
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", n_classes])]
    if len(exported.graph.output) > 1:
        outputs.append(helper.make_tensor_value_info("cam", TensorProto.FLOAT, ["N", n_classes, None, None]))
    if features := _features(exported.graph):
        nodes.append(helper.make_node("Identity", [features], ["features"], name="features"))
        outputs.append(helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", None]))
    whole = helper.make_graph(
        nodes, "shoebox", [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])], outputs,
        [*graph.constants, *exported.graph.initializer])
    model = helper.make_model(whole, opset_imports=exported.opset_import, functions=exported.functions,
                              ir_version=exported.ir_version, producer_name="shoebox")
    strip_notes(model)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def strip_notes(message: Any) -> None:
    """Empty every `metadata_props` and `doc_string` below `message`: exporters write stack traces with paths there."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in (value if hasattr(value, "__len__") and not hasattr(value, "ListFields") else (value,)):
                strip_notes(part)


class _WithProbabilities(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        return torch.softmax(self.network(pictures), dim=1)


class _WithMap(nn.Module):
    """For networks of a body that keeps the plane and a head."""

    def __init__(self, network: nn.Sequential) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        body, head = self.network[0], self.network[1]
        plane = body(pictures)
        return torch.softmax(head(plane), dim=1), _evidence(head, plane)


def _evidence(head: nn.Module, plane: Tensor) -> Tensor:
    n, channels, rows, columns = plane.shape
    places = plane.permute(0, 2, 3, 1).reshape(-1, channels, 1, 1)
    logits: Tensor = head(places)
    evidence: Tensor = (logits - logits.mean(dim=1, keepdim=True)).reshape(n, rows, columns, -1)
    return evidence.permute(0, 3, 1, 2)


def _has_plane(network: nn.Module, example: Tensor) -> bool:
    """Whether it is a body and a head, and the head can be asked about a single place."""
    if not isinstance(network, nn.Sequential) or len(network) != 2:
        return False
    try:
        with torch.no_grad():
            plane = network[0](example)
            evidence = _evidence(network[1], plane)
            whole = network[1](plane)
    except Exception:  # a head that wants a plane of a given size, or none
        return False
    return bool(plane.ndim == 4 and min(plane.shape[2:]) > 1 and evidence.shape[1] == whole.shape[1])


def _exported(network: nn.Module, example: Tensor) -> Any:
    plane = _has_plane(network, example)
    whole = _WithMap(network) if plane and isinstance(network, nn.Sequential) else _WithProbabilities(network)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                whole.eval(), (example,), dynamo=True, opset_version=_OPSET, verbose=False,
                input_names=["normalised"], output_names=["probabilities", "cam"][:1 + plane], external_data=False,
                dynamic_shapes=({0: torch.export.Dim("N")},))
    except Exception as error:  # the exporter wraps whatever any layer of the network raised
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise BundleError(f"torch could not turn this network into ONNX ({reason}). Use an architecture of "
                          "torchvision or timm, or simplify your own.") from error
    if program is None:
        raise BundleError("torch gave no ONNX program for this network. Use an architecture of torchvision or timm.")
    return program.model_proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's remarks on its own internals are for its makers; failures come as exceptions."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _check_outputs(graph: Any, n_classes: int) -> None:
    shape = [dim.dim_value for dim in graph.output[0].type.tensor_type.shape.dim]
    if len(graph.input) != 1 or shape[1:] != [n_classes]:
        raise BundleError(f"The network gives outputs of shape {shape} (0 = any); probabilities for {n_classes} "
                          "classes were expected. Train with the classes of this data set.")


def _rename_input(nodes: list[Any], old: str, new: str) -> None:
    for node in nodes:
        for place, name in enumerate(node.input):
            if name == old:
                node.input[place] = new


def _features(graph: Any) -> str | None:
    """The input of the layer that gives the logits, (N, F), when that layer is a plain linear one."""
    makers = {name: node for node in graph.node for name in node.output}
    node = makers.get(graph.output[0].name)
    for kinds in (("Softmax",), ("Gemm", "MatMul", "Add")):
        if node is None or node.op_type not in kinds:
            return None
        if node.op_type == "Add":
            node = next((makers[name] for name in node.input if name in makers), None)
            return str(node.input[0]) if node is not None and node.op_type == "MatMul" else None
        if node.op_type != "Softmax":
            return str(node.input[0])
        node = makers.get(node.input[0])
    return None
