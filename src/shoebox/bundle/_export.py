"""Writing a bundle: from a fastai learner to a folder that the app can serve. Needs torch, fastai and onnx."""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoebox.bundle._classifier import Classifier, load_classifier
from shoebox.bundle._draft import Draft, Picture, Pictures
from shoebox.bundle._export_network import model_bytes
from shoebox.bundle._export_parity import Reference, compare, pick
from shoebox.bundle._export_pipeline import read_pipeline
from shoebox.bundle._records import Parity, Preprocessing
from shoebox.bundle._write import check_target, put_bundle
from shoebox.errors import BundleError

__all__ = ["BOUND", "MAX_PICTURES", "ExportReport", "export"]

BOUND = 1e-3  # largest allowed difference of a probability between the learner and its bundle
MAX_PICTURES = 500


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote and measured.

    Attributes
    ----------
    path : Path
        The bundle's folder.
    n : int
        Pictures that both the learner and the bundle were asked about.
    max_difference, bound : float
        The largest difference of a probability over them (lower is better), and what was allowed.
    same_labels : int
        For how many of them both gave the same class.
    accuracy : float or None
        Share of the `n` that the bundle got right, 0 to 1; None without validation pictures.
    size_bytes : int
        Of all files together.
    seconds : dict of str to float
        How long each step took.
    """

    path: Path
    n: int
    max_difference: float
    bound: float
    same_labels: int
    accuracy: float | None
    size_bytes: int
    seconds: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        kind = "pictures" if self.accuracy is None else "validation pictures"
        right = "" if self.accuracy is None else f" It got {self.accuracy:.1%} of them right."
        return (f"Wrote {self.path} ({self.size_bytes / 1e6:.1f} MB) in {sum(self.seconds.values()):.1f} s. On "
                f"{self.n} {kind} it repeats the learner: probabilities differ by at most {self.max_difference:.2g} "
                f"({self.bound:g} allowed) and {self.same_labels} of {self.n} labels are the same.{right}")

    def __repr__(self) -> str:
        return str(self)


def export(learn: Any, ds: Pictures, path: str | os.PathLike[str], *, name: str | None = None, overwrite: bool = True,
           progress: Callable[[int, int], None] | None = None) -> ExportReport:
    """Write the bundle that the app serves, after checking that it reproduces the learner.

    Parameters
    ----------
    learn : fastai Learner
        A trained image classifier with one label per picture. It is not changed: copies do the work, on the CPU.
    ds : Dataset
        What it was trained on; its validation pictures (at most 500) are the check.
    path : str or Path
        The bundle's folder. A bundle that stands there is replaced once the new one is whole and checked.
    name : str, optional
        What people see; the folder's name unless given.
    overwrite : bool
        False refuses to replace a bundle.
    progress : callable (done, total), optional
        Called while it goes on.

    Raises
    ------
    BundleError
        The learner's classes are not the data set's, its validation pipeline cannot be repeated exactly, a
        probability differs by more than 0.001 or a clear label differs, or `path` holds something that is no
        bundle. Nothing is written then.

    Examples
    --------
    >>> shoebox.export(learn, ds, "models/bears")  # doctest: +SKIP
    """
    target = Path(path).expanduser()
    if target.name in ("", ".."):
        target = target.resolve()
    check_target(target, overwrite=overwrite)
    steps = _Steps(progress)
    classes = _checked_classes(learn, ds)
    pipeline = read_pipeline(learn)
    whole = [record for record in ds.images if not record.partly_there]
    pictures, side = pick(whole, MAX_PICTURES)
    files = [ds.file(picture.path) for picture in pictures]
    steps.total = 2 * len(files) + 2
    with steps.timed("convert"):
        reference = Reference(learn, files)
        model = _model(reference, pipeline, classes)
    with steps.timed("learner"):
        expected = reference.probabilities(steps.hear(1))
    draft = Draft(name or target.name, classes, pipeline, ds, model)
    with steps.timed("bundle"):
        classifier = Classifier(draft.manifest(_unmeasured(len(files)), {}, b"-"), model)
        found = _answers(classifier, files, steps.hear(1 + len(files)))
    parity = compare(expected, found, [picture.path for picture in pictures], bound=BOUND, side=side)
    correct = _correct(found, classes, pictures) if side == "valid" else None
    with steps.timed("write"):
        contents = draft.contents(parity, correct)
        put_bundle(target, contents, check=load_classifier, overwrite=overwrite)
        steps.tell(steps.total)
    return ExportReport(target, parity.n, parity.max_difference, parity.bound, parity.same_labels,
                        None if correct is None else correct / parity.n, sum(map(len, contents.values())),
                        steps.seconds)


class _Steps:
    """Progress and stop-watch: converting and writing count as one picture each."""

    def __init__(self, progress: Callable[[int, int], None] | None) -> None:
        self.total = 1
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
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


def _checked_classes(learn: Any, ds: Pictures) -> tuple[str, ...]:
    known = tuple(str(label) for label in learn.dls.vocab)
    classes = tuple(unicodedata.normalize("NFC", label) for label in known)
    if sorted(classes) != sorted(unicodedata.normalize("NFC", label) for label in ds.classes):
        raise BundleError(f"The learner knows the classes {list(known)}, the data set has {list(ds.classes)}. Export "
                          "with the data set that the learner was trained on, or train again.")
    return classes


def _model(reference: Reference, pipeline: Preprocessing, classes: tuple[str, ...]) -> bytes:
    example = reference.example()
    width, height = pipeline.size_px
    if tuple(example.shape[1:]) != (3, height, width):
        raise BundleError(f"Pictures reach the network as {tuple(example.shape[1:])}; (3, {height}, {width}) was "
                          "expected: three colours and the size of the Resize. Train on pictures in colour "
                          "(PILImage, not PILImageBW).")
    return model_bytes(reference.network, example, pipeline, len(classes))


def _answers(classifier: Classifier, files: Sequence[Path], on_picture: Callable[[int], None]) -> NDArray[np.float64]:
    predictions = classifier.predict_many(files, lambda done, total: on_picture(done))
    return np.asarray([[p.probabilities[label] for label in classifier.classes] for p in predictions], np.float64)


def _correct(found: NDArray[np.float64], classes: tuple[str, ...], pictures: Sequence[Picture]) -> int:
    given = [classes.index(unicodedata.normalize("NFC", picture.label)) for picture in pictures]
    return int((found.argmax(axis=1) == np.asarray(given)).sum())


def _unmeasured(n: int) -> Parity:
    return Parity(n, 0.0, BOUND, 0, "any")
