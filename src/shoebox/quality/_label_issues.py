"""Issues about labels: every picture's own, and the same picture under two labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shoebox.data import ImageRecord, Predictions
from shoebox.errors import PredictionsError
from shoebox.quality._label_scores import label_quality_scores
from shoebox.quality._lanes import in_class_order
from shoebox.quality._ranking import Ranking
from shoebox.types import Issue, Origin

__all__ = ["aligned_rows", "conflict_issues", "label_issues", "labels_of", "rank_predictions", "same_pictures"]

_ALIKE = 0.9
_SAID_BY: dict[Origin, str] = {
    "recorder": "on average over training",
    "held_out": "without having trained on it",
    "out_of_fold": "without having trained on it",
    "in_sample": "although it had trained on it",
}


def label_issues(records: Sequence[ImageRecord], labels: NDArray[np.int64], pred_probs: NDArray[np.floating],
                 classes: Sequence[str], said: Sequence[str]) -> list[Issue]:
    """One issue of kind `label` per picture, in the order of `records`.

    The score is that of `label_quality_scores`, 0 to 1, lower is worse. `said` ends the sentence: who says so.
    `pred_probs` (N, K) must be out-of-sample or recorded.
    """
    scores = label_quality_scores(labels, pred_probs)
    best = pred_probs.argmax(axis=1)
    issues = []
    for row, record in enumerate(records):
        given, top = int(labels[row]), int(best[row])
        agrees = "agrees" if top == given else f"says {classes[top]!r}"
        probability = float(pred_probs[row, top])
        issues.append(Issue(
            path=record.path, image_id=record.image_id, kind="label", score=float(scores[row]),
            given_label=record.label, suggested_label=classes[top], given_probability=float(pred_probs[row, given]),
            suggested_probability=probability, side=record.side,
            reason=f"Labelled {record.label!r}; the model {agrees} ({probability:.0%} {said[row]})."))
    return issues


def labels_of(records: Sequence[ImageRecord], classes: Sequence[str]) -> NDArray[np.int64]:
    """The given labels as indices into `classes`; `PredictionsError` names those that are not among them."""
    number = {label: i for i, label in enumerate(classes)}
    unknown = sorted({record.label for record in records} - number.keys())
    if unknown:
        raise PredictionsError(f"The model knows {list(classes)}; the data set now has "
                               f"{', '.join(map(repr, unknown))} too. Train again.")
    return np.asarray([number[record.label] for record in records], np.int64)


def rank_predictions(predictions: Predictions, records: Mapping[str, ImageRecord]) -> Ranking:
    """Rank the labels by one model's probabilities alone, worst first; equal ones by path.

    Parameters
    ----------
    predictions : Predictions
        For at least two classes. A picture that moved since keeps its row: rows belong to content. Pictures
        that no row belongs to are left out, and `note` says how many.
    records : mapping of path to ImageRecord
        The data set as it is now: the labels that count are these, not those of the time of training.

    Raises
    ------
    PredictionsError
        No row fits the data set any more, or a picture has a class that the model did not know.
    """
    row_of = {image_id: row for row, image_id in enumerate(predictions.image_ids)}
    ranked = [record for record in records.values() if record.image_id in row_of]
    if not ranked or len(predictions.classes) < 2:
        raise PredictionsError(f"{len(predictions)} predictions for {len(predictions.classes)} classes came, and "
                               f"{len(ranked)} of the pictures here are among them. Train again on this data set.")
    rows = [row_of[record.image_id] for record in ranked]
    labels = labels_of(ranked, predictions.classes)
    said = [_SAID_BY[predictions.origins[row]] for row in rows]
    issues = label_issues(ranked, labels, predictions.pred_probs[rows], predictions.classes, said)
    issues.sort(key=lambda issue: (issue.score, issue.path))
    return Ranking(issues, predictions.classes, _note(predictions, len(ranked), len(records)))


def conflict_issues(issues: Sequence[Issue], records: Sequence[ImageRecord],
                    directions: NDArray[np.float32]) -> list[Issue]:
    """The same picture, or nearly the same, under different labels: at least one of them is wrong.

    The scan's groups are blind to colour; nearly the same are those whose `directions` agree, too (cosine of 0.9).

    An issue of kind `conflict` for each member of such a group, with the other label's pictures as evidence. Its
    score is half that of the label, so that the less believed one comes first and both stand among the suspects.
    """
    found = []
    for rows in same_pictures(records):
        for row in rows:
            others = [r for r in rows if records[r].label != records[row].label
                      and _alike(records[r], records[row], float(directions[r] @ directions[row]))]
            if not others:
                continue
            twin = min(others, key=lambda r: (records[r].image_id != records[row].image_id, records[r].path))
            same = "The same file" if records[twin].image_id == records[row].image_id else "Nearly the same picture"
            found.append(replace(
                issues[row], kind="conflict", score=issues[row].score / 2,
                suggested_label=_other_label(issues[row], [records[r].label for r in others]),
                evidence=tuple(records[r].path for r in [twin, *(r for r in others if r != twin)][:3]),
                reason=f"{same} stands under {records[twin].label!r} as {records[twin].path!r}; "
                       f"this one is labelled {records[row].label!r}. One of them is wrong."))
    return found


def same_pictures(records: Sequence[ImageRecord]) -> list[list[int]]:
    """Rows of each group of near-duplicates with at least two pictures, in order."""
    groups: dict[str, list[int]] = defaultdict(list)
    for row, record in enumerate(records):
        groups[record.group_id or record.image_id].append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def _alike(one: ImageRecord, other: ImageRecord, cosine: float) -> bool:
    return one.image_id == other.image_id or cosine >= _ALIKE


def _other_label(issue: Issue, others: Sequence[str]) -> str:
    """What to suggest: the given label where the model believes it, else the twin's, unless it has a third idea."""
    return issue.suggested_label if issue.suggested_label in (issue.given_label, *others) else others[0]


def _note(predictions: Predictions, used: int, pictures: int) -> str:
    sentences = []
    if pictures > used:
        sentences.append(f"{pictures - used} pictures have no prediction (new, or not recorded) and are not ranked. "
                         "Train again.")
    if not predictions.out_of_sample:
        sentences.append("Some pictures were judged by a model that had trained on them, which hides wrong labels. "
                         "Train with shoebox.vision_learner, or add shoebox.Recorder() to the learner's callbacks.")
    return " ".join(sentences)


def aligned_rows(predictions: Predictions, records: Sequence[ImageRecord],
                 classes: Sequence[str]) -> NDArray[np.float64]:
    """The rows of `predictions` for `records`, columns in the order of `classes`; NaN where none belongs to it.

    Rows belong to content, and in-sample ones count as none.
    """
    table = in_class_order(predictions.pred_probs, predictions.classes, classes)
    row_of = {image_id: row for row, image_id in enumerate(predictions.image_ids)
              if predictions.origins[row] != "in_sample"}
    rows = np.full((len(records), len(classes)), np.nan)
    for place, record in enumerate(records):
        if record.image_id in row_of:
            rows[place] = table[row_of[record.image_id]]
    return rows
