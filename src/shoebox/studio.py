"""The studio's steps, one function each: what the notebooks call, put together from the rooms below."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoebox.collect import CollectReport, collect_folder
from shoebox.data import Dataset, Predictions, Skipped, check_label, read_bytes, sha256_bytes
from shoebox.errors import BundleError, DatasetError, ImageError, PredictionsError, ShoeboxWarning
from shoebox.evaluation import Evaluation
from shoebox.quality import Ranking, rank_predictions
from shoebox.widgets.cleaner import Cleaner

if TYPE_CHECKING:
    from fastai.learner import Learner

    from shoebox.bundle import Classifier
    from shoebox.bundle._export import ExportReport

__all__ = ["ImageClassifierCleaner", "add_other", "clean", "evaluate", "export", "rank"]


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
    """The cleaner over a data set, by its saved predictions unless a ranking is given."""
    return Cleaner(ds, rank(ds) if ranking is None else ranking, **kwargs)


def evaluate(learn: Learner, ds: Dataset) -> Evaluation:
    """The finished model's answers on the learner's validation pictures, with the labels of `ds`."""
    return Evaluation(_predictions(learn, ds, final=True), ds.thumbnail)


def export(learn: Learner, ds: Dataset, path: str | os.PathLike[str], **kwargs: Any) -> ExportReport:
    """Write the bundle that the app serves, after checking that it reproduces the learner."""
    from shoebox.bundle._export import export as write_bundle

    return write_bundle(learn, ds, Path(path), **kwargs)


def add_other(ds: Dataset, classifier: Classifier, pictures: Sequence[str | os.PathLike[str]], *,
              label: str = "other") -> CollectReport:
    """Copy the pictures that `classifier` refuses as none of its classes into a class of their own.

    Look at them in the cleaner, train again and export: the new model then knows what such pictures are not. Those
    that it takes for one of its classes are left out, and so is what is no picture.

    Parameters
    ----------
    ds : Dataset
        Gets the pictures; the originals are only read. It is scanned anew.
    classifier : Classifier
        With "none of these": `classifier.manifest.novelty` is not None.
    pictures : sequence of paths
        For instance those that visitors sent and you looked at.
    label : str
        The class's name.

    Returns
    -------
    CollectReport
        How many were copied; the same pictures a second time are not.
    """
    if classifier.manifest.novelty is None:
        why = classifier.manifest.notes.get("novelty", "")
        raise BundleError(f"The model {classifier.manifest.name!r} cannot tell what is none of its classes. {why} Put "
                          f"the pictures into {label!r} by hand.")
    name, skipped = check_label(label), []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / name
        place.mkdir()
        for path in map(Path, pictures):
            try:
                if classifier.predict(path).known is False:
                    data = read_bytes(path)
                    (place / f"{sha256_bytes(data)[:16]}{path.suffix.lower()}").write_bytes(data)
            except ImageError as error:
                skipped.append(Skipped(path.name, error.cause, str(error)))
        _, report = collect_folder(folder, ds.root)
    ds.scan()
    return CollectReport(report.added, report.already_there, (*skipped, *report.skipped))


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
        super().__init__(ds, rank(ds, learn), page_size=max_n)


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
