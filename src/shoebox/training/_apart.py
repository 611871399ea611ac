"""Asking a copy of a learner, in another thread, while the learner itself is free for whatever a person does next."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from fastai.callback.core import Callback, TrainEvalCallback
from fastai.callback.progress import CSVLogger, ProgressCallback, ShowGraphCallback
from fastai.callback.tracker import EarlyStoppingCallback, ReduceLROnPlateau, SaveModelCallback
from fastai.learner import CastToTensor, Learner
from fastai.learner import Recorder as FastaiRecorder
from fastai.vision.augment import AffineCoordTfm, RandTransform
from fastcore.foundation import L
from numpy.typing import NDArray

from shoebox.training._progress import FitProgress
from shoebox.training._recorder import Recorder

__all__ = ["own_predictor"]

_DEFAULT = (TrainEvalCallback, FastaiRecorder, CastToTensor, ProgressCallback)
_LISTENING = (Recorder, FitProgress, CSVLogger, ShowGraphCallback, EarlyStoppingCallback, ReduceLROnPlateau,
              SaveModelCallback)

Predict = Callable[[Callable[[int, int], None]], NDArray[np.float32]]


def own_predictor(learn: Learner, files: Sequence[Path]) -> Predict | None:
    """What tells the softmax (N, K) of the network as it is now for these files, without augmentation.

    It works on copies of the weights and of the transforms and draws from a random generator of its own, so neither
    the learner nor a person's seed is touched. It loads pictures in its own thread, whatever `num_workers` is: a
    process that is forked beside a running cell may never end. None for a learner with callbacks other than those
    that only listen: they may have a say in its predictions.
    """
    if any(type(cb) not in (*_DEFAULT, *_LISTENING) for cb in learn.cbs):
        return None
    dl = copy.deepcopy(learn.dls.test_dl(list(files), num_workers=0))  # transforms keep a state while they are called
    dl.fake_l.generator = torch.Generator()
    for pipeline in (dl.after_item, dl.after_batch):  # what is for training only draws even where it is passed over
        pipeline.fs = pipeline.fs.filter(lambda tfm: not (isinstance(tfm, RandTransform) and type(tfm).split_idx == 0))
        for tfm in pipeline.fs:
            if isinstance(tfm, AffineCoordTfm):
                tfm.coord_fs = L()
    own = Learner(learn.dls, copy.deepcopy(learn.model), loss_func=copy.deepcopy(learn.loss_func))

    def predict(progress: Callable[[int, int], None]) -> NDArray[np.float32]:
        with own.no_bar(), own.no_logging():
            pred_probs, _ = own.get_preds(dl=dl, reorder=False, cbs=[_Tell(progress, len(files))])
        return torch.as_tensor(pred_probs).cpu().numpy().astype(np.float32)

    return predict


class _Tell(Callback):
    def __init__(self, progress: Callable[[int, int], None], total: int) -> None:
        super().__init__()
        self._progress, self._total, self._done = progress, total, 0

    def before_validate(self) -> None:
        self._progress(0, self._total)

    def after_batch(self) -> None:
        self._done += len(self.learn.pred)
        self._progress(self._done, self._total)
