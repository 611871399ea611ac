"""Does a bundle still say, on this machine, what its learner said? Asked about the pictures that travel in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from shoebox.bundle._folder import bundle_folder, read_member
from shoebox.bundle._load import load_classifier
from shoebox.bundle._manifest import inspect
from shoebox.bundle._records import FileRecord
from shoebox.bundle._sealed import check_file
from shoebox.errors import BundleError

__all__ = ["CheckReport", "check", "file_states"]


@dataclass(frozen=True)
class CheckReport:
    """What `check` found.

    Attributes
    ----------
    name : str
        Of the bundle.
    files : int
        Files whose size and SHA-256 are those of the manifest: all, or there would be no report.
    n : int
        Pictures that were asked about; 0 when none travel with the bundle.
    max_difference, bound : float
        The largest difference of a probability from the learner's (lower is better), and what is allowed.
    same_labels : int
        For how many pictures the class is the learner's.
    precision : str
        `full` or `int8`.
    """

    name: str
    files: int
    n: int
    max_difference: float
    bound: float
    same_labels: int
    precision: str = "full"

    def __str__(self) -> str:
        head = f"{self.name}: {self.files} files are as they were exported"
        if not self.n:
            return f"{head}. No pictures travel with it, so it was not asked. Export with examples=10 for that."
        return (f"{head}, and on {self.n} pictures it says what its learner said: {self.same_labels} classes are the "
                f"same, probabilities differ by at most {self.max_difference:.2g} ({self.bound:g} allowed).")

    __repr__ = __str__


def check(path: str | os.PathLike[str], *, precision: Literal["full", "int8"] = "full") -> CheckReport:
    """Check every file of a bundle, load it, and compare its answers with those its learner gave to its examples.

    Parameters
    ----------
    path : str or Path
        The folder that `shoebox.export` wrote.
    precision : str
        Of the weights: `full` or `int8`.

    Raises
    ------
    BundleError
        What `load_classifier` raises, or an answer is further from the learner's than the export allowed; the
        pictures are named.

    Examples
    --------
    >>> shoebox.check("models/bears")  # doctest: +SKIP
    """
    folder = bundle_folder(path)
    classifier = load_classifier(folder, precision=precision)
    manifest = classifier.manifest
    record = manifest.int8
    full = precision == "full" or record is None
    bound = manifest.parity.bound if full or record is None else record.bound
    differences, same, wrong = [0.0], 0, []
    for example in manifest.examples:
        data = read_member(folder, example.file, manifest.files[example.file].size_bytes)
        found, expected = classifier.raw(data)["probabilities"], np.asarray(example.probabilities)
        best = np.sort(expected)
        clear = len(best) < 2 or best[-1] - best[-2] > bound
        alike = bool(found.argmax() == expected.argmax())
        differences.append(float(np.abs(found - expected).max()))
        same += alike
        if (full and differences[-1] > bound) or (clear and not alike):
            wrong.append(f"{example.file!r} ({differences[-1]:.2g})")
    if wrong:
        raise BundleError(f"The bundle {manifest.name!r} does not say here what its learner said: on {len(wrong)} of "
                          f"{len(manifest.examples)} pictures it is further off than {bound:g} or gives another class: "
                          f"{', '.join(wrong[:5])}. Update onnxruntime and Pillow, or export the model again.")
    return CheckReport(manifest.name, len(manifest.files), len(manifest.examples), max(differences), bound, same,
                       precision)


def file_states(path: str | os.PathLike[str]) -> dict[str, str]:
    """By name, for every file that the manifest tells of: "as exported", or "not as exported" with a sentence.

    Sizes and SHA-256 are compared; nothing is loaded. Raises what `inspect` raises.
    """
    folder = bundle_folder(path)
    return {name: _state(folder, name, record) for name, record in inspect(folder).files.items()}


def _state(folder: Path, name: str, record: FileRecord) -> str:
    try:
        check_file(folder, name, record)
    except BundleError as error:
        return f"not as exported: {error}"
    return "as exported"
