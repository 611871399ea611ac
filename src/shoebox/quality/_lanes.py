"""Lanes: independent opinions about the labels, and the one they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoebox.errors import PredictionsError
from shoebox.quality._label_scores import log_odds_margin

__all__ = ["Lane", "checked_probabilities", "combine_lanes", "in_class_order", "rows_that_count", "trained_weight",
           "without_opinion"]

_FEWEST_HELD_OUT = 20
_SMALLEST = 1e-6
_SURPRISE = 1e-3  # a label less probable than this counts as this: one wrong label must not decide
_WEIGHTS = np.linspace(0, 0.5, 11)
_UNTESTED = 0.25


@dataclass(frozen=True)
class Lane:
    """One opinion about the labels: its name, whether it was used, and why (not) in words."""

    name: str
    used: bool
    reason: str

    def __str__(self) -> str:
        return f"{'used' if self.used else 'not used'}: {self.name} ({self.reason})"


def checked_probabilities(labels: NDArray[np.int64], pred_probs: NDArray[np.floating],
                          n_classes: int) -> NDArray[np.float64]:
    """`pred_probs` as float64, or a `PredictionsError` with all faults at once.

    Wanted are labels (N,) of 0 to K - 1 with K >= 2, and (N, K) finite values of 0 or more in rows that add up to 1.
    """
    n = len(labels)
    if n_classes < 2:
        raise PredictionsError(f"There are labels of {n_classes} class; a wrong label needs at least 2. Add a folder.")
    if pred_probs.shape != (n, n_classes):
        raise PredictionsError(f"pred_probs has shape {pred_probs.shape}; {(n, n_classes)} was expected, a row for "
                               f"each of {n} pictures and a column for each of {n_classes} classes.")
    table = pred_probs.astype(np.float64)
    finite = bool(np.isfinite(table).all())
    faults = [sentence for wrong, sentence in (
        (not finite, f"{int((~np.isfinite(table)).any(axis=1).sum())} rows have NaN or infinite values"),
        (finite and bool((table < 0).any()), f"the smallest value is {table.min() if n else 0:.3g}, below 0"),
        (finite and bool((abs(table.sum(axis=1) - 1) > 1e-3).any()),
         f"{int((abs(table.sum(axis=1) - 1) > 1e-3).sum())} rows do not add up to 1"),
        (bool(((labels < 0) | (labels >= n_classes)).any()), f"labels must lie between 0 and {n_classes - 1}"),
    ) if wrong]
    if faults:
        raise PredictionsError(f"These probabilities cannot be ranked: {'; '.join(faults)}. Predict again.")
    return table


def in_class_order(pred_probs: NDArray[np.floating], came: Sequence[str],
                   wanted: Sequence[str]) -> NDArray[np.float64]:
    """Columns brought from the order of the classes `came` to that of `wanted`, by name; rows add up to 1 again.

    Classes that came but are no longer wanted are left out. `PredictionsError` names both lists when one is missing.
    """
    place = {name: column for column, name in enumerate(came)}
    missing = [name for name in wanted if name not in place]
    if missing or len(place) != len(came):
        raise PredictionsError(f"The model knows {list(came)}; the data set now has {list(wanted)}: "
                               f"{', '.join(map(repr, missing)) or 'a name came twice'}. Train again.")
    table = pred_probs[:, [place[name] for name in wanted]].astype(np.float64)
    total = table.sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > 0, table / np.where(total > 0, total, 1), 1 / len(wanted)), np.float64)


def without_opinion(labels: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Pictures (N,) that are alone in their class, near-duplicates aside: out of sample nothing can vouch for them."""
    pairs = np.unique(np.stack([labels, groups], axis=1), axis=0)
    counts = np.bincount(pairs[:, 0], minlength=int(labels.max(initial=-1)) + 1)
    return np.asarray(counts[labels] < 2, np.bool_)


def combine_lanes(labels: NDArray[np.int64], frozen: NDArray[np.float64], trained: NDArray[np.float64],
                  held_out: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A weighted geometric mean of what frozen features say and what a training says, as probabilities (N, K).

    The training's weight is `trained_weight`'s. A training judges the two sides differently: pictures it learned from
    while it learned, held-out ones never learned. So before the mean, the margins of held-out pictures are given the
    distribution that those of training pictures have (quantile by quantile, by moving the given class); their order
    among themselves stays. Without this one side fills the first pages.

    Parameters
    ----------
    labels : int array (N,)
    frozen : float array (N, K)
        Out-of-sample for every picture, on both sides alike.
    trained : float array (N, K)
        Recorded or held-out; rows of NaN where the training has nothing to say, which leaves `frozen` there. Fewer
        than 20 held-out rows have no distribution and are left out, too.
    held_out : bool array (N,)
        Which pictures the training did not learn from.
    """
    known = rows_that_count(trained, held_out)
    seen, unseen = known & ~held_out, known & held_out
    logs = np.log(np.clip(np.where(known[:, None], trained, 1.0), _SMALLEST, None))
    if unseen.any():
        learned = log_odds_margin(labels[seen], trained[seen]) if seen.any() else \
            log_odds_margin(labels[~held_out], frozen[~held_out])
        rows = np.flatnonzero(unseen)
        margins = log_odds_margin(labels[rows], np.exp(logs[rows]))
        logs[rows, labels[rows]] += _as_distributed(margins, learned) - margins
    mixed = np.log(np.clip(frozen, _SMALLEST, None))
    weight = trained_weight(labels, frozen, trained, held_out)
    mixed[known] = (1 - weight) * mixed[known] + weight * logs[known]
    return _as_probabilities(mixed)


def rows_that_count(trained: NDArray[np.float64], held_out: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pictures (N,) about which `combine_lanes` hears the training; its held-out rows only when there are 20."""
    known = np.isfinite(trained.sum(axis=1))
    return known if (known & held_out).sum() >= _FEWEST_HELD_OUT else np.asarray(known & ~held_out, np.bool_)


def trained_weight(labels: NDArray[np.int64], frozen: NDArray[np.float64], trained: NDArray[np.float64],
                   held_out: NDArray[np.bool_]) -> float:
    """How much a training's opinion counts beside that of frozen features: 0 to 0.5, the other has the rest.

    Of 11 weights the one that makes the labels of held-out pictures most probable (least mean log-loss, labels less
    probable than 0.001 counting as that): there both opinions are out-of-sample. A network that saw 80 pictures knows
    less than their neighbours do, one that saw 1,400 knows more. Fewer than 20 held-out pictures cannot tell, and the
    weight is 0.25.

    Parameters are those of `combine_lanes`.
    """
    rows = np.flatnonzero(np.isfinite(trained.sum(axis=1)) & held_out)
    if len(rows) < _FEWEST_HELD_OUT:
        return _UNTESTED
    ours, theirs = (np.log(np.clip(table[rows], _SMALLEST, None)) for table in (frozen, trained))
    places, losses = np.arange(len(rows)), []
    for weight in _WEIGHTS:
        given = _as_probabilities((1 - weight) * ours + weight * theirs)[places, labels[rows]]
        losses.append(float(-np.log(np.clip(given, _SURPRISE, None)).mean()))
    return float(_WEIGHTS[int(np.argmin(losses))])


def _as_probabilities(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    table = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(table / table.sum(axis=1, keepdims=True), np.float64)


def _as_distributed(values: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """`values` in their order, with the quantiles of `reference`; equal values stay equal."""
    if not len(reference):
        return values
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / len(values)
    return np.asarray(np.quantile(reference, middle)[place], np.float64)
