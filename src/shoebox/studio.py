"""The studio's steps, one function each: what the notebooks call, put together from the rooms below."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoebox import quality
from shoebox.data import Dataset, Predictions
from shoebox.errors import DatasetError, PredictionsError, ShoeboxWarning
from shoebox.evaluation import Evaluation
from shoebox.quality import Ranking, rank_predictions
from shoebox.widgets.cleaner import Cleaner

if TYPE_CHECKING:
    from fastai.learner import Learner

    from shoebox.bundle._export import ExportReport

__all__ = ["ImageClassifierCleaner", "clean", "evaluate", "export", "rank"]

_ESTIMATE = getattr(quality, "review_progress", None)  # from decisions to what is probably left


def rank(ds: Dataset, learn: Learner | None = None) -> Ranking:
    """Every picture that has a prediction, most suspicious label first; a sealed test is left out.

    Parameters
    ----------
    ds : Dataset
        The pictures with their labels as they are now.
    learn : Learner, optional
        Trained on `ds`, best with `shoebox.vision_learner`, which records while it trains. Its predictions are
        saved beside the catalog. Without it the saved ones are used, so a restarted notebook ranks at once.

    Returns
    -------
    Ranking
        A sequence of `Issue`, lowest log-odds margin of the given label first.
    """
    predictions = ds.predictions() if learn is None else _predictions(learn, ds)
    if predictions is None:
        raise PredictionsError("There are no predictions for this data set yet. Train first (notebook 2), then call "
                               "shoebox.rank(ds, learn).")
    if learn is not None:
        ds.save_predictions(predictions)
    ranking = rank_predictions(predictions, {r.path: r for r in ds.images if r.side != "test"})
    if ranking.note:
        warnings.warn(ranking.note, ShoeboxWarning, stacklevel=2)
    return ranking


def clean(ds: Dataset, ranking: Ranking | None = None, **kwargs: Any) -> Cleaner:
    """The cleaner over a data set, by its saved predictions unless a ranking is given.

    `kwargs` go to `shoebox.Cleaner`: `page_size`, `who` is reviewing, and after training again the `comparison` that
    `shoebox.compare` gives.
    """
    options: dict[str, Any] = {"estimate": _ESTIMATE, **kwargs}
    return Cleaner(ds, rank(ds) if ranking is None else ranking, **options)


def evaluate(learn: Learner, ds: Dataset) -> Evaluation:
    """The finished model's answers on the learner's validation pictures, with the labels of `ds`."""
    return Evaluation(_predictions(learn, ds, final=True), ds.thumbnail)


def export(learn: Learner, ds: Dataset, path: str | os.PathLike[str], **kwargs: Any) -> ExportReport:
    """Write the bundle that the app serves, after checking that it reproduces the learner."""
    from shoebox.bundle._export import export as write_bundle

    return write_bundle(learn, ds, Path(path), **kwargs)


class ImageClassifierCleaner(Cleaner):
    """fastai's name for the cleaner: `.delete()`, `.change()` and `.fns` let the book's loops run unchanged.

    Parameters
    ----------
    learn : Learner
        Trained on pictures in class folders.
    opts, height, width : optional
        Accepted as fastai does; every class can be chosen anyway and the pictures have one size.
    max_n : int
        Pictures per page; unlike fastai's, further pages follow.
    """

    def __init__(self, learn: Learner, opts: Sequence[str] = (), height: int = 128, width: int = 256,
                 max_n: int = 30) -> None:
        ds = Dataset(_folder_of(learn))
        super().__init__(ds, rank(ds, learn), page_size=max_n, estimate=_ESTIMATE)


def _predictions(learn: Learner, ds: Dataset, *, final: bool = False) -> Predictions:
    from shoebox.training import predictions_of

    return predictions_of(learn, ds, final=final)


def _folder_of(learn: Learner) -> Path:
    """The folder that holds the class folders of a learner's pictures."""
    files = [Path(item).resolve() for side in (0, 1) for item in learn.dls[side].items]
    root = Path(os.path.commonpath([file.parent for file in files])) if files else Path()
    if files and any(file.parent == root for file in files):
        root = root.parent
    labels = {file.relative_to(root).parts[0] for file in files} if files else set()
    if not files or not labels <= {str(label) for label in learn.dls.vocab}:
        raise DatasetError(f"This learner's pictures do not stand in one folder per class: its classes are "
                           f"{list(learn.dls.vocab)}. Open them as shoebox.Dataset(folder) and use shoebox.clean(ds).")
    return root
