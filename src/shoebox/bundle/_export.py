"""Writing a bundle: from a fastai learner to a folder that the app can serve. Needs torch, fastai and onnx."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoebox.bundle._card import model_card, plain
from shoebox.bundle._classifier import Classifier
from shoebox.bundle._draft import Draft, Picture, Pictures
from shoebox.bundle._export_answers import Answers, Steps, answers_of
from shoebox.bundle._export_examples import example_records, make_examples
from shoebox.bundle._export_fraction import Fractions, compare_with_full
from shoebox.bundle._export_int8 import INT8_BOUND, add_int8
from shoebox.bundle._export_network import NO_MAP, model_bytes
from shoebox.bundle._export_novelty import Honest, fit_honest
from shoebox.bundle._export_parity import Reference, compare, pick
from shoebox.bundle._export_pipeline import read_pipeline
from shoebox.bundle._export_seen import trained_on, why_none
from shoebox.bundle._folder import CARD, MANIFEST, MODEL
from shoebox.bundle._load import load_classifier
from shoebox.bundle._records import Parity, Preprocessing
from shoebox.bundle._write import check_target, put_bundle, put_file
from shoebox.errors import BundleError

__all__ = ["BOUND", "INT8_BOUND", "MAX_PICTURES", "ExportReport", "export"]

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
    notes : mapping of str to str
        What was left off, and why.
    fractions : Fractions or None
        What decoding large JPEGs at a fraction changes; None when none of the `n` is decoded so.
    """

    path: Path
    n: int
    max_difference: float
    bound: float
    same_labels: int
    accuracy: float | None
    size_bytes: int
    seconds: dict[str, float] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    fractions: Fractions | None = None

    def __str__(self) -> str:
        kind = "pictures" if self.accuracy is None else "validation pictures"
        right = "" if self.accuracy is None else f" It got {self.accuracy:.1%} of them right."
        notes = "".join(f"\n  {name}: {sentence}" for name, sentence in self.notes.items())
        notes += "" if self.fractions is None else f"\n  decoding: {self.fractions}."
        return (f"Wrote {self.path} ({self.size_bytes / 1e6:.1f} MB) in {sum(self.seconds.values()):.1f} s. On "
                f"{self.n} {kind} it repeats the learner: probabilities differ by at most {self.max_difference:.2g} "
                f"({self.bound:g} allowed) and {self.same_labels} of {self.n} labels are the same.{right}{notes}")

    def __repr__(self) -> str:
        return str(self)


def export(learn: Any, ds: Pictures, path: str | os.PathLike[str], *, name: str | None = None, overwrite: bool = True,
           examples: int = 0, int8: bool = False, pickle: bool = False,
           robustness: Iterable[Mapping[str, object]] = (),
           progress: Callable[[int, int], None] | None = None) -> ExportReport:
    """Write the bundle that the app serves, after checking that it reproduces the learner.

    Parameters
    ----------
    learn : fastai Learner
        A trained image classifier with one label per picture. It is not changed: copies do the work, on the CPU.
    ds : Dataset
        What it was trained on; its validation pictures (at most 500) are the check, and what temperature, label sets
        and "none of these" are fitted on. Those that the learner was trained on, by the record of its training items,
        are left out; without such a record, as after `learn.export()`, any pictures are the check of the answers, and
        nothing is fitted or measured.
    path : str or Path
        The bundle's folder. A bundle that stands there is replaced once the new one is whole and checked.
    name : str, optional
        What people see; the folder's name unless given.
    overwrite : bool
        False refuses to replace a bundle.
    examples : int
        So many validation pictures (at most 50) travel in the bundle with the learner's answers, small and without
        metadata, so that `shoebox check` can ask again anywhere. Only if you may pass them on.
    int8 : bool
        Try weights of 8 bits too, calibrated on training pictures; kept only when no clear label changes.
    pickle : bool
        Write fastai's own export beside the folder, as `<name>.pkl`. The app never reads it.
    robustness : iterable of mappings
        Rows of a table for the card, with the same keys each.
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
    steps = Steps(progress)
    classes = _checked_classes(learn, ds)
    pipeline = read_pipeline(learn)
    whole = [record for record in ds.images if not record.partly_there]
    seen = trained_on(learn, ds)
    pictures, side = pick(whole, MAX_PICTURES, seen)
    files = [ds.file(picture.path) for picture in pictures]
    steps.total = 2 * len(files) + 2
    with steps.timed("convert"):
        reference = Reference(learn, files)
        draft = Draft(name or target.name, classes, pipeline, ds, _model(reference, pipeline, classes))
    with steps.timed("learner"):
        expected = reference.probabilities(steps.hear(1))
    unmeasured = draft.manifest(Parity(len(files), 0.0, BOUND, 0, "any"))
    with steps.timed("bundle"):
        classifier = Classifier(unmeasured, draft.files[MODEL])
        found = answers_of(classifier, files, steps.hear(1 + len(files)))
    if not found.has_map:
        draft.notes["heatmap"] = NO_MAP
    parity = compare(expected, found.probabilities, [picture.path for picture in pictures], bound=BOUND, side=side)
    with steps.timed("doubts"):
        given = _given(classes, pictures)
        if side == "valid":
            measured = _doubts(draft, found, given, pictures)
        else:
            measured = _no_doubts(draft, why_none(sum(picture.side == "valid" for picture in whole), seen))
    with steps.timed("extras"):
        small = make_examples(pictures, files, examples)
        measured["examples"] = example_records(draft, learn, small, classes)
        fractions = compare_with_full(classifier, pictures, files, found.probabilities)
        if int8:
            measured["int8"] = add_int8(draft, unmeasured, ds, files, found.probabilities)
    correct = int((found.probabilities.argmax(axis=1) == given).sum()) if side == "valid" else None
    with steps.timed("write"):
        metrics: dict[str, int | float] = {} if correct is None else {"accuracy": correct / parity.n,
                                                                      "n_images": parity.n}
        card = model_card(draft.manifest(parity, metrics, **measured), thanks=_credits(ds), robustness=robustness,
                          fractions=None if fractions is None else str(fractions),
                          confusion=None if correct is None else _confusion(given, found.probabilities))
        draft.files[CARD] = card.encode("utf-8")
        manifest = draft.manifest(parity, metrics, **measured)
        contents = {**draft.files, MANIFEST: manifest.to_json()}
        put_bundle(target, contents, check=load_classifier, overwrite=overwrite)
        if pickle:
            put_file(target.with_name(f"{target.name}.pkl"), learn.export)
        steps.tell(steps.total)
    return ExportReport(target, parity.n, parity.max_difference, parity.bound, parity.same_labels, manifest.accuracy,
                        sum(map(len, contents.values())), steps.seconds,
                        {**_left_out(whole, side, seen), **manifest.notes}, fractions)


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


def _doubts(draft: Draft, found: Answers, given: NDArray[np.int64], pictures: Sequence[Picture]) -> dict[str, Any]:
    honest: Honest = fit_honest(found.probabilities, found.features, given, [picture.side for picture in pictures])
    draft.notes.update(honest.notes)
    if honest.novelty is not None and honest.model is not None:
        draft.files[honest.novelty.file] = honest.model.to_bytes()
    return {"temperature": honest.temperature, "calibration": honest.calibration, "label_sets": honest.label_sets,
            "novelty": honest.novelty}


def _no_doubts(draft: Draft, reason: str) -> dict[str, Any]:
    draft.notes.update(dict.fromkeys(("calibration", "novelty", "label_sets"), reason))
    return {}


def _left_out(whole: Sequence[Picture], side: str, seen: Collection[str] | None) -> dict[str, str]:
    """A sentence on validation pictures that were not asked about; none where all were, or none could be."""
    valid = [picture for picture in whole if picture.side == "valid"]
    n = sum(picture.path in seen for picture in valid) if seen and side == "valid" else 0
    return {"validation": f"{n} of {len(valid)} pictures were left out: the learner was trained on them."} if n else {}


def _given(classes: tuple[str, ...], pictures: Sequence[Picture]) -> NDArray[np.int64]:
    return np.asarray([classes.index(unicodedata.normalize("NFC", picture.label)) for picture in pictures], np.int64)


def _confusion(given: NDArray[np.int64], probabilities: NDArray[np.float64]) -> list[list[int]]:
    matrix = np.zeros((probabilities.shape[1],) * 2, np.int64)
    np.add.at(matrix, (given, probabilities.argmax(axis=1)), 1)
    return [[int(n) for n in row] for row in matrix]


def _credits(ds: Pictures) -> str:
    """Markdown of the data set's own `attribution()`, when it has one; its `markdown()` shows names as they are."""
    ask = getattr(ds, "attribution", None)
    said: Any = ask() if callable(ask) else None
    if hasattr(said, "markdown"):
        return str(said.markdown()) if len(said) else (
            f"## Pictures\n\nNone of the {said.unknown} pictures has an origin on record: whose they are, and under "
            "which licence, is not known here.")
    lines = said.splitlines() if isinstance(said, str) else [str(line) for line in said or ()]
    return "\n".join(["## Pictures", "", *[f"- {plain(line)}" for line in lines]]) if lines else ""
