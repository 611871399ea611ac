"""Counts and intervals on arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["accuracy_interval", "confusion_matrix", "most_confused"]


def confusion_matrix(labels: NDArray[np.int64], predicted: NDArray[np.int64], n_classes: int) -> NDArray[np.int64]:
    """Counts (K, K): row = given label, column = predicted label."""
    matrix = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(matrix, (labels, predicted), 1)
    return matrix


def most_confused(matrix: NDArray[np.int64], classes: Sequence[str], *,
                  min_count: int = 1) -> list[tuple[str, str, int]]:
    """Pairs (given, predicted, count) off the diagonal with at least `min_count`, most frequent first."""
    pairs = [(classes[i], classes[j], int(count)) for (i, j), count in np.ndenumerate(matrix) if i != j]
    return sorted((pair for pair in pairs if pair[2] >= min_count), key=lambda pair: (-pair[2], pair[0], pair[1]))


def accuracy_interval(correct: int, n: int, *, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share (95 % with z=1.96): (low, high), each 0 to 1; (0, 1) when n is 0."""
    if not n:
        return 0.0, 1.0
    share = correct / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))
