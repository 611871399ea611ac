"""Honest numbers from held-out pictures: p-values, label sets and temperatures, on plain arrays.

All of them hold for pictures like the held-out ones; for others they promise nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["at_temperature", "label_set", "p_values"]

Floats = NDArray[np.float64]


def p_values(scores: Floats, calibration: Floats) -> Floats:
    """Conformal p-values (1 + #{calibration >= score}) / (n + 1), each 0 to 1; lower is stranger.

    Parameters
    ----------
    scores : array (N,)
        Of new pictures; higher is stranger.
    calibration : array (n,)
        Of held-out pictures, sorted, lowest first.
    """
    at_least = len(calibration) - np.searchsorted(calibration, scores, side="left")
    return np.asarray((1 + at_least) / (len(calibration) + 1), np.float64)


def label_set(probabilities: Floats, threshold: float) -> NDArray[np.int64]:
    """Places of the classes with at least `threshold` of `probabilities` (K,), most probable first; may be empty."""
    order = np.argsort(-probabilities, kind="stable")
    return np.asarray(order[probabilities[order] >= threshold], np.int64)


def at_temperature(probabilities: Floats, temperature: float) -> Floats:
    """softmax(logits / T), from softmax(logits) of shape (N, K): p ** (1 / T), normalised."""
    if temperature == 1.0:
        return probabilities
    with np.errstate(divide="ignore"):
        scaled = np.log(probabilities) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)
