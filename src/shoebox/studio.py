"""The studio's steps, one function each: what the notebooks call, put together from the rooms below."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from shoebox.collect import CollectReport, collect_folder
from shoebox.data import (
    OUTLINES,
    Dataset,
    ImageRecord,
    Predictions,
    Progress,
    Skipped,
    check_label,
    kept_features,
    open_image,
    outlines,
    read_bytes,
    sha256_bytes,
)
from shoebox.errors import BundleError, DatasetError, ImageError, PredictionsError, ShoeboxWarning
from shoebox.evaluation import Evaluation, KeptRegression
from shoebox.quality import Ranking, Thresholds, classes_to_rank, first_order, rank_pictures, review_progress
from shoebox.widgets.cleaner import Cleaner, Later, Tell

if TYPE_CHECKING:
    from fastai.learner import Learner
    from torch import nn

    from shoebox.bundle import Classifier
    from shoebox.bundle._export import ExportReport

    Backbone = Callable[..., nn.Module] | str

__all__ = ["ImageClassifierCleaner", "add_other", "clean", "evaluate", "export", "rank"]

_NO_RECORDER = ("This learner has no recorder, and its opinion of pictures it has trained on hides wrong labels, so "
                "only its held-out predictions count. Train with shoebox.vision_learner, or add shoebox.Recorder() to "
                "its callbacks.")
_ASKING, _COMPARING = "Asking the model about the pictures", "Comparing the pictures"
_PATIENCE_S = 0.15  # for a ranking that is nearly there
_BAR_FROM = 500  # pictures; fewer are done before a bar is drawn
_NEWEST: WeakKeyDictionary[Dataset, tuple[tuple[Any, ...], Ranking]] = WeakKeyDictionary()  # and what it was made of


def rank(ds: Dataset, learn: Learner | None = None, *, backbone: Backbone | None = None,
         thresholds: Thresholds | None = None, progress: Progress | None = None) -> Ranking:
    """Everything that may be wrong with the pictures, worst first; a sealed test is left out.

    Works before any training, and better after one. Two calls on the same data set give the same order.

    Parameters
    ----------
    ds : Dataset
        The pictures with their labels as they are now.
    learn : Learner, optional
        Trained on `ds`, best with `shoebox.vision_learner`, which records while it trains. Its predictions are
        saved beside the catalog. Without it the saved ones are used, if there are any.
    backbone : callable or str, optional
        A pretrained network whose features are compared: a torchvision model function, or a name that torchvision or
        timm knows, such as 'resnet18'. Its weights are downloaded when they are not in torch's cache. Without it
        outlines and colours are compared, which needs no download; for photographs a backbone is better.
    thresholds : Thresholds, optional
        From which numbers on a picture counts as dark, blurry, tiny, an outlier, …
    progress : callable (done, total), optional
        Called while features of new pictures are computed; they are kept beside the catalog. A bar otherwise.

    Returns
    -------
    Ranking
        A sequence of `Issue`; `lanes` says which opinions about the labels were used, and why.

    Raises
    ------
    PredictionsError, TrainingError
        Fewer than two classes, or a learner that was trained on others: both lists are named.
    """
    trained, reason = _saved(ds) if learn is None else _asked(ds, _predictions(learn, ds, in_sample=False))
    with _bar(progress) as tell:
        ranking = _ranked(ds, trained, reason, backbone=backbone, thresholds=thresholds, progress=tell)
    if ranking.note:
        warnings.warn(ranking.note, ShoeboxWarning, stacklevel=2)
    return ranking


def clean(ds: Dataset, ranking: Ranking | None = None, *, learn: Learner | None = None, **kwargs: Any) -> Cleaner:
    """The cleaner over a data set, by its saved predictions unless a ranking or a learner is given.

    Without a ranking it appears at once, by what is known already (saved predictions, else by path), and the ranking
    is worked out in the background, with its progress above the pictures. It then takes their place, unless somebody
    is in the middle of a page: they press "Show the new order", or turn the page. Decisions, selection and filters
    stay. The cell's learner is copied, so it may be trained on meanwhile. Two calls end in the same order;
    where nothing has changed since, the second one begins with it.

    Parameters
    ----------
    ds : Dataset
    ranking : Ranking, optional
        What `shoebox.rank` gave; nothing is computed then.
    learn : Learner, optional
        Asked about the pictures that it has not trained on, as `shoebox.rank(ds, learn)` does. On a machine with many
        processors and many pictures that call is faster: the background loads pictures in one thread.
    **kwargs
        For `shoebox.Cleaner`: `page_size`, `who` is reviewing, and after training again the `comparison` that
        `shoebox.compare` gives.
    """
    if ranking is not None and learn is not None:
        raise DatasetError("A ranking and a learner came; the ranking says all that is shown. Leave one of them out.")
    options: dict[str, Any] = {"estimate": review_progress, **kwargs}
    if ranking is not None:
        return Cleaner(ds, ranking, **options)
    return Cleaner(ds, **_in_the_background(ds, learn), **options)


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

    The first page appears before the learner has been asked, as with `shoebox.clean`; `.fns`, `.delete()` and
    `.change()` wait for the final order, so that the places they speak of never change.
    """

    def __init__(self, learn: Learner, opts: Sequence[str] = (), height: int = 128, width: int = 256,
                 max_n: int = 30) -> None:
        ds = Dataset(_folder_of(learn))
        super().__init__(ds, **_in_the_background(ds, learn), page_size=max_n, estimate=review_progress)


def _in_the_background(ds: Dataset, learn: Learner | None) -> dict[str, Any]:
    """For `Cleaner`: the final ranking where it is there in a moment; else an order to begin with, and the work."""
    saved, reason = _saved(ds)
    asked = None
    if learn is not None:
        from shoebox.training import predictions_later

        asked = predictions_later(learn, ds)
    about = saved.about if asked is None and saved else asked.about if asked else {}
    note = _note(about, asked is not None or saved is None or saved.out_of_sample)
    if note:
        warnings.warn(note, ShoeboxWarning, stacklevel=3)
    if asked is None and (known := _ranked_before(ds, saved, reason)) is not None:
        return {"ranking": known}

    def work(tell: Tell) -> Ranking:
        trained = (saved, reason) if asked is None else _asked(ds, asked.compute(partial(tell, _ASKING)), saved)
        return _ranked(ds, *trained, progress=partial(tell, _COMPARING))

    classes_to_rank(_to_rank(ds))
    later = Later(work)
    if later.start(patience_s=_PATIENCE_S if asked is None or asked.at_hand else 0):
        later.raise_error()
        return {"ranking": later.result}
    return {"ranking": first_order(_to_rank(ds), saved), "later": later}


def _predictions(learn: Learner, ds: Dataset, **kwargs: bool) -> Predictions:
    from shoebox.training import predictions_of

    return predictions_of(learn, ds, **kwargs)


def _to_rank(ds: Dataset) -> list[ImageRecord]:
    return [record for record in ds.images if record.side != "test"]


def _ranked(ds: Dataset, trained: Predictions | None, reason: str, *, backbone: Backbone | None = None,
            thresholds: Thresholds | None = None, progress: Progress) -> Ranking:
    records = _to_rank(ds)
    features, features_reason = _features(ds, records, backbone, progress)
    ranking = rank_pictures(records, features, KeptRegression(ds), features_reason=features_reason, trained=trained,
                            trained_reason=reason, skipped=ds.report.skipped, thresholds=thresholds)
    ranking.note = _note(trained.about, trained.out_of_sample) if trained else ""
    if backbone is None and thresholds is None:
        _NEWEST[ds] = (records, trained, reason, ds.report.skipped), ranking
    return ranking


def _ranked_before(ds: Dataset, trained: Predictions | None, reason: str) -> Ranking | None:
    """The ranking that `_ranked` gave last in this process, if it would give the same again."""
    made_of, ranking = _NEWEST.get(ds, (None, None))
    return ranking if made_of == (_to_rank(ds), trained, reason, ds.report.skipped) else None


def _note(about: Mapping[str, Any], out_of_sample: bool = True) -> str:
    return "" if out_of_sample and not int(about.get("left_out", 0)) else _NO_RECORDER


def _features(ds: Dataset, records: Sequence[ImageRecord], backbone: Backbone | None,
              progress: Progress) -> tuple[NDArray[np.float32], str]:
    """Features of the pictures with a sentence on what they are."""
    if backbone is not None:
        from shoebox.training import backbone_features

        features = backbone_features(ds, records, backbone, progress=progress)
        if features is not None:
            name = backbone if isinstance(backbone, str) else backbone.__name__
            return features, f"on frozen features of a pretrained {name}"

    def compute(places: list[int]) -> NDArray[np.float32]:
        return outlines([open_image(ds.thumbnail(records[place].path, 256)) for place in places])

    kept = kept_features(ds.root, OUTLINES, [r.image_id for r in records], compute, progress=progress)
    why = "its weights could not be had" if backbone is not None else "for photographs backbone='resnet18' is better"
    return kept, f"on outlines and colours, which need no download; {why}"


def _asked(ds: Dataset, trained: Predictions, *found: Predictions | None) -> tuple[Predictions, str]:
    """What a learner says, and a reason for the lanes; saved, unless others than `found` were saved meanwhile."""
    if not found or _saved(ds)[0] == found[0]:
        ds.save_predictions(trained)
    return trained, f"of this learner, {trained.about.get('epochs', 0)} epochs recorded"


def _saved(ds: Dataset) -> tuple[Predictions | None, str]:
    """What the last training said, if it fits the data set as it is now, and the reason why (not)."""
    try:
        trained = ds.predictions()
    except PredictionsError as error:
        return None, str(error)
    if trained is None:
        return None, "nothing was trained on this data set yet: shoebox.rank(ds, learn) adds what a training recorded"
    if set(ds.classes) - set(trained.classes):
        return None, (f"the last training knew {list(trained.classes)}, the data set now has {list(ds.classes)}: train "
                      "again")
    return trained, f"saved after the last training, {trained.about.get('epochs', 0)} epochs recorded"


@contextmanager
def _bar(progress: Progress | None) -> Iterator[Progress]:
    """The caller's own, or a bar that appears when there is much to do."""
    if progress is not None:
        yield progress
        return
    from tqdm.auto import tqdm

    bars: list[Any] = []

    def tell(done: int, total: int) -> None:
        if total >= _BAR_FROM:
            if not bars:
                bars.append(tqdm(total=total, desc="Features of new pictures", leave=False))
            bars[0].update(done - bars[0].n)

    try:
        yield tell
    finally:
        for bar in bars:
            bar.close()


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
