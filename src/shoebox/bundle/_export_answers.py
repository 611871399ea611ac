"""Asking the new bundle about the pictures it is checked on, and how far an export is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shoebox.bundle._classifier import Classifier

__all__ = ["Answers", "Steps", "answers_of"]


@dataclass(frozen=True)
class Answers:
    """Probabilities (N, K) before any temperature, features (N, F) if there are any, and whether there is a map."""

    probabilities: NDArray[np.float64]
    features: NDArray[np.float64] | None
    has_map: bool


def answers_of(classifier: Classifier, files: Sequence[Path], on_picture: Callable[[int], None]) -> Answers:
    """What the bundle says of every file; `on_picture` hears how many are done."""
    probabilities, features, has_map = [], [], False
    with ThreadPoolExecutor(classifier.threads) as pool:
        for done, outputs in enumerate(pool.map(classifier.raw, files), 1):
            probabilities.append(outputs["probabilities"])
            features += [outputs["features"]] if "features" in outputs else []
            has_map = "cam" in outputs
            on_picture(done)
    return Answers(np.stack(probabilities), np.stack(features) if features else None, has_map)


class Steps:
    """Progress and stop-watch: converting and writing count as one picture each."""

    def __init__(self, progress: Callable[[int, int], None] | None) -> None:
        self.total = 1
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note the seconds of what happens inside."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)

    def hear(self, before: int) -> Callable[[int], None]:
        """A listener for how many pictures are done, when `before` were done before them."""
        self.tell(before)
        return lambda done: self.tell(before + done)

    def tell(self, done: int) -> None:
        """So much of `total` is done."""
        if self._progress is not None:
            self._progress(min(done, self.total), self.total)
