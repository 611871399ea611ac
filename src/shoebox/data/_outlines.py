"""Features that need no network and no download: the directions of edges and the colours, by place.

Histograms of oriented gradients (Dalal and Triggs 2005) of a 32 x 32 grey copy in cells of 4 x 4 pixels and 8
undirected bins, square-rooted and scaled to length 1, with the mean chroma of 4 x 4 fields. They are a
function of one picture alone, so that they can be kept by its id.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["OUTLINES", "outlines"]

OUTLINES = "outlines-1"  # another number when the features change: kept ones must not mix with new ones
_SIDE, _CELL, _BINS, _FIELDS = 32, 4, 8, 4


def outlines(images: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Features (n, 544) of upright RGB pictures; the picture is squashed to a square."""
    small = [image.convert("YCbCr").resize((_SIDE, _SIDE), Image.Resampling.BICUBIC) for image in images]
    pixels = np.asarray([np.asarray(image) for image in small], np.float32).reshape(-1, _SIDE, _SIDE, 3)
    n, fields = len(pixels), _SIDE // _FIELDS
    chroma = (pixels[..., 1:] - 128.0) / 128.0
    colours = chroma.reshape(n, _FIELDS, fields, _FIELDS, fields, 2).mean(axis=(2, 4)).reshape(n, -1)
    return np.hstack([_edges(pixels[..., 0]), colours]).astype(np.float32)


def _edges(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Square-rooted histograms (n, 512) of edge directions, each row of length 1 (0 for one colour)."""
    n, cells = len(grey), _SIDE // _CELL
    down, across = np.zeros_like(grey), np.zeros_like(grey)
    down[:, 1:-1], across[:, :, 1:-1] = grey[:, 2:] - grey[:, :-2], grey[:, :, 2:] - grey[:, :, :-2]
    strength = np.hypot(across, down)
    bins = (np.arctan2(down, across) % np.pi) / np.pi * _BINS
    low = np.floor(bins).astype(np.int64)
    share = bins - low
    found = np.zeros((n, cells, cells, _BINS), np.float32)
    for number in range(_BINS):
        weight = np.where(low % _BINS == number, 1 - share, 0) + np.where((low + 1) % _BINS == number, share, 0)
        found[..., number] = (strength * weight).reshape(n, cells, _CELL, cells, _CELL).sum(axis=(2, 4))
    rooted = np.sqrt(found.reshape(n, -1))
    length = np.linalg.norm(rooted, axis=1, keepdims=True)
    return np.asarray(rooted / np.where(length > 0, length, 1), np.float32)
