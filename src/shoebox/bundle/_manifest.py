"""`manifest.json`: what a bundle says of itself, and the strict way of reading and writing it."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, cast

from shoebox.bundle._checks import Section, is_plain_text, parse_object
from shoebox.bundle._folder import MANIFEST, MODEL, bundle_folder, read_member
from shoebox.errors import BundleError

__all__ = [
    "PROTOCOL",
    "PROTOCOLS",
    "DatasetRecord",
    "FileRecord",
    "Manifest",
    "Method",
    "PadMode",
    "Parity",
    "Preprocessing",
    "inspect",
    "read_manifest",
]

PROTOCOL = 1  # what this version writes
PROTOCOLS = (1,)  # what it reads

Method = Literal["squish", "crop", "pad"]
PadMode = Literal["reflection", "border", "zeros"]

MAX_SIDE_PX = 8192
MAX_FILE_BYTES = 2**31 - 1  # protobuf's own limit
_MAX_MANIFEST_BYTES = 8 * 2**20
_FILE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_UTC = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)"


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes the network's input. It is in the graph of `model.onnx` too; this is the record of it.

    Attributes
    ----------
    method : str
        `squish` to `resize_px`; `crop` the middle to its shape first; or `pad` to its shape first.
    resize_px, size_px : (width, height)
        After resizing, and after the middle of that was cut out; the same unless the learner's
        validation keeps a margin (`RandomResizedCrop`).
    pad_mode : str or None
        `reflection`, `border` or `zeros`, for `pad`.
    mean, std : (red, green, blue) or None
        Subtracted from and divided into values of 0 to 1; None when the learner does not normalise.
    """

    method: Method
    resize_px: tuple[int, int]
    size_px: tuple[int, int]
    pad_mode: PadMode | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Parity:
    """How well the bundle repeated its learner: the largest difference of a probability over `n` pictures.

    `same_labels` counts the pictures with the same answer; `side` is `valid`, or `any` when there was no
    validation picture. Lower is better, and an export with a difference over `bound` was never written.
    """

    n: int
    max_difference: float
    bound: float
    same_labels: int
    side: Literal["valid", "any"] = "valid"


@dataclass(frozen=True)
class DatasetRecord:
    """The data set that the model was made from: its fingerprint and its pictures per class."""

    fingerprint: str
    counts: Mapping[str, int]


@dataclass(frozen=True)
class FileRecord:
    """What one file of the bundle must be."""

    sha256: str
    size_bytes: int


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
        Every file of the bundle but this one.
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
        data = json.dumps(asdict(self), ensure_ascii=False, indent=1, allow_nan=False).encode("utf-8")
        Manifest.from_json(data, MANIFEST)
        return data

    @classmethod
    def from_json(cls, data: bytes, where: str = MANIFEST) -> Manifest:
        """Read and check everything; `BundleError` names the unknown protocol, or every fault at once."""
        values = parse_object(data, where)
        _check_protocol(values.get("protocol"), where)
        faults: list[str] = []
        top = Section(values, "", cls.__dataclass_fields__, faults)
        manifest = cls(
            protocol=PROTOCOL, name=top.text("name"), created=_created(top),
            classes=top.texts("classes", min_items=1), preprocessing=_preprocessing(top),
            temperature=top.number("temperature", 0.01, 100.0), thresholds=_nothing(top, "thresholds"),
            metrics=_metrics(top), parity=_parity(top), dataset=_dataset(top), versions=_versions(top),
            files=_files(top))
        if faults:
            raise BundleError(f"{where} cannot be used: {'; '.join(faults[:20])}. Export the model again, or get an "
                              "unchanged copy.")
        return manifest

    def __str__(self) -> str:
        width, height = self.preprocessing.size_px
        shown = ", ".join(self.classes[:10]) + (", …" if len(self.classes) > 10 else "")
        accuracy, n = self.metrics.get("accuracy"), self.metrics.get("n_images")
        lines = [
            f"{self.name}: {len(self.classes)} classes ({shown}), made {self.created[:10]} with protocol {self.protocol}",
            f"pictures: {self.preprocessing.method} to {width} x {height} px",
            f"accuracy: {accuracy:.1%} of {n:,} validation pictures" if accuracy is not None else
            "accuracy: not measured, there were no validation pictures",
            f"parity: at most {self.parity.max_difference:.2g} from the learner over {self.parity.n} pictures",
            f"data set: {self.fingerprint[:12]}…, {sum(self.dataset.counts.values()):,} pictures",
            f"files: {', '.join(f'{name} ({f.size_bytes / 1e6:.1f} MB)' for name, f in self.files.items())}",
        ]
        return "\n".join(lines)


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
    return Manifest.from_json(data, f"{os.path.basename(os.fspath(folder))}/{MANIFEST}")  # noqa: PTH119


def _check_protocol(number: object, where: str) -> None:
    if isinstance(number, int) and not isinstance(number, bool) and number in PROTOCOLS:
        return
    raise BundleError(f"{where} has protocol {number!r}; this version of Shoebox reads "
                      f"{', '.join(map(str, PROTOCOLS))}. Update Shoebox, or export the model again with this version.")


def _created(top: Section) -> str:
    text = top.text("created", pattern=_UTC)
    try:
        if text:
            datetime.fromisoformat(text)
    except ValueError:
        top.fault("created", f"{text!r} is no date and time")
    return text


def _preprocessing(top: Section) -> Preprocessing:
    section = top.section("preprocessing", Preprocessing.__dataclass_fields__)
    method = section.text("method", choices=("squish", "crop", "pad"))
    pad_mode = None
    if section.raw("pad_mode") is not None:
        pad_mode = section.text("pad_mode", choices=("reflection", "border", "zeros"))
    if (method == "pad") != (pad_mode is not None):
        section.fault("pad_mode", "goes with the method 'pad' and with no other")
    mean, std = section.numbers("mean", 3, -1e6, 1e6), section.numbers("std", 3, 1e-9, 1e6)
    if (mean is None) != (std is None):
        section.fault("std", "mean and std come together or not at all")
    resize, size = section.size("resize_px", MAX_SIDE_PX), section.size("size_px", MAX_SIDE_PX)
    if size[0] > resize[0] or size[1] > resize[1]:
        section.fault("size_px", "is larger than resize_px")
    return Preprocessing(cast(Method, method), resize, size, cast("PadMode | None", pad_mode), mean, std)


def _nothing(top: Section, key: str) -> None:
    if top.raw(key) is not None:
        top.fault(key, "null was expected; this protocol has none")


def _metrics(top: Section) -> dict[str, int | float]:
    section = top.section("metrics", ())
    for key, value in section.items():
        if not is_plain_text(key, 64):
            section.fault(repr(key[:70]), "is no name for a number")
        elif isinstance(value, int) and not isinstance(value, bool):
            section.integer(key, 0, 2**53)
        else:
            section.number(key, *((0.0, 1.0) if key == "accuracy" else (-1e12, 1e12)))
    if "accuracy" in dict(section.items()) and not section.raw("n_images"):
        section.fault("n_images", "accuracy needs the number of pictures it was measured on")
    return dict(section.items())


def _parity(top: Section) -> Parity:
    section = top.section("parity", Parity.__dataclass_fields__)
    n = section.integer("n", 1, 2**31)
    bound = section.number("bound", 1e-12, 1.0)
    side = section.text("side", choices=("valid", "any"))
    return Parity(n, section.number("max_difference", 0.0, bound), bound, section.integer("same_labels", 0, n),
                  cast(Literal["valid", "any"], side))


def _dataset(top: Section) -> DatasetRecord:
    section = top.section("dataset", DatasetRecord.__dataclass_fields__)
    counts = section.section("counts", ())
    known = {unicodedata.normalize("NFC", name) for name in top.raw("classes") or () if isinstance(name, str)}
    for name, _ in counts.items():
        counts.integer(name, 0, 2**53)
        if unicodedata.normalize("NFC", name) not in known:
            counts.fault(repr(name[:70]), "is none of the classes")
    numbers = {unicodedata.normalize("NFC", name): value for name, value in counts.items()}
    return DatasetRecord(section.text("fingerprint", pattern="[0-9a-f]{64}"), numbers)


def _versions(top: Section) -> dict[str, str]:
    section = top.section("versions", ())
    return {key: section.text(key, max_chars=100) for key, _ in section.items()}


def _files(top: Section) -> dict[str, FileRecord]:
    section = top.section("files", (MODEL,) if not isinstance(top.raw("files"), dict) else ())
    names = [name for name, _ in section.items()]
    if MODEL not in names:
        section.fault(MODEL, "is missing")
    if len({name.casefold() for name in names}) < len(names):
        section.fault("", "two names differ in case only")
    return {name: _file(section, name) for name in names}


def _file(files: Section, name: str) -> FileRecord:
    import re

    if not re.fullmatch(_FILE_NAME, name) or name.casefold() == MANIFEST:
        files.fault(repr(name[:110]), "is no plain file name")
    section = files.section(name, FileRecord.__dataclass_fields__)
    return FileRecord(section.text("sha256", pattern="[0-9a-f]{64}"),
                      section.integer("size_bytes", 1, MAX_FILE_BYTES))


_ = Any
