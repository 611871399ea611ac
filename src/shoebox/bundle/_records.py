"""The parts of a manifest: small frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shoebox.bundle._intervals import band_level

__all__ = [
    "MAX_CLASSES",
    "MAX_FILE_BYTES",
    "MAX_LEAST_PX",
    "MAX_SIDE_PX",
    "Calibration",
    "DatasetRecord",
    "Example",
    "FileRecord",
    "LabelSets",
    "Method",
    "Novelty",
    "PadMode",
    "Parity",
    "Precision",
    "Preprocessing",
]

Method = Literal["squish", "crop", "pad"]
PadMode = Literal["reflection", "border", "zeros"]

MAX_CLASSES = 50_000
MAX_SIDE_PX = 8192
MAX_LEAST_PX = 65_535  # no JPEG is larger
MAX_FILE_BYTES = 2**31 - 1  # protobuf's own limit


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the network's input. But for `least_px` it is in the graph of `model.onnx` too.

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
    least_px : int or None
        Before all that: a JPEG is decoded at the smallest of 1/1, 1/2, 1/4 and 1/8 of its size, as libjpeg does it,
        whose shorter side (rounded up) is at least this. None when every picture is decoded in full.
    """

    method: Method
    resize_px: tuple[int, int]
    size_px: tuple[int, int]
    pad_mode: PadMode | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    least_px: int | None = None


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


@dataclass(frozen=True)
class Calibration:
    """What the temperature did to the log-loss (lower is better) of the `n` held-out pictures it was fitted on."""

    n: int
    log_loss_before: float
    log_loss_after: float


@dataclass(frozen=True)
class Novelty:
    """"None of these": when a picture is called unknown, and how often that is a false alarm.

    Attributes
    ----------
    n : int
        Held-out pictures that a p-value counts over.
    alarm_rate : float
        A picture is unknown when its p-value is at most this, 0 to 1.
    band : (low, high)
        Where the true share of false alarms lies in `level` of such calibrations: a Beta band of `n` and `alarm_rate`.
    file : str
        With the numbers of the three scores.
    """

    n: int
    alarm_rate: float
    band: tuple[float, float]
    file: str = "novelty.npz"

    @property
    def level(self) -> float:
        """Of the band, 0 to 1, worked out from it: 0.9 of what is exported now, 0.95 of some older bundles."""
        return band_level(self.n, self.alarm_rate, self.band)


@dataclass(frozen=True)
class LabelSets:
    """Conformal label sets (LAC): every class of at least `threshold` probability.

    A set holds the right class for `coverage` of new pictures of the same kind; `n` held-out pictures set the
    threshold, and the fewer they are the rougher that share.
    """

    n: int
    coverage: float
    threshold: float


@dataclass(frozen=True)
class Precision:
    """Another file of the same network with weights of 8 bits, and how near it stays to the full one.

    `same_labels` of `n` pictures got the same answer, every clear one among them: it was offered only because
    wherever the two best probabilities of the learner are more than `bound` apart the label is the same.
    """

    file: str
    n: int
    max_difference: float
    bound: float
    same_labels: int


@dataclass(frozen=True)
class Example:
    """A picture that travels with the bundle, and its learner's probabilities, before any temperature."""

    file: str
    label: str
    probabilities: tuple[float, ...]
