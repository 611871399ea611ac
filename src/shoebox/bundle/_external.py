"""Does an ONNX model want other files? Found out from its bytes, before any parser that would open them.

onnxruntime reads external weights relative to the current folder even when the model comes from memory. The whole
of a bundle's model is in one file, so a tensor that points elsewhere is refused. Only the structure is walked
(protobuf's wire format; field numbers from onnx.proto), which takes milliseconds and needs no onnx package.
"""

from __future__ import annotations

from collections.abc import Iterator

from shoebox.errors import BundleError

__all__ = ["refuse_external_data"]

# message -> field number -> message: every way from a model to its tensors
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of TensorProto
_MAX_DEPTH = 60


def refuse_external_data(model: bytes | memoryview, name: str) -> None:
    """Raise `BundleError` when a tensor of the model lies in another file, or when the bytes are no protobuf."""
    try:
        external = _is_external(memoryview(model), "model", 0)
    except (IndexError, ValueError):
        raise BundleError(f"{name} cannot be loaded: it is no ONNX model. Export the model again.") from None
    if external:
        raise BundleError(f"{name} cannot be loaded: it wants weights from another file, which Shoebox never reads. "
                          "Export the model with shoebox.export, which puts everything into one file.")


def _is_external(data: memoryview, message: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    children = _CHILDREN[message]
    for field, value in _fields(data):
        if message == "tensor" and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value != 0)):
            return True
        if field in children and isinstance(value, memoryview) and _is_external(value, children[field], depth + 1):
            return True
    return False


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers with their numbers or bytes."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        field, kind = tag >> 3, tag & 7
        if kind == 0:
            number, place = _varint(data, place)
            yield field, number
            continue
        length, place = _varint(data, place) if kind == 2 else ({1: 8, 5: 4}.get(kind, -1), place)
        if length < 0 or place + length > len(data):
            raise ValueError("no such field")
        yield field, data[place:place + length]
        place += length


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
    raise ValueError("a number of more than ten bytes")
