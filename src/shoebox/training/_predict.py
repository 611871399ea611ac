"""A learner's predictions for every picture of a data set, with where each came from."""

from __future__ import annotations

from collections.abc import Sequence
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
from shoebox.training._recorder import Recorder
from shoebox.types import Origin

__all__ = ["held_out_probabilities", "predictions_of"]


def predictions_of(learn: Learner, ds: Dataset, *, final: bool = False) -> Predictions:
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

    Raises
    ------
    TrainingError
        The learner knows other classes than the data set has; both are named.
    """
    classes = tuple(map(str, learn.dls.vocab))
    unknown = set(ds.classes) - set(classes)
    if unknown:
        raise TrainingError(f"The learner knows {list(classes)}, the data set has {list(ds.classes)}: it has no class "
                            f"{', '.join(map(repr, sorted(unknown)))}. Train again on this data set.")
    records = _records_by_file(ds)
    recorder = next((cb for cb in learn.cbs if isinstance(cb, Recorder) and cb.epochs), None)
    if final or recorder is None:
        rows = _asked(learn, records, ds.root, sides=(1,) if final else (0, 1))
    else:
        rows = _from_recorder(recorder, records)
    arch = getattr(learn, "arch", "")
    about = {"arch": getattr(arch, "__name__", str(arch)), "epochs": recorder.epochs if recorder else 0}
    return _table(rows, classes, about)


def held_out_probabilities(learn: Learner, files: Sequence[Path]) -> NDArray[np.float32]:
    """Softmax (N, K) of the network as it is now, without augmentation, for these files."""
    dl = learn.dls.test_dl(list(files))
    with learn.no_bar(), learn.no_logging(), learn.removed_cbs(_listeners(learn)):
        pred_probs, _ = learn.get_preds(dl=dl)
    return torch.as_tensor(pred_probs).cpu().numpy().astype(np.float32)


_Row = tuple[ImageRecord, NDArray[np.float32], Origin]


def _from_recorder(recorder: Recorder, records: dict[Path, ImageRecord]) -> list[_Row]:
    rows: list[_Row] = []
    origins: tuple[Origin, Origin] = ("recorder", "held_out")
    for side, origin in enumerate(origins):
        files, means, seen = recorder.recorded(side)
        known = [i for i, file in enumerate(files) if seen[i] and file in records]
        rows += [(records[files[i]], means[i], origin) for i in known]
    return rows


def _asked(learn: Learner, records: dict[Path, ImageRecord], root: Path, sides: tuple[int, ...]) -> list[_Row]:
    """The learner's own answer; on pictures it has trained on it is no honest opinion, and says so."""
    rows: list[_Row] = []
    for side in sides:
        items = (Path(item).resolve() for item in learn.dls[side].items)  # the book's are relative
        known = [records[file] for file in items if file in records]
        files = [root / record.path for record in known]
        origin: Origin = "held_out" if side == 1 else "in_sample"
        if files:
            rows += [(r, p, origin) for r, p in zip(known, held_out_probabilities(learn, files), strict=True)]
    return rows


def _records_by_file(ds: Dataset) -> dict[Path, ImageRecord]:
    """Each picture under the file name it has, and under those it had before it was relabelled."""
    records = {ds.root / record.path: record for record in ds.images}
    moved = {ds.root / old: records[ds.root / new] for old, new in ds.moved.items() if ds.root / new in records}
    return records | moved


def _table(rows: list[_Row], classes: tuple[str, ...], about: dict[str, Any]) -> Predictions:
    rows.sort(key=lambda row: row[0].path)
    number = {label: i for i, label in enumerate(classes)}
    pred_probs = np.stack([p for _, p, _ in rows]) if rows else np.zeros((0, len(classes)), np.float32)
    return Predictions(
        tuple(record.path for record, _, _ in rows), tuple(record.image_id for record, _, _ in rows),
        np.asarray([number[record.label] for record, _, _ in rows], np.int64),
        pred_probs / np.maximum(pred_probs.sum(axis=1, keepdims=True), 1e-12),
        classes, tuple(origin for _, _, origin in rows), about)


def _listeners(learn: Learner) -> list[Callback]:
    return [cb for cb in learn.cbs if isinstance(cb, (Recorder, ProgressCallback))]
