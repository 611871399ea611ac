"""Training's progress for whoever wants to show it."""

from __future__ import annotations

from collections.abc import Callable

from fastai.callback.core import Callback

__all__ = ["FitProgress"]


class FitProgress(Callback):
    """Calls `progress(done, total)` after every training batch of a fit; another fit starts anew."""

    name = "shoebox_fit_progress"

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        super().__init__()
        self._progress = progress

    def after_batch(self) -> None:
        """Count the batch."""
        if self.learn.training:
            total = self.learn.n_epoch * len(self.learn.dls.train)
            self._progress(self.learn.epoch * len(self.learn.dls.train) + self.learn.iter + 1, total)
