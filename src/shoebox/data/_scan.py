"""From class folders to catalog rows: one read and one decode per new file, nothing left out in silence."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from shoebox.data._catalog import Catalog
from shoebox.data._catalog_thumbnails import Thumbnails
from shoebox.data._classes import class_warnings
from shoebox.data._files import sha256_bytes
from shoebox.data._find import FoundFile, find_files
from shoebox.data._images import Truncated, decode_image, jpeg_bytes, read_bytes
from shoebox.data._measure import looks, measure
from shoebox.data._records import CUT_OFF, ImageRecord, Known, Skipped
from shoebox.data._reports import find_duplicates
from shoebox.data._split import Seen, group_new, sides_of, split_warnings
from shoebox.errors import DatasetError, ImageError

__all__ = [
    "THUMBNAIL_PX",
    "Progress",
    "ScanReport",
    "SplitRule",
    "checked_rule",
    "read_file",
    "scan",
]

THUMBNAIL_PX = 256
Progress = Callable[[int, int], None]
_BATCH = 500
_T = TypeVar("_T")
_Read = tuple[ImageRecord, Seen, bytes]  # the bytes are the thumbnail's


@dataclass(frozen=True)
class ScanReport:
    """What a scan found. `skipped` names every file that is no usable picture, with its cause.

    `partly_there` has the paths of truncated files that were kept because `keep_truncated` is on.
    """

    pictures: int
    added: int
    changed: int
    removed: int
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    partly_there: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.pictures} pictures ({self.added} new, {self.changed} changed, {self.removed} gone), "
                 f"{len(self.skipped)} files left out."]
        lines += [f"  left out: {item.sentence}" for item in self.skipped[:10]]
        if len(self.skipped) > 10:
            lines.append(f"  … and {len(self.skipped) - 10} more in `report.skipped`")
        if self.partly_there:
            more = f" and {len(self.partly_there) - 10} more" if len(self.partly_there) > 10 else ""
            lines.append(f"  only partly there, and kept: {', '.join(map(repr, self.partly_there[:10]))}{more}")
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


def scan(root: Path, catalog: Catalog, rule: SplitRule, *, thumbnails: Thumbnails, deep: bool = False,
         progress: Progress | None = None,
         truncated: Truncated = "refuse") -> tuple[ScanReport, dict[str, ImageRecord]]:
    """Bring the catalog up to date with the folders; files unchanged in size and time are not read again.

    Each new file is read once and decoded once. An interrupted scan leaves a whole catalog: the next one goes on
    where it stopped. `deep` reads every file again, whatever its size and time say. `truncated` says what to do with
    files that end too early; those that were treated otherwise before are read again. Returns the report, and every
    picture by path. What grows with the data set is held once: 100,000 pictures take under 200 MB.
    """
    found = {item.path: item for item in find_files(root)}
    total, kept, gone = len(found), 0, []
    spellings = class_warnings(item.path.split("/")[item.side is not None]
                               for item in found.values() if item.fault is None)
    pictures_before, pictures_gone = set(), 0
    for known in catalog.known():
        item = found.get(known.path)
        if item is None:
            gone.append(known.path)
            pictures_gone += known.is_picture
        elif not deep and _unchanged(item, known, truncated):
            del found[known.path]
            kept += 1
        elif known.is_picture:
            pictures_before.add(known.path)
    added = changed = done = 0
    for batch in _batches(_read_all(list(found.values()), truncated), _BATCH):
        pictures = [result for result in batch if not isinstance(result, Skipped)]
        thumbnails.keep({record.image_id: jpeg for record, _, jpeg in pictures})
        changed += catalog.store([record for record, _, _ in pictures], [seen for _, seen, _ in pictures],
                                 [result for result in batch if isinstance(result, Skipped)])
        added += sum(record.path not in pictures_before for record, _, _ in pictures)
        done += len(batch)
        if progress:
            progress(done, total - kept)
    del found
    catalog.forget(gone)
    mixed = _group(catalog, rule)
    now = catalog.images()
    return ScanReport(
        pictures=len(now),
        added=added,
        changed=changed,
        removed=pictures_gone,
        skipped=tuple(catalog.skipped().values()),
        warnings=split_warnings((r.label, r.side) for r in now.values()) + mixed + _leaks(now.values())
        + _two_labels(now.values()) + spellings,
        partly_there=tuple(path for path, record in now.items() if record.partly_there),
    ), now


def read_file(found: FoundFile, truncated: Truncated = "refuse") -> _Read | Skipped:
    """Read a file once and decode it once: hash, size, pHash, quality numbers and thumbnail."""
    try:
        if found.fault is not None:
            raise ImageError(*found.fault)
        data = read_bytes(found.file, name=found.path)
        decoded = decode_image(data, name=found.path, side_px=THUMBNAIL_PX, truncated=truncated)
    except ImageError as error:
        return Skipped(found.path, error.cause, str(error), found.size_bytes, found.mtime_ns)
    image_id, grey = sha256_bytes(data), decoded.image.convert("L")
    seen, measures = looks(decoded.image, grey), measure(decoded.image, grey)
    record = ImageRecord(
        found.path, image_id, found.label, found.side or "train", "", decoded.width_px, decoded.height_px, len(data),
        found.mtime_ns, decoded.format + CUT_OFF * decoded.partly_there, measures.dark, measures.light,
        measures.sharpness, measures.information, fixed_side=found.side is not None)
    return (record, Seen(image_id, "", seen.phash, seen.phash_mirrored, seen.signature),
            jpeg_bytes(decoded.image, side_px=THUMBNAIL_PX))


def _group(catalog: Catalog, rule: SplitRule) -> tuple[str, ...]:
    """Give pictures without a group one, and say which groups were joined across the split."""
    if not catalog.ungrouped():
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


def _two_labels(images: Iterable[ImageRecord]) -> tuple[str, ...]:
    """The same picture in two class folders: one of the two labels is wrong."""
    groups = [group for group in find_duplicates(images) if len(group.labels) > 1]
    if not groups:
        return ()
    return (f"{len(groups)} pictures stand under more than one label, as copies or near-duplicates. The first: "
            f"{', '.join(map(repr, groups[0].paths[:3]))}. Keep one of each; `ds.duplicates()` lists them.",)


def _read_all(found: Sequence[FoundFile], truncated: Truncated) -> Iterator[_Read | Skipped]:
    """In threads, since Pillow's decoders and the hash let go of the interpreter's lock.

    The next batch is being read while the last one is stored. (Processes were measured to be no faster.)
    """
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        before: Iterator[_Read | Skipped] = iter(())
        for batch in _batches(iter(found), _BATCH):
            reading = pool.map(partial(read_file, truncated=truncated), batch)
            yield from before
            before = reading
        yield from before
    finally:
        pool.shutdown(cancel_futures=True)


def _unchanged(item: FoundFile, known: Known, truncated: Truncated) -> bool:
    if (known.cut_off == "left out" and truncated == "keep") or (known.cut_off == "kept" and truncated == "refuse"):
        return False
    if known.is_picture and known.label != item.label:
        return False
    return (known.size_bytes, known.mtime_ns) == (item.size_bytes, item.mtime_ns)


def _batches(items: Iterator[_T], size: int) -> Iterator[list[_T]]:
    while batch := list(islice(items, size)):
        yield batch
