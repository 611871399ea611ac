"""Predicted probabilities of a data set's pictures, with where each row came from."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from shoebox.errors import PredictionsError
from shoebox.types import Origin

__all__ = ["Predictions"]

_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities for N pictures and K classes.

    Attributes
    ----------
    paths, image_ids : tuple of str, length N
        Which pictures.
    labels : int array (N,)
        Given labels as indices into `classes`.
    pred_probs : float array (N, K)
        Each row adds up to 1.
    classes : tuple of str, length K
    origins : tuple of str, length N
        `recorder`, `out_of_fold`, `held_out` or `in_sample`; see `out_of_sample`.
    about : dict
        How they came to be, in plain words and numbers (architecture, epochs, …).

    Raises
    ------
    PredictionsError
        Wrong shapes, NaN, negative numbers, rows that do not add up to 1, unknown labels or origins: all at once.
    """

    paths: tuple[str, ...]
    image_ids: tuple[str, ...]
    labels: NDArray[np.int64]
    pred_probs: NDArray[np.float32]
    classes: tuple[str, ...]
    origins: tuple[Origin, ...]
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = _faults(self)
        if faults:
            raise PredictionsError("These predictions cannot be used: " + "; ".join(faults) + ".")

    def __eq__(self, other: object) -> bool:
        """Whether the other says the same about the same pictures."""
        return isinstance(other, Predictions) and (self.image_ids, self.classes, self.origins, self.about) == (
            other.image_ids, other.classes, other.origins, other.about) and np.array_equal(
            self.pred_probs, other.pred_probs)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def out_of_sample(self) -> bool:
        """Whether no row was predicted by a model that had simply learned that very picture."""
        return "in_sample" not in self.origins

    def to_bytes(self) -> bytes:
        """As an `.npz` file, without pickles."""
        out = io.BytesIO()
        np.savez_compressed(
            out, paths=_text(self.paths), image_ids=_text(self.image_ids), labels=self.labels,
            pred_probs=self.pred_probs, classes=_text(self.classes), origins=_text(self.origins),
            about=_text([f"{key}={value}" for key, value in self.about.items()]),
        )
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Predictions:
        """Read what `to_bytes` wrote."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                about = dict(line.split("=", 1) for line in _lines(file["about"]))
                return cls(
                    _lines(file["paths"]), _lines(file["image_ids"]), file["labels"], file["pred_probs"],
                    _lines(file["classes"]), _lines(file["origins"]), about,  # type: ignore[arg-type]
                )
        except (KeyError, ValueError, OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            raise PredictionsError(f"The saved predictions cannot be read ({error}). Train again.") from None


def _faults(p: Predictions) -> list[str]:
    n, k = len(p.paths), len(p.classes)
    if p.pred_probs.shape != (n, k):
        return [f"pred_probs has shape {p.pred_probs.shape}, expected {(n, k)} for {n} pictures and {k} classes"]
    if p.labels.shape != (n,) or len(p.image_ids) != n or len(p.origins) != n:
        return [f"labels, image_ids and origins need length {n}; they have {p.labels.shape}, "
                f"{len(p.image_ids)} and {len(p.origins)}"]
    sums = p.pred_probs.sum(axis=1)
    tests = (
        (not np.isfinite(p.pred_probs).all(), "pred_probs has NaN or infinite values"),
        (bool((p.pred_probs < 0).any()), "pred_probs has negative values"),
        (bool((np.abs(sums - 1) > _TOLERANCE).any()), "rows of pred_probs do not add up to 1"),
        (bool(((p.labels < 0) | (p.labels >= k)).any()), f"labels must lie between 0 and {k - 1}"),
        (bool(set(p.origins) - set(get_args(Origin))), f"origins must be among {', '.join(get_args(Origin))}"),
    )
    return [sentence for wrong, sentence in tests if wrong]


def _text(items: Sequence[str]) -> NDArray[np.uint8]:
    return np.frombuffer("\0".join(items).encode("utf-8", "surrogateescape"), dtype=np.uint8)


def _lines(array: NDArray[np.uint8]) -> tuple[str, ...]:
    text = array.tobytes().decode("utf-8", "surrogateescape")
    return tuple(text.split("\0")) if text else ()
