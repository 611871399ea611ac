"""`manifest.json`: what a bundle says of itself, and the strict way of reading and writing it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shoebox.bundle import _fields
from shoebox.bundle._checks import Section, parse_object
from shoebox.bundle._folder import MANIFEST, bundle_folder, read_member
from shoebox.bundle._records import DatasetRecord, FileRecord, Parity, Preprocessing
from shoebox.errors import BundleError

__all__ = ["PROTOCOL", "PROTOCOLS", "Manifest", "checksum", "inspect", "read_manifest"]

PROTOCOL = 1  # what this version writes
PROTOCOLS = (1,)  # what it reads

_CHECKSUM = "checksum"
_MAX_MANIFEST_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself.

    The protocol number says how a bundle is to be read. Raise it when an old reader would misunderstand a new
    bundle: a field removed, renamed or of another meaning, another input or output of `model.onnx`. A mere
    correction of a value does not raise it. To raise it to N + 1:

    1. copy `Manifest.from_json` to `_read_protocol_N`, which makes today's `Manifest` of a bundle of protocol N,
       with a default for what it lacks, and add the number to `PROTOCOLS`;
    2. set `PROTOCOL` to N + 1 and change the fields here;
    3. put a small bundle written by the last release under `tests/` and a test that it loads and still gives
       the probabilities it gave;
    4. say in CHANGELOG.md what changed, why, and that older versions of Shoebox refuse the new bundles.

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
        As in the graph.
    temperature : float
        Probabilities become p ** (1 / temperature), normalised; 1 leaves them alone, above 1 is less sure.
    thresholds : None
        Reserved for "none of these".
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
    """

    protocol: int
    name: str
    created: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    temperature: float
    thresholds: None
    metrics: Mapping[str, int | float]
    parity: Parity
    dataset: DatasetRecord
    versions: Mapping[str, str]
    files: Mapping[str, FileRecord]

    @property
    def fingerprint(self) -> str:
        """The data set's fingerprint."""
        return self.dataset.fingerprint

    def to_json(self) -> bytes:
        """The content of `manifest.json`; checked to be readable again, so that no bundle is written that is not."""
        values = asdict(self)
        sealed = {**values, _CHECKSUM: checksum(values)}
        data = json.dumps(sealed, ensure_ascii=False, indent=1, allow_nan=False).encode("utf-8") + b"\n"
        Manifest.from_json(data)
        return data

    @classmethod
    def from_json(cls, data: bytes, where: str = MANIFEST) -> Manifest:
        """Read and check everything; `BundleError` names the unknown protocol, or every fault at once."""
        values = parse_object(data, where)
        _check_protocol(values.get("protocol"), where)
        faults: list[str] = []
        top = Section(values, "", (*cls.__dataclass_fields__, _CHECKSUM), faults)
        _fields.check_null(top, "thresholds")
        manifest = cls(
            protocol=PROTOCOL,
            name=top.text("name"),
            created=_fields.read_created(top),
            classes=top.texts("classes", min_items=1),
            preprocessing=_fields.read_preprocessing(top),
            temperature=top.number("temperature", 0.01, 100.0),
            thresholds=None,
            metrics=_fields.read_metrics(top),
            parity=_fields.read_parity(top),
            dataset=_fields.read_dataset(top),
            versions=_fields.read_versions(top),
            files=_fields.read_files(top),
        )
        if faults:
            raise BundleError(f"{where} cannot be used: {'; '.join(faults[:20])}. Export the model again, or get an "
                              "unchanged copy.")
        if values[_CHECKSUM] != checksum(values):
            raise BundleError(f"{where} was changed after the export: its checksum is another. Export the model again, "
                              "or get an unchanged copy.")
        return manifest

    def __str__(self) -> str:
        width, height = self.preprocessing.size_px
        shown = ", ".join(self.classes[:10]) + (", …" if len(self.classes) > 10 else "")
        accuracy, n = self.metrics.get("accuracy"), self.metrics.get("n_images")
        lines = [
            f"{self.name}: {len(self.classes)} classes ({shown})",
            f"made: {self.created[:10]}, protocol {self.protocol}",
            f"pictures: {self.preprocessing.method} to {width} x {height} px",
            f"accuracy: {accuracy:.1%} of {n:,} validation pictures" if accuracy is not None else
            "accuracy: not measured, there were no validation pictures",
            f"parity: at most {self.parity.max_difference:.2g} from the learner over {self.parity.n} pictures",
            f"data set: {self.fingerprint[:12]}…, {sum(self.dataset.counts.values()):,} pictures",
            f"files: {', '.join(f'{name} ({f.size_bytes / 1e6:.1f} MB)' for name, f in self.files.items())}",
        ]
        return "\n".join(lines)


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
    data = read_member(folder, MANIFEST, _MAX_MANIFEST_BYTES)
    return Manifest.from_json(data, f"{Path(folder).name}/{MANIFEST}")


def _check_protocol(number: object, where: str) -> None:
    if isinstance(number, int) and not isinstance(number, bool) and number in PROTOCOLS:
        return
    raise BundleError(f"{where} has protocol {number!r}; this version of Shoebox reads "
                      f"{', '.join(map(str, PROTOCOLS))}. Update Shoebox, or export the model again with this version.")
