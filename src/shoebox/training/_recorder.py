"""The recorder: what the network thought of every picture, over the whole of its training.

A network comes to agree with wrong labels in the end; on the way it disagrees. So the mean of its
probabilities over all epochs finds them, at no extra pass (Pleiss et al. 2020, "Identifying mislabeled data
using the area under the margin ranking", in the same spirit).
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.callback.mixup import MixHandler
from numpy.typing import NDArray

from shoebox.errors import ShoeboxWarning, TrainingError

__all__ = ["Recorder"]


class Recorder(Callback):
    """Adds up the softmax of every training and validation picture over all batches of all epochs.

    Training pictures are recorded before the step that learns from them, as the batch shows them (augmented);
    validation pictures are held out, and recorded after each epoch. Both are means over the same epochs, so
    they can stand in one ranking. `lr_find`, `validate` and `get_preds` are not recorded.

    Attributes
    ----------
    epochs : int
        Epochs recorded so far, over every fit on the same pictures.
    """

    name = "shoebox_recorder"
    order = 70  # after other callbacks have had their say on the prediction

    def __init__(self) -> None:
        super().__init__()
        self.epochs = 0
        self._files: list[tuple[Path, ...]] = []
        self._labels: list[NDArray[np.int64]] = []
        self._sums: list[NDArray[np.float64]] = []
        self._counts: list[NDArray[np.int64]] = []
        self._ready = self._fitting = self._mixed = False
        self._position = 0

    def before_fit(self) -> None:
        """Make room, or go on when the learner is fitted again on the same pictures."""
        self._ready = self._fitting = False
        if hasattr(self.learn, "lr_finder") or hasattr(self.learn, "gather_preds"):
            return
        try:
            files = [tuple(Path(item).resolve() for item in self.learn.dls[side].items) for side in (0, 1)]
        except TypeError:
            warnings.warn("This learner's items are no file names, so shoebox.Recorder records nothing.",
                          ShoeboxWarning, stacklevel=2)
            return
        self._ready, self._mixed = True, any(isinstance(cb, MixHandler) for cb in self.learn.cbs)
        if self._mixed:
            warnings.warn("MixUp or CutMix mixes pictures, so what the network thinks of a single one cannot be "
                          "recorded while it trains; only validation pictures are.", ShoeboxWarning, stacklevel=2)
        if files != self._files:
            self._start(files)

    def before_train(self) -> None:
        """Start of the pass over the training pictures; `validate` and `get_preds` never come here."""
        self._fitting, self._position = self._ready, 0

    def before_validate(self) -> None:
        """Start of the pass over the validation pictures."""
        self._position = 0

    def after_pred(self) -> None:
        """Add this batch's probabilities to its pictures' sums."""
        side = 0 if self.learn.training else 1
        if not self._fitting or self.learn.dl is not self.learn.dls[side] or (self._mixed and side == 0):
            return
        rows = self._next_rows(side)
        probabilities = torch.softmax(self.learn.pred.detach().float(), dim=1).cpu().numpy()
        np.add.at(self._sums[side], rows, probabilities)
        np.add.at(self._counts[side], rows, 1)

    def after_epoch(self) -> None:
        """Count the epoch."""
        self.epochs += self._fitting

    def after_fit(self) -> None:
        """Whatever comes now is no training."""
        self._ready = self._fitting = False

    after_cancel_fit = after_fit

    def recorded(self, side: int) -> tuple[tuple[Path, ...], NDArray[np.float32], NDArray[np.bool_]]:
        """Files, mean probabilities (N, K) and which rows were recorded at all, of side 0 (train) or 1 (valid)."""
        if not self._counts:
            raise TrainingError("Nothing was recorded yet. Train first: learn.fine_tune(…).")
        counts = self._counts[side]
        means = self._sums[side] / np.maximum(counts, 1)[:, None]
        return self._files[side], means.astype(np.float32), counts > 0

    def _start(self, files: list[tuple[Path, ...]]) -> None:
        n_classes = len(self.learn.dls.vocab)
        targets = [self.learn.dls[side].dataset.tls[1] for side in (0, 1)]
        self.epochs, self._files = 0, files
        self._labels = [np.asarray([int(label) for label in labels], np.int64) for labels in targets]
        self._sums = [np.zeros((len(items), n_classes)) for items in files]
        self._counts = [np.zeros(len(items), np.int64) for items in files]

    def _next_rows(self, side: int) -> NDArray[np.int64]:
        """Which pictures this batch holds, checked by their labels: a recorded row must be what it is taken for."""
        seen = self.learn.yb[0].detach().cpu().numpy()
        order = self.learn.dl._DataLoader__idxs  # the order in which fastai's loader draws in this pass
        rows = np.asarray(order[self._position:self._position + len(seen)], np.int64)
        self._position += len(seen)
        if rows.shape != seen.shape or not (seen == self._labels[side][rows]).all():
            raise TrainingError("The data loader does not hand out pictures in the order it announces, so the recorder "
                                "cannot tell which is which. Train without shoebox.Recorder.")
        return rows
