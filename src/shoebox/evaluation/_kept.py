"""Out-of-fold probabilities that are kept beside the catalog."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from shoebox.data import Dataset, Predictions
from shoebox.errors import PredictionsError
from shoebox.evaluation._folds import out_of_fold_probabilities

__all__ = ["KeptRegression"]

_NAME = "regression"


class KeptRegression:
    """`out_of_fold_probabilities` for one data set: what was fitted last is kept there, and not fitted again."""

    def __init__(self, ds: Dataset) -> None:
        self._ds = ds

    def __call__(self, directions: NDArray[np.float32], labels: NDArray[np.int64], groups: NDArray[np.int64],
                 n_classes: int) -> NDArray[np.float64]:
        digest = hashlib.sha256(b"1")  # another number when the regression changes
        for array in (directions, labels, groups):
            digest.update(np.ascontiguousarray(array).data)
        key = digest.hexdigest()
        try:
            kept = self._ds.predictions(_NAME)
        except PredictionsError:
            kept = None
        if kept is None or kept.about.get("key") != key:
            rows = out_of_fold_probabilities(directions, labels, groups, n_classes).astype(np.float32)
            names = tuple(map(str, range(len(labels))))
            kept = Predictions(names, names, labels, rows, tuple(map(str, range(n_classes))),
                               tuple("out_of_fold" for _ in names), {"key": key})
            self._ds.save_predictions(kept, _NAME)
        return kept.pred_probs.astype(np.float64)
