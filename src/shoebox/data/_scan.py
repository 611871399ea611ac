"""From class folders to catalog rows: one read and one decode per new file, nothing left out in silence."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from shoebox.data._catalog import Catalog, ImageRecord, Skipped
from shoebox.data._files import sha256_bytes
from shoebox.data._images import decode_image, read_bytes
from shoebox.data._split import side_of, split_warnings
from shoebox.errors import ImageError
from shoebox.types import Side

__all__ = ["FoundFile", "Progress", "ScanReport", "find_files", "read_file", "scan"]

Progress = Callable[[int, int], None]
_BATCH = 500
_T = TypeVar("_T")


@dataclass(frozen=True)
class FoundFile:
    """A file below a class folder; `fault` is a (cause, sentence) when its very place rules it out."""

    path: str
    file: Path
    label: str
    size_bytes: int
    mtime_ns: int
    fault: tuple[str, str] | None = None


@dataclass(frozen=True)
class ScanReport:
    """What a scan found. `skipped` names every file that is no usable picture, with its cause."""

    pictures: int
    added: int
    changed: int
    removed: int
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.pictures} pictures ({self.added} new, {self.changed} changed, {self.removed} gone), "
                 f"{len(self.skipped)} files left out."]
        lines += [f"  left out: {item.sentence}" for item in self.skipped[:10]]
        if len(self.skipped) > 10:
            lines.append(f"  … and {len(self.skipped) - 10} more in `report.skipped`")
        lines += [f"  note: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    __repr__ = __str__


def scan(root: Path, catalog: Catalog, *, seed: int, valid_pct: float, progress: Progress | None = None) -> ScanReport:
    """Bring the catalog up to date with the folders; files unchanged in size and time are not read again.

    An interrupted scan leaves a whole catalog: the next one goes on where it stopped.
    """
    found = find_files(root)
    images, skipped, sides = catalog.images(), catalog.skipped(), catalog.sides()
    new = [item for item in found if not _unchanged(item, images, skipped)]
    gone = (images.keys() | skipped.keys()) - {item.path for item in found}

    def side(group_id: str) -> Side:
        return sides.get(group_id) or side_of(group_id, seed=seed, valid_pct=valid_pct)

    for number, batch in enumerate(_batches(_read_all(new, side), _BATCH)):
        catalog.store([r for r in batch if isinstance(r, ImageRecord)], [r for r in batch if isinstance(r, Skipped)])
        if progress:
            progress(min((number + 1) * _BATCH, len(new)), len(new))
    catalog.forget(gone)
    now = catalog.images()
    return ScanReport(
        pictures=len(now),
        added=sum(item.path in now and item.path not in images for item in new),
        changed=sum(item.path in now and item.path in images for item in new),
        removed=len(gone & images.keys()),
        skipped=tuple(catalog.skipped().values()),
        warnings=split_warnings((r.label, r.side) for r in now.values()),
    )


def find_files(root: Path) -> list[FoundFile]:
    """Every visible file below `root`, ordered by path; hidden ones and `.shoebox` are passed over."""
    return sorted(_walk(root, root), key=lambda item: item.path)


def read_file(found: FoundFile, side: Callable[[str], Side]) -> ImageRecord | Skipped:
    """Read and decode one file through the door."""
    try:
        if found.fault is not None:
            raise ImageError(*found.fault)
        data = read_bytes(found.file, name=found.path)
        decoded = decode_image(data, name=found.path)
    except ImageError as error:
        return Skipped(found.path, error.cause, str(error), found.size_bytes, found.mtime_ns)
    image_id = sha256_bytes(data)
    return ImageRecord(found.path, image_id, found.label, side(image_id), image_id, decoded.width_px,
                       decoded.height_px, len(data), found.mtime_ns, decoded.format)


def _read_all(found: Sequence[FoundFile], side: Callable[[str], Side]) -> Iterator[ImageRecord | Skipped]:
    """In threads: Pillow's decoders and the hash let go of the interpreter's lock."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for batch in _batches(iter(found), _BATCH):
            yield from pool.map(lambda item: read_file(item, side), batch)


def _walk(root: Path, folder: Path) -> Iterator[FoundFile]:
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        relative = path.relative_to(root).as_posix()
        if entry.is_symlink():
            yield _found(root, path, relative, ("link", f"{relative!r} is a link, which Shoebox never follows. "
                                                        "Put the file itself there."))
        elif entry.is_dir():
            yield from _walk(root, path)
        else:
            yield _found(root, path, relative, None)


def _found(root: Path, path: Path, relative: str, fault: tuple[str, str] | None) -> FoundFile:
    status = path.lstat()
    if "/" not in relative and fault is None:
        fault = ("no_class", f"{relative!r} stands in no class folder. Put it into the folder of its class.")
    if any("\udc80" <= char <= "\udcff" for char in relative):
        shown = relative.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        relative, fault = shown, ("bad_name", f"{shown!r} has a name that is not valid Unicode. Rename it.")
    label = unicodedata.normalize("NFC", relative.split("/")[0])
    return FoundFile(relative, path, label, status.st_size, status.st_mtime_ns, fault)


def _unchanged(item: FoundFile, images: Mapping[str, ImageRecord], skipped: Mapping[str, Skipped]) -> bool:
    known = images.get(item.path) or skipped.get(item.path)
    return known is not None and (known.size_bytes, known.mtime_ns) == (item.size_bytes, item.mtime_ns)


def _batches(items: Iterator[_T], size: int) -> Iterator[list[_T]]:
    while batch := list(islice(items, size)):
        yield batch
