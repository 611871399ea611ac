"""Nearest neighbours in a space of features, exact, without a picture's own near-duplicates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoebox.errors import PredictionsError

__all__ = [
    "Neighbours",
    "find_neighbours",
    "neighbour_distances",
    "neighbour_probabilities",
    "neighbours_wanted",
    "unit_directions",
]

_BLOCK_BYTES = 64_000_000
_ROWS = 4096
_FEW_PER_CLASS = 30
_SHARPNESS = 4
_NOWHERE = np.float32(-2.0)  # below every cosine


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest others of each picture, nearest first.

    Attributes
    ----------
    index : int array (N, k)
        Rows of the neighbours; -1 where there are fewer than k others.
    similarity : float array (N, k)
        Cosines, -1 to 1; higher is nearer. 0 where there is no neighbour.
    """

    index: NDArray[np.int64]
    similarity: NDArray[np.float32]


def neighbours_wanted(n: int, n_classes: int) -> int:
    """How many neighbours vote: 10, or 5 where a class has fewer than 30 pictures on average."""
    return 5 if n < _FEW_PER_CLASS * n_classes else 10


def unit_directions(embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
    """Features (N, d) about their mean, each row scaled to length 1; a row without direction is zero.

    Raises
    ------
    PredictionsError
        Not a table of numbers, or NaN or infinite values in it.
    """
    if embeddings.ndim != 2 or embeddings.shape[1] < 1:
        raise PredictionsError(f"embeddings have shape {embeddings.shape}; (pictures, features) was expected.")
    features = embeddings.astype(np.float32)
    if not np.isfinite(features).all():
        raise PredictionsError("embeddings have NaN or infinite values. Remove .shoebox/features and rank again.")
    features -= features.mean(axis=0)
    length = np.sqrt(np.einsum("ij,ij->i", features, features))  # norm() would square a copy of it all
    features /= np.where(length > 0, length, 1)[:, None]
    return features


def find_neighbours(directions: NDArray[np.float32], groups: NDArray[np.int64], k: int) -> Neighbours:
    """The `k` nearest others of each row by cosine, members of its own group left out.

    Exact: all pairs, in blocks of at most 64 MB. Equal cosines are ordered by row, so that two calls agree.

    Parameters
    ----------
    directions : float array (N, d)
        Rows of length 1, as `unit_directions` gives them.
    groups : int array (N,)
        Near-duplicate group of each row: a mislabelled duplicate must not vouch for itself.
    k : int
        At least 1.
    """
    n = len(directions)
    index, similarity = np.full((n, k), -1, np.int64), np.zeros((n, k), np.float32)
    width = max(1, -(-n // 64))  # columns stand in 64 rows of this width, whose maxima say where to look
    members = _members(groups)
    step = min(n, max(1, _BLOCK_BYTES // (4 * 64 * width)))
    block = np.full((step, 64 * width), _NOWHERE, np.float32)
    for first in range(0, n, step):
        rows = np.arange(first, min(first + step, n))
        cosines = block[:len(rows)]
        np.matmul(directions[first:first + step], directions.T, out=cosines[:, :n])
        for place, row in enumerate(rows):
            cosines[place, members.get(int(groups[row]), row)] = _NOWHERE
        columns, values = _largest(cosines, min(k, n), width)
        there = values > _NOWHERE
        index[rows, :columns.shape[1]] = np.where(there, columns, -1)
        similarity[rows, :columns.shape[1]] = np.where(there, np.clip(values, -1, 1), 0)
    return Neighbours(index, similarity)


def neighbour_probabilities(labels: NDArray[np.int64], neighbours: Neighbours,
                            n_classes: int) -> NDArray[np.float64]:
    """What a picture's neighbours say it is: (N, K), leave-one-out, rows that add up to 1.

    A neighbour's vote weighs its cosine to the fourth power. A picture without neighbours gets 1 / K everywhere.
    """
    there = neighbours.index >= 0
    votes = np.where(there, neighbours.similarity.clip(0).astype(np.float64) ** _SHARPNESS + 1e-9, 0.0)
    classes = labels[neighbours.index]
    flat = np.arange(len(labels))[:, None] * n_classes + classes
    counted = np.bincount(flat.ravel(), votes.ravel(), minlength=len(labels) * n_classes)
    table = counted.reshape(len(labels), n_classes)
    total = table.sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > 0, table / np.where(total > 0, total, 1), 1 / n_classes), np.float64)


def neighbour_distances(embeddings: NDArray[np.floating], neighbours: Neighbours) -> NDArray[np.float64]:
    """Mean Euclidean distance (N,) to the neighbours in the space of the features (N, d); higher is stranger.

    Cosines find the neighbours, but lengths tell strangers: measured on digits with photographs among them, the mean
    cosine distance ranks those with AP .30, this with .99. Infinite for a picture without neighbours.
    """
    centre = embeddings.mean(axis=0, dtype=np.float64)
    length = np.concatenate([np.linalg.norm(embeddings[first:first + _ROWS] - centre, axis=1)
                             for first in range(0, len(embeddings), _ROWS)] or [np.zeros(0)])
    there = neighbours.index >= 0
    own, other = length[:, None], length[neighbours.index]
    squares = own**2 + other**2 - 2 * own * other * neighbours.similarity
    total = np.where(there, np.sqrt(np.maximum(squares, 0)), 0).sum(axis=1)
    return np.where(there.any(axis=1), total / np.maximum(there.sum(axis=1), 1), np.inf)


def _members(groups: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """The rows of every group of two or more."""
    order = np.argsort(groups, kind="stable")
    values, starts, counts = np.unique(groups[order], return_index=True, return_counts=True)
    several = counts > 1
    return {int(value): order[start:start + count]
            for value, start, count in zip(values[several], starts[several], counts[several], strict=True)}


def _largest(cosines: NDArray[np.float32], k: int,
             width: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Columns and values of the `k` largest of each row, largest first.

    The k largest stand in those k groups of columns that have the largest maxima, so only these are sorted.
    """
    n_rows = len(cosines)
    candidates = np.broadcast_to(np.arange(cosines.shape[1]), cosines.shape)
    if width > 4 * k:
        maxima = cosines.reshape(n_rows, 64, width).max(axis=1)
        best = np.sort(np.argpartition(-maxima, k - 1, axis=1)[:, :k], axis=1)
        candidates = (best[:, None, :] + width * np.arange(64)[None, :, None]).reshape(n_rows, -1)
        cosines = np.take_along_axis(cosines, candidates, axis=1)
    places = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
    columns = np.take_along_axis(candidates, places, axis=1)
    values = np.take_along_axis(cosines, places, axis=1)
    order = np.lexsort((columns, -values), axis=1)
    return np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1)
