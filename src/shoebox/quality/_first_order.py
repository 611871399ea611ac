"""An order for the time in which the ranking is still computed: by what is known already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shoebox.data import ImageRecord, Predictions
from shoebox.errors import PredictionsError
from shoebox.quality._label_issues import aligned_rows, label_issues, labels_of
from shoebox.quality._ranking import Ranking, in_order
from shoebox.types import Issue

__all__ = ["classes_to_rank", "first_order"]

_NOT_JUDGED = "Not judged yet: the order is being worked out."


def first_order(records: Sequence[ImageRecord], trained: Predictions | None = None) -> Ranking:
    """Every picture with its label, worst first by `trained` alone; nothing is computed from pictures.

    Parameters
    ----------
    records : sequence of ImageRecord
        With their labels as they are now, of at least two classes.
    trained : Predictions, optional
        Recorded or held-out probabilities that know all classes; in-sample rows count as none. Pictures that no row
        belongs to, all of them without `trained`, stand at the end by path, with no suggestion and a score of 1.

    Raises
    ------
    PredictionsError
        Fewer than two classes, or a `trained` that does not know one.
    """
    classes = classes_to_rank(records)
    rows = np.full((len(records), len(classes)), np.nan)
    if trained is not None:
        rows = aligned_rows(trained, records, classes)
    judged = np.isfinite(rows).all(axis=1)
    known = [record for record, is_judged in zip(records, judged, strict=True) if is_judged]
    issues = label_issues(known, labels_of(known, classes), rows[judged], classes, ["for now"] * len(known))
    issues += [Issue(record.path, record.image_id, "label", 1.0, record.label, "", 1 / len(classes), 0.0, _NOT_JUDGED,
                     record.side) for record, is_judged in zip(records, judged, strict=True) if not is_judged]
    return Ranking(in_order(issues), classes)


def classes_to_rank(records: Sequence[ImageRecord]) -> list[str]:
    """The classes of these pictures, in order; `PredictionsError` when there are fewer than two."""
    classes = sorted({record.label for record in records})
    if len(classes) < 2:
        raise PredictionsError(f"There are {len(records)} pictures of {len(classes)} class; a wrong label needs at "
                               "least 2. Put pictures into two class folders or more.")
    return classes
