"""The ranking: every picture, most suspicious first, each with its reason in words."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import overload

import numpy as np

from shoebox.data import ImageRecord, Predictions
from shoebox.errors import PredictionsError
from shoebox.quality._label_scores import log_odds_margin, margin_to_score
from shoebox.types import Issue, Origin

__all__ = ["Ranking", "rank_predictions"]

_SAID_BY: dict[Origin, str] = {
    "recorder": "on average over training",
    "held_out": "without having trained on it",
    "out_of_fold": "without having trained on it",
    "in_sample": "although it had trained on it",
}


class Ranking(Sequence[Issue]):
    """Issues, worst first. Nothing is left out: filter it, page through it, or take the first 50."""

    def __init__(self, issues: Iterable[Issue], classes: Sequence[str], note: str = "") -> None:
        self._issues = tuple(issues)
        self.classes = tuple(classes)
        self.note = note

    @overload
    def __getitem__(self, index: int) -> Issue: ...
    @overload
    def __getitem__(self, index: slice) -> Ranking: ...
    def __getitem__(self, index: int | slice) -> Issue | Ranking:
        if isinstance(index, slice):
            return Ranking(self._issues[index], self.classes, self.note)
        return self._issues[index]

    def __len__(self) -> int:
        return len(self._issues)

    def __iter__(self) -> Iterator[Issue]:
        return iter(self._issues)

    def __repr__(self) -> str:
        doubtful = sum(issue.score < 0.5 for issue in self._issues)
        return f"Ranking({len(self)} pictures; for {doubtful} another class is more probable than the given one)"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{number}</td><td>{html.escape(issue.path)}</td><td>{html.escape(issue.given_label)}</td>"
            f"<td>{html.escape(issue.suggested_label)}</td><td>{issue.suggested_probability:.0%}</td></tr>"
            for number, issue in enumerate(self._issues[:10], start=1))
        return (f"<p>{html.escape(repr(self))}</p><table><thead><tr><th></th><th>picture</th><th>given</th>"
                f"<th>suggested</th><th>probability</th></tr></thead><tbody>{rows}</tbody></table>")


def rank_predictions(predictions: Predictions, records: Mapping[str, ImageRecord]) -> Ranking:
    """Rank pictures by the log-odds margin of their given label, worst first; equal ones by path.

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
    labels = _labels_now(predictions, ranked)
    margins = log_odds_margin(labels, predictions.pred_probs[rows])
    scores = margin_to_score(margins)
    order = sorted(range(len(rows)), key=lambda k: (margins[k], ranked[k].path))
    issues = [_issue(predictions, rows[k], int(labels[k]), float(scores[k]), ranked[k]) for k in order]
    return Ranking(issues, predictions.classes, _note(predictions, len(ranked), len(records)))


def _labels_now(predictions: Predictions, records: Sequence[ImageRecord]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    number = {label: i for i, label in enumerate(predictions.classes)}
    unknown = sorted({record.label for record in records} - number.keys())
    if unknown:
        raise PredictionsError(f"The model knows {list(predictions.classes)}; the data set now has "
                               f"{', '.join(map(repr, unknown))} too. Train again.")
    return np.asarray([number[record.label] for record in records], np.int64)


def _issue(predictions: Predictions, row: int, given: int, score: float, record: ImageRecord) -> Issue:
    probabilities = predictions.pred_probs[row]
    best = int(np.argmax(probabilities))
    suggested = predictions.classes[best]
    said = _SAID_BY[predictions.origins[row]]
    agrees = "agrees" if best == given else f"says {suggested!r}"
    return Issue(
        path=record.path, image_id=record.image_id, kind="label", score=score, given_label=record.label,
        suggested_label=suggested, given_probability=float(probabilities[given]),
        suggested_probability=float(probabilities[best]), side=record.side,
        reason=f"Labelled {record.label!r}; the model {agrees} ({probabilities[best]:.0%} {said}).",
    )


def _note(predictions: Predictions, used: int, pictures: int) -> str:
    sentences = []
    if pictures > used:
        sentences.append(f"{pictures - used} pictures have no prediction (new, or not recorded) and are not ranked. "
                         "Train again.")
    if not predictions.out_of_sample:
        sentences.append("Some pictures were judged by a model that had trained on them, which hides wrong labels. "
                         "Train with shoebox.vision_learner, or add shoebox.Recorder() to the learner's callbacks.")
    return " ".join(sentences)
