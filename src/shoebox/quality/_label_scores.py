"""Scores of given labels, as pure functions on arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["log_odds_margin", "margin_to_score"]

_SMALLEST = 1e-12


def log_odds_margin(labels: NDArray[np.int64], pred_probs: NDArray[np.floating]) -> NDArray[np.float64]:
    """How much more the given label is believed than the best other one; lower is more suspicious.

    Parameters
    ----------
    labels : int array (N,)
        Given labels, 0 to K - 1.
    pred_probs : float array (N, K), K >= 2
        Out-of-sample, or recorded over training: a network's opinion of pictures it has memorised says nothing.

    Returns
    -------
    float array (N,)
        ``log p[given] - log max p[other]``, in nats; probabilities under 1e-12 count as 1e-12.
    """
    logs = np.log(np.clip(pred_probs.astype(np.float64), _SMALLEST, None))
    rows = np.arange(len(labels))
    given = logs[rows, labels]
    others = logs.copy()
    others[rows, labels] = -np.inf
    return np.asarray(given - others.max(axis=1), dtype=np.float64)


def margin_to_score(margin: NDArray[np.float64]) -> NDArray[np.float64]:
    """The margin as ``p[given] / (p[given] + p[best other])``: 0 to 1, lower is worse, below 0.5 is disagreement."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(margin, -700, 700))), dtype=np.float64)
