"""The tour that `shoebox demo` makes: the whole way on the embedded digits, with the seconds each step took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import shoebox
from shoebox.data import Dataset
from shoebox.demo import Planted, planted, write
from shoebox.errors import BundleError, PredictionsError
from shoebox.quality import Ranking

if TYPE_CHECKING:
    from fastai.learner import Learner

__all__ = ["run"]

_EPOCHS = 10
_SIZE_PX = 48
_FIRST = 50
_BAR = "{desc} |{bar:30}| {elapsed}"


def run(data: Path, model: Path, *, seed: int = 42) -> None:
    """Write, check, train, rank and export; what stands from an earlier run is used again, and said so."""
    there = data.exists()
    with _step("Writing the digits", again=there and f"{data} stands") as bar:
        write(data, seed=seed, progress=bar)
    with _step("Checking every file") as bar:
        ds = Dataset(data, progress=bar)
    print(f"  {len(ds.images)} pictures in {len(ds.classes)} classes; {len(ds.report.skipped)} files left out:")
    for item in ds.report.skipped:
        print(f"    {item.sentence}")
    if _stands(model, ds):
        print(f"- Training and exporting: {model} stands and was made from these very pictures; it is used again.")
        _report(shoebox.rank(ds), planted(data))
        return
    learn = _train(ds, seed)
    with _step("Ranking"):
        ranking = shoebox.rank(ds, learn)
    _report(ranking, planted(data))
    with _step("Exporting, with the parity check") as bar:
        report = shoebox.export(learn, ds, model, name="Handwritten digits (demo)", progress=bar)
    print(f"  {report}")


def _stands(model: Path, ds: Dataset) -> bool:
    try:
        return shoebox.inspect(model).fingerprint == ds.fingerprint and ds.predictions() is not None
    except (BundleError, PredictionsError):
        return False


def _train(ds: Dataset, seed: int) -> Learner:
    with _step("Loading torch and fastai"):
        from shoebox import training

    training.limit_threads(1)
    training.seed_everything(seed)
    dls = training.dataloaders(ds, size_px=_SIZE_PX, method="squish", batch_size=32,
                               batch_tfms=training.augmentations(flip=False))
    with _step(f"Training a small network for {_EPOCHS + 1} epochs") as bar:
        learn = training.vision_learner(dls, training.small_cnn, pretrained=False, lin_ftrs=[], ps=0.1,
                                        cbs=training.FitProgress(bar))
        with learn.no_bar(), learn.no_logging():
            learn.fine_tune(_EPOCHS, base_lr=1e-2)
    return learn


def _report(ranking: Ranking, faults: Planted) -> None:
    pictures = ranking.pictures()
    first = {issue.path for issue in pictures[:_FIRST]}
    wrong = len(first & faults.wrong_labels.keys())
    strange = len(first & set(faults.photographs))
    print(f"  Of {len(faults.wrong_labels)} planted wrong labels, {wrong} stand among the first {_FIRST} of "
          f"{len(pictures)}, and {strange} of the {len(faults.photographs)} photographs that are no digits.\n"
          "  (Planted faults are easier to find than real ones.)")


@contextmanager
def _step(name: str, again: str | bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar while the step runs, and its seconds when it is done."""
    from tqdm import tqdm

    start = time.perf_counter()
    with tqdm(desc=f"- {name}", total=0, leave=False, disable=None, bar_format=_BAR) as bar:
        def advance(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        def tick() -> None:
            while not ended.wait(0.2):
                bar.refresh()

        ended = threading.Event()
        clock = threading.Thread(target=tick, daemon=True)  # a step that cannot count still shows its seconds
        if not bar.disable:
            clock.start()
        try:
            yield advance
        finally:
            ended.set()
    note = f", {again}; it is used again" if again else ""
    print(f"- {name}: {time.perf_counter() - start:.1f} s{note}", flush=True)
