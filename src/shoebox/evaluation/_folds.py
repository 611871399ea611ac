"""Out-of-fold probabilities on frozen features: what a simple model says of pictures it has not seen."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

__all__ = ["fold_of", "out_of_fold_probabilities"]

_STRENGTH = 0.01
_STEPS, _FEWEST_STEPS, _STEPS_TIMES_PICTURES = 100, 25, 600_000


def fold_of(labels: NDArray[np.int64], groups: NDArray[np.int64], n_folds: int = 5) -> NDArray[np.int64]:
    """The fold of each picture, 0 to `n_folds` - 1; a group of near-duplicates stands in one fold.

    Groups are dealt out class by class, so that each class spreads over the folds as evenly as its groups allow.
    """
    values, first, group = np.unique(groups, return_index=True, return_inverse=True)
    shuffled = np.random.default_rng(0).permutation(len(values))
    dealt = shuffled[np.argsort(labels[first][shuffled], kind="stable")]
    folds = np.empty(len(values), np.int64)
    folds[dealt] = np.arange(len(values)) % n_folds
    return np.asarray(folds[group], np.int64)


def out_of_fold_probabilities(directions: NDArray[np.float32], labels: NDArray[np.int64], groups: NDArray[np.int64],
                              n_classes: int, *, n_folds: int = 5) -> NDArray[np.float64]:
    """Probabilities (N, K) of a 5-fold logistic regression with strong L2 (C=.01).

    100 steps of L-BFGS up to 6,000 pictures, fewer above, 25 from 24,000 on: with many pictures the order is settled
    sooner.

    Parameters
    ----------
    directions : float array (N, d)
        Rows of length 1, as `shoebox.quality.unit_directions` gives them.
    labels, groups : int arrays (N,)
        Given labels 0 to K - 1, and near-duplicate groups: folds never cut through a group.

    Returns
    -------
    float array (N, K)
        Rows add up to 1. A class that the other folds do not have gets 0: such a fold knows nothing of it.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    probabilities = np.zeros((len(labels), n_classes))
    scale = np.float32(np.sqrt(directions.shape[1]))
    steps = min(_STEPS, max(_FEWEST_STEPS, _STEPS_TIMES_PICTURES // max(1, len(labels))))
    folds = fold_of(labels, groups, n_folds)
    for fold in range(n_folds):
        held_out, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        present = np.unique(labels[others])
        if len(held_out) and len(present) > 1:
            seen = directions[others]
            seen *= scale
            model = LogisticRegression(C=_STRENGTH, max_iter=steps, tol=1e-3)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # the order is settled long before the weights
                model.fit(seen, labels[others])
            probabilities[np.ix_(held_out, model.classes_)] = model.predict_proba(directions[held_out] * scale)
        elif len(held_out):
            probabilities[np.ix_(held_out, present if len(present) else np.arange(n_classes))] = 1.0
    return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True), np.float64)
