"""Before and after, on the same validation pictures with the same labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoebox.data import Predictions
from shoebox.errors import PredictionsError
from shoebox.evaluation._metrics import accuracy_interval

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """Accuracy of two models on the same `n` pictures; `fixed` and `broken` answers turned right and wrong.

    `before` and `after` are shares, 0 to 1; `before_interval` and `after_interval` their 95 % Wilson intervals.
    """

    n: int
    before: float
    after: float
    fixed: int
    broken: int

    @property
    def before_interval(self) -> tuple[float, float]:
        """Lower and upper bound of `before`."""
        return accuracy_interval(round(self.before * self.n), self.n)

    @property
    def after_interval(self) -> tuple[float, float]:
        """Lower and upper bound of `after`."""
        return accuracy_interval(round(self.after * self.n), self.n)

    def __str__(self) -> str:
        parts = []
        for name, share, (low, high) in (("before", self.before, self.before_interval),
                                         ("after", self.after, self.after_interval)):
            parts.append(f"{name} {share:.1%} (95 % interval {low:.1%} to {high:.1%})")
        return (f"On the same {self.n} validation pictures, with the labels as they are now: {', '.join(parts)}; "
                f"{self.fixed} answers turned right, {self.broken} turned wrong.")

    __repr__ = __str__


def compare(before: Predictions | None, after: Predictions | None) -> Comparison:
    """Compare two models on the held-out pictures that both have seen, by image id, with the labels of `after`.

    Raises
    ------
    PredictionsError
        No picture in common, or rows that are not held out.
    """
    for name, predictions in (("before", before), ("after", after)):
        if predictions is None:
            raise PredictionsError(f"`{name}` is None: no predictions were saved under that name. Save them first, as "
                                   "notebook 2 does with ds.save_predictions(…).")
        if set(predictions.origins) - {"held_out"}:
            raise PredictionsError(f"`{name}` has rows that are not held out. Use Evaluation.predictions of "
                                   "shoebox.evaluate(…), which are.")
    assert before is not None and after is not None
    was, now = _predicted(before), _predicted(after)
    labels = dict(zip(after.image_ids, (after.classes[i] for i in after.labels), strict=True))
    common = sorted(was.keys() & now.keys())
    if not common:
        raise PredictionsError("The two models have no validation picture in common, so they cannot be compared.")
    right_before = _right(was, labels, common)
    right_after = _right(now, labels, common)
    return Comparison(len(common), float(right_before.mean()), float(right_after.mean()),
                      int((right_after & ~right_before).sum()), int((right_before & ~right_after).sum()))


def _predicted(predictions: Predictions) -> dict[str, str]:
    best = predictions.pred_probs.argmax(axis=1)
    return dict(zip(predictions.image_ids, (predictions.classes[i] for i in best), strict=True))


def _right(predicted: Mapping[str, str], labels: Mapping[str, str], common: list[str]) -> NDArray[np.bool_]:
    return np.asarray([predicted[image_id] == labels[image_id] for image_id in common])
