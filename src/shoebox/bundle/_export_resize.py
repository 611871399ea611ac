"""Pillow's bilinear `Image.resize` as ONNX nodes, equal to it in every value.

ONNX has a Resize of its own, but onnxruntime rounds its weights from single precision: one value in a hundred comes
out one step off (one in fifteen for enlarged pictures), which moved probabilities of a resnet18 by 0.002. Here the
weights are computed as Pillow does (double precision, 22 bits after the point), and the sums are whole numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

__all__ = ["Graph", "pillow_picks_the_order", "resized"]

_BITS = 22  # of Pillow's weights: 32 less 8 for the result and 2 to spare


class Graph:
    """Nodes and constants in the making; every method gives the name of a value."""

    def __init__(self, prefix: str = "pre") -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._prefix = prefix
        self._inner = 0

    def constant(self, value: NDArray[Any]) -> str:
        """A constant tensor."""
        name = f"{self._prefix}_c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def ints(self, *values: int) -> str:
        """A constant int64 vector."""
        return self.constant(np.asarray(values, np.int64))

    def reals(self, *values: float) -> str:
        """A constant vector of doubles."""
        return self.constant(np.asarray(values, np.float64))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The output of one more node."""
        name = f"{self._prefix}_{len(self.nodes)}_{kind}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def whole(self, value: str) -> str:
        """double -> int64, towards zero: Python's `int()`."""
        return self.op("Cast", value, to=TensorProto.INT64)

    def double(self, value: str) -> str:
        """int64 -> double."""
        return self.op("Cast", value, to=TensorProto.DOUBLE)

    def name(self, part: str) -> str:
        """A name for an input of this graph."""
        return f"{self._prefix}_{part}"

    def inner(self) -> Graph:
        """A graph for a branch or a loop of this one; it may use this one's values."""
        self._inner += 1
        return Graph(f"{self._prefix}_g{self._inner}")

    def as_proto(self, inputs: list[Any], outputs: list[Any]) -> Any:
        """The finished inner graph."""
        return helper.make_graph(self.nodes, self._prefix, inputs, outputs, self.constants)


def resized(graph: Graph, pixels: str, size: tuple[int, int], *, picks_order: bool) -> str:
    """uint8 (N, H, W, 3) -> uint8 (N, height, width, 3), as `Image.resize((width, height), BILINEAR)`.

    A picture of that size already is handed on. Otherwise width comes first, but Pillow 13 does height first when the
    height shrinks, by over twice what the width loses.
    """
    sides = graph.op("Slice", graph.op("Shape", pixels), graph.ints(1), graph.ints(3))
    lost = graph.op("Sub", sides, graph.ints(*size[::-1]))
    fits = graph.op("Equal", graph.op("ReduceSum", graph.op("Abs", lost), keepdims=0), graph.constant(np.asarray(0)))
    as_it_is, made_to_fit = graph.inner(), graph.inner()
    same = as_it_is.op("Identity", pixels)
    result = _in_order(made_to_fit, pixels, size, lost) if picks_order else _both(made_to_fit, pixels, size,
                                                                                  height_first=False)
    either = graph.op("If", fits, then_branch=_proto(as_it_is, same), else_branch=_proto(made_to_fit, result))
    # Says again what shape it has, which is lost after If: onnxruntime lays out a network's planes for the processor
    # only where it knows their shape.
    return graph.op("Reshape", either, graph.ints(-1, size[1], size[0], 3))


def _in_order(graph: Graph, pixels: str, size: tuple[int, int], lost: str) -> str:
    """As `resized`, by the order that Pillow 13 picks; `lost` is (height, width)."""
    lost_height = graph.op("Gather", lost, graph.constant(np.asarray(0)))
    lost_width = graph.op("Gather", lost, graph.constant(np.asarray(1)))
    more = graph.op("Greater", lost_height, graph.op("Add", lost_width, lost_width))
    height_first = graph.op("And", more, graph.op("Greater", lost_height, graph.constant(np.asarray(0))))
    return graph.op("If", height_first, then_branch=_branch(graph, pixels, size, height_first=True),
                    else_branch=_branch(graph, pixels, size, height_first=False))


def pillow_picks_the_order() -> bool:
    """Whether the installed Pillow sometimes resizes the height first, as it does from version 13.

    Which pass comes first shows in the rounding of one value in five, so it is asked rather than assumed.
    """
    noise = np.random.default_rng(0).integers(0, 256, (120, 24, 3), np.uint8)
    tall, bilinear = Image.fromarray(noise), Image.Resampling.BILINEAR
    height_first = tall.resize((24, 16), bilinear).resize((16, 16), bilinear)
    return tall.resize((16, 16), bilinear).tobytes() == height_first.tobytes()


def _branch(graph: Graph, pixels: str, size: tuple[int, int], *, height_first: bool) -> Any:
    inner = graph.inner()
    return _proto(inner, _both(inner, pixels, size, height_first=height_first))


def _proto(inner: Graph, result: str) -> Any:
    return inner.as_proto([], [helper.make_tensor_value_info(result, TensorProto.UINT8, None)])


def _both(graph: Graph, pixels: str, size: tuple[int, int], *, height_first: bool) -> str:
    """Each pass runs along axis 1, where whole rows are read at once; the width is turned there and back."""
    if height_first:
        return _turned(graph, _pass(graph, _turned(graph, _pass(graph, pixels, size[1])), size[0]))
    return _pass(graph, _turned(graph, _pass(graph, _turned(graph, pixels), size[0])), size[1])


def _turned(graph: Graph, pixels: str) -> str:
    return graph.op("Transpose", pixels, perm=[0, 2, 1, 3])


def _pass(graph: Graph, pixels: str, n_out: int) -> str:
    """uint8 (N, n_in, M, 3) -> uint8 (N, n_out, M, 3)."""
    shape = graph.op("Shape", pixels)
    n_in = graph.op("Gather", shape, graph.ints(1))
    places, weights, n_taps = _taps(graph, n_in, n_out)
    start = graph.op("Concat", graph.op("Gather", shape, graph.ints(0)), graph.ints(n_out),
                     graph.op("Gather", shape, graph.ints(2)), graph.ints(3), axis=0)
    half = numpy_helper.from_array(np.asarray([1 << (_BITS - 1)], np.int32))
    sums = graph.op("ConstantOfShape", start, value=half)
    sums = graph.op("Loop", graph.op("Squeeze", n_taps), "", sums, body=_tap(graph, pixels, places, weights))
    return graph.op("Cast", graph.op("Div", sums, graph.constant(np.asarray(1 << _BITS, np.int32))),
                    to=TensorProto.UINT8)


def _taps(graph: Graph, n_in: str, n_out: int) -> tuple[str, str, str]:
    """Where each output value reads and with what weight, (taps, n_out) both, and the number of taps."""
    scale = graph.op("Div", graph.double(n_in), graph.reals(n_out))
    support = graph.op("Max", scale, graph.reals(1.0))
    half = graph.reals(0.5)
    centre = graph.op("Mul", graph.constant(np.arange(n_out, dtype=np.float64) + 0.5), scale)
    lowest = graph.whole(graph.op("Add", graph.op("Sub", centre, support), half))
    first = graph.op("Max", lowest, graph.ints(0))
    end = graph.op("Min", graph.whole(graph.op("Add", graph.op("Add", centre, support), half)), n_in)
    n_taps = graph.op("Add", graph.op("Mul", graph.whole(graph.op("Ceil", support)), graph.ints(2)), graph.ints(1))
    steps = graph.op("Range", graph.constant(np.asarray(0)), graph.op("Squeeze", n_taps), graph.constant(np.asarray(1)))
    places = graph.op("Add", graph.op("Unsqueeze", steps, graph.ints(1)), first)
    distance = graph.op("Add", graph.op("Sub", graph.double(places), centre), half)
    distance = graph.op("Abs", graph.op("Mul", distance, graph.op("Div", graph.reals(1.0), support)))
    weights = graph.op("Max", graph.op("Sub", graph.reals(1.0), distance), graph.reals(0.0))
    weights = graph.op("Mul", weights, graph.double(graph.op("Less", places, end)))
    weights = graph.op("Div", weights, graph.op("ReduceSum", weights, graph.ints(0), keepdims=1))
    scaled = graph.op("Add", half, graph.op("Mul", weights, graph.reals(1 << _BITS)))
    on_picture = graph.op("Min", places, graph.op("Sub", n_in, graph.ints(1)))
    return on_picture, graph.op("Cast", scaled, to=TensorProto.INT32), n_taps


def _tap(graph: Graph, pixels: str, places: str, weights: str) -> Any:
    """The loop's body: sums += pixels[:, places[i]] * weights[i]."""
    body = graph.inner()
    number, go_on, sums = (body.name(part) for part in ("number", "go_on", "sums"))
    values = body.op("Gather", pixels, body.op("Gather", places, number, axis=0), axis=1)
    weight = body.op("Unsqueeze", body.op("Gather", weights, number, axis=0), body.ints(1, 2))
    products = body.op("Mul", body.op("Cast", values, to=TensorProto.INT32), weight)
    total = body.op("Add", sums, products)
    again = body.op("Identity", go_on)
    return body.as_proto(
        [helper.make_tensor_value_info(number, TensorProto.INT64, []),
         helper.make_tensor_value_info(go_on, TensorProto.BOOL, []),
         helper.make_tensor_value_info(sums, TensorProto.INT32, None)],
        [helper.make_tensor_value_info(again, TensorProto.BOOL, []),
         helper.make_tensor_value_info(total, TensorProto.INT32, None)])
