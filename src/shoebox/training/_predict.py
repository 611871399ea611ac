"""A learner's predictions for every picture of a data set, with where each came from."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.learner import Learner
from numpy.typing import NDArray

from shoebox.data import Dataset, ImageRecord, Predictions
from shoebox.errors import TrainingError
from shoebox.training._apart import own_predictor
from shoebox.training._recorder import Recorder
from shoebox.types import Origin

__all__ = ["PredictionsLater", "held_out_probabilities", "predictions_later", "predictions_of"]


def predictions_of(learn: Learner, ds: Dataset, *, final: bool = False, in_sample: bool = True) -> Predictions:
    """Probabilities for every picture of `ds` that the learner knows.

    Parameters
    ----------
    learn : Learner
        Trained on `ds` (or on a part of it).
    ds : Dataset
        Where labels and ids come from.
    final : bool
        False: means over training from the learner's `Recorder`, the better base for finding wrong labels.
        True: the finished network's probabilities, validation pictures only (what accuracy is measured on).
    in_sample : bool
        Whether a learner without a recorder is asked about the pictures that it has trained on, too. When it is not,
        `about["left_out"]` says how many they are.

    Raises
    ------
    TrainingError
        The learner knows other classes than the data set has; both are named.
    """
    classes, records, recorder = _checked(learn, ds)
    if recorder is not None and not final:
        return _table(_from_recorder(recorder, records), classes, _about(learn, recorder))
    asked = _files(learn, records, sides=(0, 1) if in_sample and not final else (1,))
    left_out = 0 if in_sample or final else len(_files(learn, records, sides=(0,)))
    rows = held_out_probabilities(learn, [ds.root / record.path for record, _ in asked]) if asked else ()
    return _table([(*one, row) for one, row in zip(asked, rows, strict=True)], classes,
                  _about(learn, recorder, left_out))


@dataclass(frozen=True)
class PredictionsLater:
    """Predictions that may have to be computed yet.

    Attributes
    ----------
    at_hand : bool
        Whether nothing is left to compute.
    about : dict
        As theirs will be.
    compute : callable (progress) -> Predictions
        `progress(done, total)` is called with numbers of pictures; what it raises ends the work.
    """

    at_hand: bool
    about: dict[str, Any]
    compute: Callable[[Callable[[int, int], None]], Predictions]


def predictions_later(learn: Learner, ds: Dataset) -> PredictionsLater:
    """What `predictions_of(learn, ds, in_sample=False)` gives, to be computed in another thread.

    The learner stays free: what it knows is copied now, so it may be trained or asked meanwhile and the answer is the
    same. A learner with callbacks that may change what it says cannot be copied; it is asked at once. `TrainingError`
    as there.
    """
    classes, records, recorder = _checked(learn, ds)
    asked = _files(learn, records, sides=(1,))
    predict = None if recorder is not None or not asked else \
        own_predictor(learn, [ds.root / record.path for record, _ in asked])
    if predict is None:
        known = predictions_of(learn, ds, in_sample=False)
        return PredictionsLater(True, known.about, lambda progress: known)
    about = _about(learn, None, len(_files(learn, records, sides=(0,))))

    def compute(progress: Callable[[int, int], None]) -> Predictions:
        return _table([(*one, row) for one, row in zip(asked, predict(progress), strict=True)], classes, about)

    return PredictionsLater(False, about, compute)


def held_out_probabilities(learn: Learner, files: Sequence[Path]) -> NDArray[np.float32]:
    """Softmax (N, K) of the network as it is now, without augmentation, for these files."""
    dl = learn.dls.test_dl(list(files))
    with learn.no_bar(), learn.no_logging(), learn.removed_cbs(_listeners(learn)):
        pred_probs, _ = learn.get_preds(dl=dl)
    return torch.as_tensor(pred_probs).cpu().numpy().astype(np.float32)


_Row = tuple[ImageRecord, Origin, NDArray[np.float32]]


def _checked(learn: Learner, ds: Dataset) -> tuple[tuple[str, ...], dict[Path, ImageRecord], Recorder | None]:
    """The learner's classes, the pictures by file, and its recorder if it has recorded anything."""
    classes = tuple(map(str, learn.dls.vocab))
    unknown = set(ds.classes) - set(classes)
    if unknown:
        raise TrainingError(f"The learner knows {list(classes)}, the data set has {list(ds.classes)}: it has no class "
                            f"{', '.join(map(repr, sorted(unknown)))}. Train again on this data set.")
    recorder = next((cb for cb in learn.cbs if isinstance(cb, Recorder) and cb.epochs), None)
    return classes, _records_by_file(ds), recorder


def _about(learn: Learner, recorder: Recorder | None, left_out: int = 0) -> dict[str, Any]:
    arch = getattr(learn, "arch", "")
    return {"arch": getattr(arch, "__name__", str(arch)), "epochs": recorder.epochs if recorder else 0,
            "left_out": left_out}


def _from_recorder(recorder: Recorder, records: dict[Path, ImageRecord]) -> list[_Row]:
    rows: list[_Row] = []
    origins: tuple[Origin, Origin] = ("recorder", "held_out")
    for side, origin in enumerate(origins):
        files, means, seen = recorder.recorded(side)
        known = [i for i, file in enumerate(files) if seen[i] and file in records]
        rows += [(records[files[i]], origin, means[i]) for i in known]
    return rows


def _files(learn: Learner, records: dict[Path, ImageRecord],
           sides: tuple[int, ...]) -> list[tuple[ImageRecord, Origin]]:
    """The learner's own pictures of these sides. On those that it has trained on it has no honest opinion."""
    found: list[tuple[ImageRecord, Origin]] = []
    folder = cache(lambda name: Path(name).resolve())  # the book's are relative; one look per folder, not per file
    for side in sides:
        origin: Origin = "held_out" if side == 1 else "in_sample"
        files = (folder(place) / name for place, name in map(os.path.split, learn.dls[side].items))
        found += [(records[file], origin) for file in files if file in records]
    return found


def _records_by_file(ds: Dataset) -> dict[Path, ImageRecord]:
    """Each picture under the file name it has, and under those it had before it was relabelled."""
    records = {ds.root / record.path: record for record in ds.images}
    moved = {ds.root / old: records[ds.root / new] for old, new in ds.moved.items() if ds.root / new in records}
    return records | moved


def _table(rows: list[_Row], classes: tuple[str, ...], about: dict[str, Any]) -> Predictions:
    rows.sort(key=lambda row: row[0].path)
    number = {label: i for i, label in enumerate(classes)}
    pred_probs = np.stack([p for *_, p in rows]) if rows else np.zeros((0, len(classes)), np.float32)
    return Predictions(
        tuple(record.path for record, *_ in rows), tuple(record.image_id for record, *_ in rows),
        np.asarray([number[record.label] for record, *_ in rows], np.int64),
        pred_probs / np.maximum(pred_probs.sum(axis=1, keepdims=True), 1e-12),
        classes, tuple(origin for _, origin, _ in rows), about)


def _listeners(learn: Learner) -> list[Callback]:
    return [cb for cb in learn.cbs if isinstance(cb, (Recorder, ProgressCallback))]
