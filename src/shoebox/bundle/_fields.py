"""The checks of a manifest, one function per field."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import Any, Literal, cast

from shoebox.bundle._checks import Section, is_plain_text
from shoebox.bundle._folder import MANIFEST, MODEL
from shoebox.bundle._records import (
    MAX_CLASSES,
    MAX_FILE_BYTES,
    MAX_LEAST_PX,
    MAX_SIDE_PX,
    DatasetRecord,
    FileRecord,
    Method,
    PadMode,
    Parity,
    Preprocessing,
)

__all__ = [
    "check_null",
    "read_common",
    "read_created",
    "read_dataset",
    "read_files",
    "read_metrics",
    "read_parity",
    "read_preprocessing",
    "read_versions",
]

_FILE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_UTC = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)"


def read_common(top: Section, *, fractions: bool = True) -> dict[str, Any]:
    """What every protocol has, as the values of a `Manifest`; `fractions` is false for those without `least_px`."""
    return {
        "name": top.text("name"),
        "created": read_created(top),
        "classes": top.texts("classes", min_items=1, max_items=MAX_CLASSES),
        "preprocessing": read_preprocessing(top, fractions=fractions),
        "temperature": top.number("temperature", 0.01, 100.0),
        "metrics": read_metrics(top),
        "parity": read_parity(top),
        "dataset": read_dataset(top),
        "versions": read_versions(top),
        "files": read_files(top),
    }


def read_created(top: Section) -> str:
    """A moment in UTC, ISO 8601."""
    text = top.text("created", pattern=_UTC)
    try:
        if text:
            datetime.fromisoformat(text)
    except ValueError:
        top.fault("created", f"{text!r} is no date and time")
    return text


def read_preprocessing(top: Section, *, fractions: bool = True) -> Preprocessing:
    """Sizes, method and normalisation, and whether they fit together."""
    fields = tuple(name for name in Preprocessing.__dataclass_fields__ if fractions or name != "least_px")
    section = top.section("preprocessing", fields)
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
    least_px = None
    if section.raw("least_px") is not None:
        least_px = section.integer("least_px", 1, MAX_LEAST_PX)
    return Preprocessing(cast(Method, method), resize, size, cast("PadMode | None", pad_mode), mean, std, least_px)


def check_null(top: Section, key: str) -> None:
    """Note a fault when the field holds anything: it is reserved."""
    if top.raw(key) is not None:
        top.fault(key, "null was expected; this protocol has none")


def read_metrics(top: Section) -> dict[str, int | float]:
    """Names with finite numbers; an accuracy only with the number of pictures it was measured on."""
    section = top.section("metrics", ())
    for key, value in section.items():
        if not is_plain_text(key, 64):
            section.fault(repr(key[:70]), "is no name for a number")
        elif key == "accuracy":
            section.number(key, 0.0, 1.0)
        elif key == "n_images" or (isinstance(value, int) and not isinstance(value, bool)):
            section.integer(key, 0, 2**53)
        else:
            section.number(key, -1e12, 1e12)
    if "accuracy" in dict(section.items()) and not section.raw("n_images"):
        section.fault("n_images", "accuracy needs the number of pictures it was measured on")
    return dict(section.items())


def read_parity(top: Section) -> Parity:
    """Numbers that an export could have written."""
    section = top.section("parity", Parity.__dataclass_fields__)
    n = section.integer("n", 1, 2**31)
    bound = section.number("bound", 1e-12, 1.0)
    side = section.text("side", choices=("valid", "any"))
    return Parity(n, section.number("max_difference", 0.0, bound), bound, section.integer("same_labels", 0, n),
                  cast(Literal["valid", "any"], side))


def read_dataset(top: Section) -> DatasetRecord:
    """The fingerprint, and counts for known classes only."""
    section = top.section("dataset", DatasetRecord.__dataclass_fields__)
    counts = section.section("counts", ())
    classes = top.raw("classes")
    names = classes if isinstance(classes, list) else []
    known = {unicodedata.normalize("NFC", name) for name in names if isinstance(name, str)}
    for name, _ in counts.items():
        counts.integer(name, 0, 2**53)
        if unicodedata.normalize("NFC", name) not in known:
            counts.fault(repr(name[:70]), "is none of the classes")
    numbers = {unicodedata.normalize("NFC", name): value for name, value in counts.items()}
    return DatasetRecord(section.text("fingerprint", pattern="[0-9a-f]{64}"), numbers)


def read_versions(top: Section) -> dict[str, str]:
    """Library names with versions."""
    section = top.section("versions", ())
    return {key: section.text(key, max_chars=100) for key, _ in section.items()}


def read_files(top: Section) -> dict[str, FileRecord]:
    """Plain file names, `model.onnx` among them, each with hash and size."""
    section = top.section("files", (MODEL,) if not isinstance(top.raw("files"), dict) else ())
    names = [name for name, _ in section.items()]
    if MODEL not in names:
        section.fault(MODEL, "is missing")
    if len({name.casefold() for name in names}) < len(names):
        section.fault("", "two names differ in case only")
    return {name: _file(section, name) for name in names}


def _file(files: Section, name: str) -> FileRecord:
    if not re.fullmatch(_FILE_NAME, name) or name.casefold() == MANIFEST:
        files.fault(repr(name[:110]), "is no plain file name")
    section = files.section(name, FileRecord.__dataclass_fields__)
    return FileRecord(section.text("sha256", pattern="[0-9a-f]{64}"),
                      section.integer("size_bytes", 1, MAX_FILE_BYTES))
