"""From features, probabilities and the catalog to one ranking: what `shoebox.rank` puts together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shoebox.data import ImageRecord, Predictions, Skipped
from shoebox.errors import PredictionsError
from shoebox.quality._first_order import classes_to_rank
from shoebox.quality._label_issues import aligned_rows, conflict_issues, label_issues, labels_of
from shoebox.quality._lanes import (
    Lane,
    checked_probabilities,
    combine_lanes,
    rows_that_count,
    trained_weight,
    without_opinion,
)
from shoebox.quality._neighbours import (
    Neighbours,
    find_neighbours,
    neighbour_distances,
    neighbour_probabilities,
    neighbours_wanted,
    unit_directions,
)
from shoebox.quality._picture_issues import (
    Thresholds,
    crop_issues,
    duplicate_issues,
    outlier_issues,
    quality_issues,
    unreadable_issues,
)
from shoebox.quality._ranking import Ranking, in_order
from shoebox.types import Issue

__all__ = ["Regress", "rank_pictures"]

Regress = Callable[[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], int], NDArray[np.float64]]
_EVIDENCE = 3


def rank_pictures(records: Sequence[ImageRecord], features: NDArray[np.floating], regress: Regress, *,
                  features_reason: str, trained: Predictions | None = None, trained_reason: str = "",
                  skipped: Iterable[Skipped] = (), thresholds: Thresholds | None = None) -> Ranking:
    """All issues of these pictures in one order.

    Labels are judged by leave-one-out neighbours and a 5-fold regression on `features`, whose mean is one opinion
    about every picture, and by `trained` where it has one; `combine_lanes` says how they are brought together.

    Parameters
    ----------
    records : sequence of ImageRecord, length N
        With their labels as they are now, of at least two classes. None of a sealed test.
    features : float array (N, d)
        Of a network or a formula that never saw a label.
    regress : callable (directions, labels, groups, K) -> (N, K)
        Out-of-fold probabilities; folds follow groups. See `shoebox.evaluation.out_of_fold_probabilities`.
    features_reason, trained_reason : str
        For the lanes: what the features are, and why there is, or is no, training to go by.
    trained : Predictions, optional
        Recorded or held-out probabilities; in-sample rows are not used.
    skipped : iterable of Skipped
        Files that are no usable pictures.

    Raises
    ------
    PredictionsError
        Fewer than two classes, `features` that do not fit, or a `trained` that does not know a class.
    """
    thresholds = thresholds or Thresholds()
    classes = classes_to_rank(records)
    if len(features) != len(records):
        raise PredictionsError(f"{len(features)} rows of features came for {len(records)} pictures. Rank again.")
    labels, groups = labels_of(records, classes), _group_numbers(records)
    directions = unit_directions(features)
    neighbours = find_neighbours(directions, groups, neighbours_wanted(len(labels), len(classes)))
    votes = neighbour_probabilities(labels, neighbours, len(classes))
    fitted = checked_probabilities(labels, regress(directions, labels, groups, len(classes)), len(classes))
    frozen = (votes + fitted) / 2
    frozen[without_opinion(labels, groups)] = 1 / len(classes)
    lanes, rows = [Lane("neighbours and regression", True, features_reason)], np.full_like(frozen, np.nan)
    if trained is not None:
        rows = aligned_rows(trained, records, classes)
    held_out = _held_out(records, trained)
    weight = trained_weight(labels, frozen, rows, held_out)
    counted = rows_that_count(rows, held_out) & (weight > 0)
    lanes.append(_trained_lane(counted, rows, trained, trained_reason, weight, classes))
    pred_probs = combine_lanes(labels, frozen, rows, held_out)
    issues = label_issues(records, labels, pred_probs, classes, _said(counted))
    issues = _with_evidence(issues, records, labels, groups, directions, classes)
    others = [*conflict_issues(issues, records, directions),
              *_outliers(issues, records, features, neighbours, thresholds.outlier),
              *duplicate_issues(issues, records, directions),
              *crop_issues(issues, records, neighbours, thresholds.similar),
              *quality_issues(issues, records, thresholds),
              *unreadable_issues(skipped)]
    return Ranking(in_order([*issues, *others]), classes, lanes=lanes)


def _group_numbers(records: Sequence[ImageRecord]) -> NDArray[np.int64]:
    """Near-duplicate groups as numbers; a picture without one is its own, together with its exact copies."""
    names = [record.group_id or record.image_id for record in records]
    return np.asarray(np.unique(np.asarray(names), return_inverse=True)[1], np.int64)


def _held_out(records: Sequence[ImageRecord], trained: Predictions | None) -> NDArray[np.bool_]:
    origins = {} if trained is None else dict(zip(trained.image_ids, trained.origins, strict=True))
    return np.asarray([origins.get(r.image_id, "") == "held_out" for r in records], np.bool_)


def _trained_lane(counted: NDArray[np.bool_], rows: NDArray[np.float64], trained: Predictions | None, reason: str,
                  weight: float, classes: Sequence[str]) -> Lane:
    """What is said of the training: of how many pictures it was heard, and which classes of its own do not count."""
    known, n = int(np.isfinite(rows).all(axis=1).sum()), int(counted.sum())
    if trained is None:
        return Lane("training", False, reason)
    if not known:
        return Lane("training", False, f"none of its predictions fits a picture here; {reason}")
    if more := sorted(set(trained.classes) - set(classes)):
        reason += f"; it also knew {', '.join(map(repr, more))}, of which there is no picture here, left out"
    name = "recorder" if "recorder" in trained.origins else "held-out predictions"
    if n or weight == 0:
        return Lane(name, n > 0, f"for {n or known} of {len(rows)} pictures, with a weight of {weight:.0%}; {reason}")
    return Lane(name, False, f"for {known} of {len(rows)} pictures, too few held-out ones to compare with; {reason}")


def _said(counted: NDArray[np.bool_]) -> list[str]:
    both = "by what training recorded and by similar pictures"
    return [both if heard else "by similar pictures" for heard in counted]


def _with_evidence(issues: list[Issue], records: Sequence[ImageRecord], labels: NDArray[np.int64],
                   groups: NDArray[np.int64], directions: NDArray[np.float32], classes: Sequence[str]) -> list[Issue]:
    """For every suspect label: the nearest pictures that carry the suggested one, its own duplicates left out."""
    found = list(issues)
    for number, name in enumerate(classes):
        suspects = np.asarray([row for row, issue in enumerate(issues)
                               if issue.score < 0.5 and issue.suggested_label == name], np.int64)
        members = np.flatnonzero(labels == number)
        if not len(suspects) or not len(members):
            continue
        for first in range(0, len(suspects), 1000):
            rows = suspects[first:first + 1000]
            cosines = directions[rows] @ directions[members].T
            cosines[groups[rows][:, None] == groups[members][None, :]] = -2
            for row, nearness in zip(rows, cosines, strict=True):
                best = np.argsort(-nearness, kind="stable")[:_EVIDENCE]
                paths = tuple(records[members[k]].path for k in best if nearness[k] > -2)
                found[row] = replace(issues[row], evidence=paths)
    return found


def _outliers(issues: Sequence[Issue], records: Sequence[ImageRecord], features: NDArray[np.floating],
              neighbours: Neighbours, fence: float) -> list[Issue]:
    nearest = [[records[k].path for k in row[:_EVIDENCE] if k >= 0] for row in neighbours.index]
    return outlier_issues(issues, neighbour_distances(features, neighbours), fence, nearest)
