"""From the map that the network gives to one that lies over the upright picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shoebox.bundle._records import Preprocessing

__all__ = ["heatmap"]

_SIDE = 256  # of the result at most: the network's own map has about 7 x 7 cells


def heatmap(evidence: NDArray[np.float32], steps: Preprocessing, width_px: int,
            height_px: int) -> NDArray[np.float32]:
    """Where the answer was seen, float32 (h, w), 0 to 1, over the whole upright picture in its proportions.

    Parameters
    ----------
    evidence : array (rows, columns)
        Of one class over the network's input: what speaks for it (above 0) or against it. The result is what
        speaks for it, as a share of the most; all 0 when nothing does, and where the network never looked.
    steps : Preprocessing
        What of the picture was the network's input.
    width_px, height_px : int
        Of the upright picture.
    """
    shrink = max(1.0, max(width_px, height_px) / _SIDE)
    across = _spread(evidence.shape[1], round(width_px / shrink), *_seen(steps, 0, (width_px, height_px)))
    down = _spread(evidence.shape[0], round(height_px / shrink), *_seen(steps, 1, (width_px, height_px)))
    positive = np.maximum(evidence.astype(np.float64), 0)
    most = positive.max()
    return (down @ (positive / most if most > 0 else positive) @ across.T).astype(np.float32)


def _seen(steps: Preprocessing, axis: int, measured: tuple[int, int]) -> tuple[float, float]:
    """Start and end of the network's input on the picture, as shares of its width or height; may lie outside."""
    length = float(measured[axis])
    if steps.method != "squish":
        pick = min if steps.method == "crop" else max
        length = pick(side / wanted for side, wanted in zip(measured, steps.resize_px, strict=True))
        length *= steps.resize_px[axis]
    start = (measured[axis] - length) / 2
    margin = (steps.resize_px[axis] - steps.size_px[axis]) / 2 / steps.resize_px[axis] * length
    return (start + margin) / measured[axis], (start + length - margin) / measured[axis]


def _spread(n_in: int, n_out: int, start: float, end: float) -> NDArray[np.float64]:
    """Weights (n_out, n_in) that spread `n_in` cells between two shares of `n_out` places, linear between centres."""
    n_out = max(1, n_out)
    share = ((np.arange(n_out) + 0.5) / n_out - start) / (end - start)
    place = np.clip(share * n_in - 0.5, 0, n_in - 1)
    weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(n_in)[None]))
    return np.asarray(weights * ((share >= 0) & (share <= 1))[:, None], np.float64)
