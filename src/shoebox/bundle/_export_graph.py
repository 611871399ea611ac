"""Preprocessing as an ONNX graph: the pixels of a picture of any size in, the network's input out.

The arithmetic is fastai's and Pillow's to the pixel: `int()` of a double where fastai drops a pixel, the middle
crop before the resize, and Pillow's own weights and rounding.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from shoebox.bundle._export_resize import Graph, pillow_picks_the_order, resized
from shoebox.bundle._records import Preprocessing

__all__ = ["preprocessing_graph"]


def preprocessing_graph(steps: Preprocessing, *, picks_order: bool | None = None) -> tuple[Graph, str]:
    """Nodes from `image`, uint8 (N, H, W, 3), to the value of the returned name, float32 (N, 3, h, w).

    `picks_order` says how Pillow resizes; the installed one is asked unless it is given.
    """
    graph = Graph()
    pixels = _cropped(graph, "image", steps.resize_px) if steps.method == "crop" else "image"
    if steps.method == "pad":
        pixels = _padded(graph, pixels, steps)
    picks_order = pillow_picks_the_order() if picks_order is None else picks_order
    pixels = resized(graph, pixels, steps.resize_px, picks_order=picks_order)
    if steps.size_px != steps.resize_px:
        pixels = _middle(graph, pixels, steps.resize_px, steps.size_px)
    return graph, _normalised(graph, pixels, steps)


def _size(graph: Graph, pixels: str) -> tuple[str, str]:
    """Width and height as int64 vectors of one element."""
    shape = graph.op("Shape", pixels)
    return graph.op("Gather", shape, graph.ints(2)), graph.op("Gather", shape, graph.ints(1))


def _window(graph: Graph, pixels: str, size: tuple[int, int], pick: str) -> list[tuple[str, str]]:
    """fastai's `Resize` for crop (`pick` is Min) and pad (Max): (start, length) for width and height."""
    measured = [graph.double(value) for value in _size(graph, pixels)]
    wanted = [graph.reals(side) for side in size]
    scale = graph.op(pick, *(graph.op("Div", m, w) for m, w in zip(measured, wanted, strict=True)))
    windows = []
    for whole, side in zip(measured, wanted, strict=True):
        length = graph.op("Max", graph.whole(graph.op("Mul", scale, side)), graph.ints(1))
        spare = graph.op("Sub", whole, graph.double(length))
        start = graph.whole(graph.op("Mul", spare, graph.reals(0.5)))
        windows.append((start, length))
    return windows


def _cropped(graph: Graph, pixels: str, size: tuple[int, int]) -> str:
    (left, width), (top, height) = _window(graph, pixels, size, "Min")
    starts = graph.op("Concat", top, left, axis=0)
    ends = graph.op("Add", starts, graph.op("Concat", height, width, axis=0))
    return graph.op("Slice", pixels, starts, ends, graph.ints(1, 2))


def _padded(graph: Graph, pixels: str, steps: Preprocessing) -> str:
    windows = _window(graph, pixels, steps.resize_px, "Max")
    for axis, (start, length), measured in zip((2, 1), windows, _size(graph, pixels), strict=True):
        places = _places(graph, start, length)
        pixels = graph.op("Gather", pixels, _inside(graph, places, measured, steps.pad_mode == "reflection"), axis=axis)
        if steps.pad_mode == "zeros":
            in_picture = graph.op("And", graph.op("GreaterOrEqual", places, graph.ints(0)),
                                  graph.op("Less", places, measured))
            column = graph.op("Reshape", in_picture, graph.ints(1, *((-1, 1) if axis == 1 else (1, -1)), 1))
            pixels = graph.op("Where", column, pixels, graph.constant(np.zeros((), np.uint8)))
    return pixels


def _places(graph: Graph, start: str, length: str) -> str:
    """start, start + 1, … (`length` of them); negative and over the end where padding is wanted."""
    first, end = (graph.op("Squeeze", value) for value in (start, graph.op("Add", start, length)))
    return graph.op("Range", first, end, graph.constant(np.asarray(1, np.int64)))


def _inside(graph: Graph, places: str, measured: str, reflect: bool) -> str:
    """Places on the picture: the nearest, or mirrored at the edge pixels as often as needed, as numpy does."""
    last = graph.op("Sub", measured, graph.ints(1))
    if not reflect:
        return graph.op("Min", graph.op("Max", places, graph.ints(0)), last)
    period = graph.op("Mul", last, graph.ints(2))
    place = graph.op("Mod", places, graph.op("Max", period, graph.ints(1)))
    return graph.op("Min", place, graph.op("Abs", graph.op("Sub", period, place)))


def _middle(graph: Graph, pixels: str, size: tuple[int, int], wanted: tuple[int, int]) -> str:
    left, top = ((side - side_wanted) // 2 for side, side_wanted in zip(size, wanted, strict=True))
    return graph.op("Slice", pixels, graph.ints(top, left), graph.ints(top + wanted[1], left + wanted[0]),
                    graph.ints(1, 2))


def _normalised(graph: Graph, pixels: str, steps: Preprocessing) -> str:
    planes = graph.op("Transpose", pixels, perm=[0, 3, 1, 2])
    values = graph.op("Cast", planes, to=TensorProto.FLOAT)
    value = graph.op("Div", values, graph.constant(np.asarray([255], np.float32)))
    if steps.mean is not None and steps.std is not None:
        mean, std = (graph.constant(np.asarray(v, np.float32).reshape(1, 3, 1, 1)) for v in (steps.mean, steps.std))
        value = graph.op("Div", graph.op("Sub", value, mean), std)
    return value
