"""The parts of a manifest: small frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_SIDE_PX",
    "DatasetRecord",
    "FileRecord",
    "Method",
    "PadMode",
    "Parity",
    "Preprocessing",
]

Method = Literal["squish", "crop", "pad"]
PadMode = Literal["reflection", "border", "zeros"]

MAX_SIDE_PX = 8192
MAX_FILE_BYTES = 2**31 - 1  # protobuf's own limit


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the network's input. It is in the graph of `model.onnx` too; this is the record of it.

    Attributes
    ----------
    method : str
        `squish` to `resize_px`; `crop` the middle to its shape first; or `pad` to its shape first.
    resize_px, size_px : (width, height)
        After resizing, and after the middle of that was cut out; the same unless the learner's
        validation keeps a margin (`RandomResizedCrop`).
    pad_mode : str or None
        `reflection`, `border` or `zeros`, for `pad`.
    mean, std : (red, green, blue) or None
        Subtracted from and divided into values of 0 to 1; None when the learner does not normalise.
    """

    method: Method
    resize_px: tuple[int, int]
    size_px: tuple[int, int]
    pad_mode: PadMode | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Parity:
    """How well the bundle repeated its learner: the largest difference of a probability over `n` pictures.

    `same_labels` counts the pictures with the same answer; `side` is `valid`, or `any` when there was no
    validation picture. Lower is better, and an export with a difference over `bound` was never written.
    """

    n: int
    max_difference: float
    bound: float
    same_labels: int
    side: Literal["valid", "any"] = "valid"


@dataclass(frozen=True)
class DatasetRecord:
    """The data set that the model was made from: its fingerprint and its pictures per class."""

    fingerprint: str
    counts: Mapping[str, int]


@dataclass(frozen=True)
class FileRecord:
    """What one file of the bundle must be."""

    sha256: str
    size_bytes: int
