"""`manifest.json`: what a bundle says of itself, and the strict way of reading and writing it."""

from __future__ import annotations

import hashlib
import json
import os
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from shoebox.bundle import _fields_honest as _honest
from shoebox.bundle._checks import Section, parse_object
from shoebox.bundle._describe import describe
from shoebox.bundle._fields import read_common
from shoebox.bundle._folder import MANIFEST, bundle_folder, read_member
from shoebox.bundle._intervals import wilson_interval
from shoebox.bundle._protocol_1 import FIELDS_1, read_protocol_1
from shoebox.bundle._protocol_2 import FIELDS_2, read_protocol_2
from shoebox.bundle._records import (
    Calibration,
    DatasetRecord,
    Example,
    FileRecord,
    LabelSets,
    Novelty,
    Parity,
    Precision,
    Preprocessing,
)
from shoebox.errors import BundleError

__all__ = ["MAX_MANIFEST_BYTES", "PROTOCOL", "PROTOCOLS", "Manifest", "checksum", "inspect", "read_manifest"]

PROTOCOL = 3  # what this version writes
PROTOCOLS = (1, 2, 3)  # what it reads

_CHECKSUM = "checksum"
MAX_MANIFEST_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself.

    The protocol number says how a bundle is to be read. Raise it when an old reader would misunderstand a new
    bundle: a field removed, renamed or of another meaning, another input or output of `model.onnx`. A mere
    correction of a value does not raise it. To raise it to N + 1:

    1. copy `_read_protocol_3` to a module `_protocol_N.py` (as `_protocol_2.py`), which makes today's `Manifest` of a
       bundle of protocol N, with a default for what it lacks; add it to `_READERS` and the number to `PROTOCOLS`;
    2. set `PROTOCOL` to N + 1 and change the fields here and in `docs/manifest.schema.json`;
    3. put a small bundle written by the last release under `tests/bundles/` and a test that it loads and still gives
       the probabilities it gave;
    4. say in CHANGELOG.md what changed, why, and that older versions of Shoebox refuse the new bundles.

    Protocol 2 added `calibration`, `novelty`, `label_sets`, `int8`, `examples` and `notes`, dropped `thresholds`, and
    its model may give `cam` beside `features`. Protocol 3 added `preprocessing.least_px`: who did not know it would
    decode a large JPEG in full, and give other probabilities than the learner. Whoever asks the model without this
    package, a page in a browser too, has to decode likewise, or to make the photo smaller as libjpeg does; what full
    decoding changes is measured at export, and stands in the card.

    Old readers are kept: a bundle is somebody's model, and the pictures it came from may be gone.

    Attributes
    ----------
    protocol : int
        See above.
    name, created : str
        Shown to people; the time in UTC, ISO 8601.
    classes : tuple of str
        In NFC, in the order of the model's output.
    preprocessing : Preprocessing
        As in the graph, and at what fraction a JPEG is decoded before it.
    temperature : float
        Probabilities become p ** (1 / temperature), normalised; 1 leaves them alone, above 1 is less sure.
    metrics : mapping of str to number
        `accuracy` (0 to 1) over `n_images` validation pictures, when there were any.
    parity : Parity
        How well the bundle repeated its learner.
    dataset : DatasetRecord
        What it was made from.
    versions : mapping of str to str
        Of the libraries that made it.
    files : mapping of str to FileRecord
        Every file of the bundle but this one. In the file, the field `checksum` after it covers all the others, so
        that a damaged class name or temperature is refused as a damaged model is.
    calibration : Calibration or None
        What the temperature was fitted on; None when it is 1.
    novelty : Novelty or None
        "None of these": threshold, number of pictures and the band of its false alarms; None when it is off.
    label_sets : LabelSets or None
        Coverage and threshold of conformal label sets; None when there were no validation pictures.
    int8 : Precision or None
        The same network with weights of 8 bits.
    examples : tuple of Example
        Pictures with expected answers, for `shoebox check`.
    notes : mapping of str to str
        Why a feature is off, in a sentence: by `calibration`, `novelty`, `label_sets`, `int8`, `heatmap`.
    """

    protocol: int
    name: str
    created: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    temperature: float
    metrics: Mapping[str, int | float]
    parity: Parity
    dataset: DatasetRecord
    versions: Mapping[str, str]
    files: Mapping[str, FileRecord]
    calibration: Calibration | None = None
    novelty: Novelty | None = None
    label_sets: LabelSets | None = None
    int8: Precision | None = None
    examples: tuple[Example, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def accuracy(self) -> float | None:
        """Share of `metrics["n_images"]` validation pictures that were right, 0 to 1; None when not measured."""
        return self.metrics.get("accuracy")

    @property
    def accuracy_interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of `accuracy`: (low, high)."""
        accuracy, n = self.metrics.get("accuracy"), self.metrics.get("n_images")
        return None if accuracy is None or not n else wilson_interval(round(accuracy * n), int(n))

    @property
    def fingerprint(self) -> str:
        """The data set's fingerprint."""
        return self.dataset.fingerprint

    def to_json(self) -> bytes:
        """The content of `manifest.json`; checked to be readable again, so that no bundle is written that is not."""
        values = {**asdict(self), "protocol": PROTOCOL}
        sealed = {**values, _CHECKSUM: checksum(values)}
        data = json.dumps(sealed, ensure_ascii=False, indent=1, allow_nan=False).encode("utf-8") + b"\n"
        Manifest.from_json(data)
        return data

    @classmethod
    def from_json(cls, data: bytes, where: str = MANIFEST) -> Manifest:
        """Read and check everything; `BundleError` names the unknown protocol, or every fault at once."""
        values = parse_object(data, where)
        number = _checked_protocol(values.get("protocol"), where)
        known, read = _READERS[number]
        faults: list[str] = []
        manifest = cls(number, **read(Section(values, "", (*known, _CHECKSUM), faults)))
        if faults:
            raise BundleError(f"{where} cannot be used: {'; '.join(faults[:20])}. Export the model again, or get an "
                              "unchanged copy.")
        if values[_CHECKSUM] != checksum(values):
            raise BundleError(f"{where} was changed after the export: its checksum is another. Export the model again, "
                              "or get an unchanged copy.")
        return manifest

    def __str__(self) -> str:
        return describe(self)


def checksum(values: Mapping[str, Any]) -> str:
    """SHA-256 over a manifest's content but for its checksum, however it is laid out."""
    content = {key: value for key, value in values.items() if key != _CHECKSUM}
    canonical = json.dumps(content, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def inspect(path: str | os.PathLike[str]) -> Manifest:
    """What the bundle in folder `path` says of itself. Nothing of the model is read, let alone run.

    Raises
    ------
    BundleError
        No bundle there, an unknown protocol, or a manifest with faults: all of them are named.

    Examples
    --------
    >>> inspect("models/digits").classes  # doctest: +SKIP
    """
    folder = bundle_folder(path)
    return read_manifest(folder)


def read_manifest(folder: os.PathLike[str]) -> Manifest:
    """The manifest of a folder that `bundle_folder` accepted."""
    data = read_member(folder, MANIFEST, MAX_MANIFEST_BYTES)
    return Manifest.from_json(data, f"{Path(folder).name}/{MANIFEST}")


def _checked_protocol(number: object, where: str) -> int:
    if isinstance(number, int) and not isinstance(number, bool) and number in PROTOCOLS:
        return number
    raise BundleError(f"{where} has protocol {reprlib.repr(number)}; this version of Shoebox reads "
                      f"{', '.join(map(str, PROTOCOLS))}. Update Shoebox, or export the model again with this version.")


def _read_protocol_3(top: Section) -> dict[str, Any]:
    values = read_common(top)
    return {**values, **_honest.read_honest(top, values)}


_READERS = {1: (FIELDS_1, read_protocol_1), 2: (FIELDS_2, read_protocol_2),
            3: (tuple(Manifest.__dataclass_fields__), _read_protocol_3)}
