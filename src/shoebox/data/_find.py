"""Which files stand below the class folders, and what their places say: class, side, or a fault."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from shoebox.data._classes import class_names
from shoebox.types import Side

__all__ = ["FoundFile", "find_files"]

_SIDE_FOLDERS: dict[str, Side] = {"train": "train", "training": "train", "valid": "valid", "val": "valid",
                                  "validation": "valid", "test": "test"}


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file below a class folder; `fault` is a (cause, sentence) when its very place rules it out.

    `side` is what a train/, valid/ or test/ folder says, if the data set is laid out so.
    """

    path: str
    file: str
    label: str
    size_bytes: int
    mtime_ns: int
    side: Side | None = None
    fault: tuple[str, str] | None = None


def find_files(root: Path) -> list[FoundFile]:
    """Every visible file below `root`, ordered by path; hidden ones and `.shoebox` are passed over."""
    layout = _has_sides(root)
    found = (_found(root, entry, link=link, layout=layout) for entry, link in _walk(str(root)))
    files = sorted(found, key=lambda item: item.path)
    names = class_names(item.label for item in files)
    return [item if names[item.label] == item.label else replace(item, label=names[item.label]) for item in files]


def _walk(folder: str) -> Iterator[tuple[os.DirEntry[str], bool]]:
    """Visible files with whether they are links; links are never followed."""
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_symlink():
            yield entry, True
        elif entry.is_dir():
            yield from _walk(entry.path)
        else:
            yield entry, False


def _has_sides(root: Path) -> bool:
    """Whether the top folders are train, valid and test folders, and not classes."""
    names = {entry.name.casefold() for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")}
    return "train" in names and len(names) > 1 and names <= _SIDE_FOLDERS.keys()


def _found(root: Path, entry: os.DirEntry[str], *, link: bool, layout: bool) -> FoundFile:
    relative, fault = os.path.relpath(entry.path, root).replace(os.sep, "/"), None
    side = _SIDE_FOLDERS.get(relative.split("/")[0].casefold()) if layout else None
    inner = relative.partition("/")[2] if layout else relative
    if link:
        fault = ("link", f"{relative!r} is a link, which Shoebox never follows. Put the file itself there.")
    elif "/" not in inner:
        fault = ("no_class", f"{relative!r} stands in no class folder. Put it into the folder of its class.")
    if "\\" in relative:
        fault = ("bad_name", f"{relative!r} has a backslash, which other systems take for a folder. Rename it.")
    if any("\udc80" <= char <= "\udcff" for char in relative):
        relative = relative.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        fault = ("bad_name", f"{relative!r} has a name that is not valid Unicode. Rename it.")
    status = entry.stat(follow_symlinks=False)
    label = unicodedata.normalize("NFC", inner.split("/")[0] if fault is None else "")
    return FoundFile(relative, entry.path, sys.intern(label), status.st_size, status.st_mtime_ns, side, fault)
