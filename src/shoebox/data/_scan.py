"""From class folders to catalog rows: one read and one decode per new file, nothing left out in silence."""

from __future__ import annotations

import os
import threading
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from PIL import Image

from shoebox.data._catalog import Catalog
from shoebox.data._classes import class_names, class_warnings
from shoebox.data._files import sha256_bytes
from shoebox.data._images import decode_image, jpeg_bytes, read_bytes
from shoebox.data._measure import looks, measure
from shoebox.data._records import ImageRecord, Skipped
from shoebox.data._split import Seen, group_new, sides_of, split_warnings
from shoebox.errors import DatasetError, ImageError
from shoebox.types import Side

__all__ = [
    "THUMBNAILS",
    "THUMBNAIL_PX",
    "FoundFile",
    "Progress",
    "ScanReport",
    "SplitRule",
    "checked_rule",
    "find_files",
    "read_file",
    "scan",
    "thumbnail_file",
    "write_thumbnail",
]

THUMBNAILS = ".shoebox/thumbnails"
THUMBNAIL_PX = 256
Progress = Callable[[int, int], None]
_BATCH = 500
_SIDE_FOLDERS: dict[str, Side] = {"train": "train", "training": "train", "valid": "valid", "val": "valid",
                                  "validation": "valid", "test": "test"}
_T = TypeVar("_T")


@dataclass(frozen=True)
class FoundFile:
    """A file below a class folder; `fault` is a (cause, sentence) when its very place rules it out.

    `side` is what a train/, valid/ or test/ folder says, if the data set is laid out so.
    """

    path: str
    file: Path
    label: str
    size_bytes: int
    mtime_ns: int
    side: Side | None = None
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


@dataclass(frozen=True)
class SplitRule:
    """The parameters of the split, fixed when a data set is first opened."""

    seed: int
    valid_pct: float
    test_pct: float


def checked_rule(values: Mapping[str, float]) -> SplitRule:
    """The rule of these parameters; `DatasetError` when they are no numbers, or leave nothing to train on."""
    seed, valid_pct, test_pct = values["seed"], values["valid_pct"], values["test_pct"]
    if not isinstance(seed, int) or abs(seed) >= 2**63:
        raise DatasetError(f"seed is {seed!r}; a whole number such as 42 was expected.")
    if not all(isinstance(share, (int, float)) and 0 <= share < 1 for share in (valid_pct, test_pct)) \
            or valid_pct + test_pct >= 1:
        raise DatasetError(f"valid_pct is {valid_pct!r} and test_pct is {test_pct!r}; shares from 0 that add up to "
                           "less than 1 were expected, such as 0.2 and 0.1.")
    return SplitRule(seed, float(valid_pct), float(test_pct))


def scan(root: Path, catalog: Catalog, rule: SplitRule, *, deep: bool = False,
         progress: Progress | None = None) -> ScanReport:
    """Bring the catalog up to date with the folders; files unchanged in size and time are not read again.

    Each new file is read once and decoded once. An interrupted scan leaves a whole catalog: the next one goes on
    where it stopped. `deep` reads every file again, whatever its size and time say.
    """
    found = find_files(root)
    images, skipped = catalog.images(), catalog.skipped()
    new = [item for item in found if deep or not _unchanged(item, images, skipped)]
    gone = (images.keys() | skipped.keys()) - {item.path for item in found}
    done = 0
    for batch in _batches(_read_all(new, root / THUMBNAILS), _BATCH):
        pictures = [result for result in batch if not isinstance(result, Skipped)]
        catalog.store([record for record, _ in pictures], [seen for _, seen in pictures],
                      [result for result in batch if isinstance(result, Skipped)])
        done += len(batch)
        if progress:
            progress(done, len(new))
    catalog.forget(gone)
    mixed = _group(catalog, rule)
    now = catalog.images()
    return ScanReport(
        pictures=len(now),
        added=sum(item.path in now and item.path not in images for item in new),
        changed=sum(item.path in now and _other_bytes(images.get(item.path), now[item.path]) for item in new),
        removed=len(gone & images.keys()),
        skipped=tuple(catalog.skipped().values()),
        warnings=split_warnings((r.label, r.side) for r in now.values()) + mixed + _leaks(now.values())
        + class_warnings(item.path.split("/")[item.side is not None] for item in found if item.fault is None),
    )


def find_files(root: Path) -> list[FoundFile]:
    """Every visible file below `root`, ordered by path; hidden ones and `.shoebox` are passed over."""
    layout = _has_sides(root)
    found = sorted((_found(root, path, link=link, layout=layout) for path, link in _walk(root)), key=lambda f: f.path)
    names = class_names(item.label for item in found)
    return [item if names[item.label] == item.label else replace(item, label=names[item.label]) for item in found]


def read_file(found: FoundFile, thumbnails: Path) -> tuple[ImageRecord, Seen] | Skipped:
    """Read a file once and decode it once: hash, size, pHash, quality numbers and thumbnail."""
    try:
        if found.fault is not None:
            raise ImageError(*found.fault)
        data = read_bytes(found.file, name=found.path)
        decoded = decode_image(data, name=found.path, side_px=THUMBNAIL_PX)
    except ImageError as error:
        return Skipped(found.path, error.cause, str(error), found.size_bytes, found.mtime_ns)
    image_id = sha256_bytes(data)
    write_thumbnail(thumbnails, image_id, decoded.image)
    seen = looks(decoded.image)
    return ImageRecord(
        found.path, image_id, found.label, found.side or "train", "", decoded.width_px, decoded.height_px, len(data),
        found.mtime_ns, decoded.format, **asdict(measure(decoded.image)), fixed_side=found.side is not None,
    ), Seen(image_id, "", seen.phash, seen.phash_mirrored, seen.signature)


def write_thumbnail(folder: Path, image_id: str, image: Image.Image) -> bytes:
    """Keep the JPEG of a picture of at most `THUMBNAIL_PX` a side. A cache: written whole, but not forced to disk."""
    data = jpeg_bytes(image, side_px=THUMBNAIL_PX)
    file = thumbnail_file(folder, image_id)
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}.part")
        part.write_bytes(data)
        part.replace(file)
    return data


def thumbnail_file(folder: Path, image_id: str) -> Path:
    """Where the thumbnail of an image id is kept."""
    return folder / image_id[:2] / f"{image_id}.jpg"


def _group(catalog: Catalog, rule: SplitRule) -> tuple[str, ...]:
    """Give pictures without a group one, and say which groups were joined across the split."""
    if all(record.group_id for record in catalog.images().values()):
        return ()
    groups = group_new(catalog.seen())
    sides, mixed = sides_of(groups, catalog.sides(), seed=rule.seed, valid_pct=rule.valid_pct, test_pct=rule.test_pct)
    catalog.store_groups(groups, sides)
    if not mixed:
        return ()
    return (f"{len(mixed)} groups of near-duplicates stood on both sides of the split until a new picture linked "
            "them; they are training pictures now. Validation pictures among them no longer count.",)


def _leaks(images: Iterable[ImageRecord]) -> tuple[str, ...]:
    """In a train/valid/test layout: near-duplicates that stand in different folders of it."""
    sides: dict[str, set[str]] = defaultdict(set)
    paths: dict[str, list[str]] = defaultdict(list)
    for record in images:
        if record.fixed_side:
            sides[record.group_id].add(record.side)
            paths[record.group_id].append(record.path)
    leaks = [paths[group_id] for group_id, seen in sides.items() if len(seen) > 1]
    if not leaks:
        return ()
    return (f"{len(leaks)} groups of near-duplicates stand in more than one of train/, valid/ and test/, which "
            f"flatters the accuracy. The first: {', '.join(map(repr, leaks[0][:3]))}. Move or remove one of each.",)


def _read_all(found: Sequence[FoundFile], thumbnails: Path) -> Iterator[tuple[ImageRecord, Seen] | Skipped]:
    """In threads: Pillow's decoders and the hash let go of the interpreter's lock."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for batch in _batches(iter(found), _BATCH):
            yield from pool.map(lambda item: read_file(item, thumbnails), batch)


def _walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Visible files with whether they are links; links are never followed."""
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_symlink():
            yield Path(entry.path), True
        elif entry.is_dir():
            yield from _walk(Path(entry.path))
        else:
            yield Path(entry.path), False


def _has_sides(root: Path) -> bool:
    """Whether the top folders are train, valid and test folders, and not classes."""
    names = {entry.name.casefold() for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")}
    return "train" in names and len(names) > 1 and names <= _SIDE_FOLDERS.keys()


def _found(root: Path, path: Path, *, link: bool, layout: bool) -> FoundFile:
    relative, fault = path.relative_to(root).as_posix(), None
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
    status = path.lstat()
    label = unicodedata.normalize("NFC", inner.split("/")[0] if fault is None else "")
    return FoundFile(relative, path, label, status.st_size, status.st_mtime_ns, side, fault)


def _unchanged(item: FoundFile, images: Mapping[str, ImageRecord], skipped: Mapping[str, Skipped]) -> bool:
    known = images.get(item.path) or skipped.get(item.path)
    if isinstance(known, ImageRecord) and known.label != item.label:
        return False
    return known is not None and (known.size_bytes, known.mtime_ns) == (item.size_bytes, item.mtime_ns)


def _other_bytes(before: ImageRecord | None, now: ImageRecord) -> bool:
    return before is not None and before.image_id != now.image_id


def _batches(items: Iterator[_T], size: int) -> Iterator[list[_T]]:
    while batch := list(islice(items, size)):
        yield batch
