"""From bytes to a picture of the data set: checked, written down, then moved to its place; whole at every instant.

The order makes a kill harmless at any moment. A checked picture lies in `.shoebox/incoming`, named by its SHA-256 and
safe on the disk; then its row is written into the catalog, and from then on it counts as stored; then it moves to its
class folder. Whoever collects next finishes the moves of pictures that have a row, and throws away the rest.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from shoebox.collect._check import BINARY, Checked, Checker
from shoebox.collect._outcome import Limits
from shoebox.data import (
    Dataset,
    FreeNames,
    SourceRecord,
    SourceTable,
    check_label,
    folder_lock,
    fsync_folder,
    move_file,
    move_files,
    safe_join,
    sha256_file,
)
from shoebox.errors import DatasetError

__all__ = ["Store"]

_INCOMING = ".shoebox/incoming"


class Store:
    """Puts pictures into one data set. One process at a time: use it with `with store.opened()`."""

    def __init__(self, ds: Dataset, limits: Limits, *, max_px: int | None = None) -> None:
        self.ds = ds
        self.table = SourceTable(ds._catalog)
        self.staging = ds.root / _INCOMING
        self.checker = Checker(self.staging, limits.max_bytes, limits.min_px, max_px)
        self._syncing = ThreadPoolExecutor(8, thread_name_prefix="shoebox-sync")
        self._places: dict[str, str] = {}  # image id or SHA-256 of what came -> path
        self._folders: dict[str, str] = {}

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the data set against other collectors, and finish what a killed one left."""
        try:
            with folder_lock(self.ds.root / ".shoebox" / "collect.lock"):
                self.staging.mkdir(parents=True, exist_ok=True)
                self._recover()
                self._learn()
                try:
                    yield
                finally:
                    self._syncing.shutdown()
                    self._recover()
        except BlockingIOError:
            raise DatasetError(f"Another notebook or process is collecting into {self.ds.root.name!r}. Wait until it "
                               "has finished and try again.") from None

    def commit(self, batch: Sequence[tuple[SourceRecord, Checked | None]]) -> list[SourceRecord]:
        """Write rows down, then move the new pictures to their places. What has no picture is only written down."""
        self._make_safe([checked.file for _, checked in batch if checked is not None])
        homes = _Homes(self.ds.root)
        done = [record if checked is None else self._placed(record, checked, homes) for record, checked in batch]
        self.table.store(done)
        staged = [(record, checked.file) for record, (_, checked) in zip(done, batch, strict=True) if checked]
        move_files([(file, homes.place(r.path)) for r, file in staged if r.state == "added"])
        for record, file in staged:
            if record.state != "added":
                file.unlink(missing_ok=True)
        return done

    def place_of(self, record: SourceRecord) -> str | None:
        """Where the picture of a row stands now, the trash included; None when it was taken away by hand."""
        return self._places.get(record.image_id)

    def _make_safe(self, files: Sequence[Path]) -> None:
        """Force files to the disk, several at a time, which costs a disk hardly more than one."""
        list(self._syncing.map(_force, files))
        if files:
            fsync_folder(self.staging)

    def _placed(self, record: SourceRecord, checked: Checked, homes: _Homes) -> SourceRecord:
        """The row with the place of its picture: a new one, or that of its twin."""
        record = replace(record, image_id=checked.image_id, sha256=checked.sha256, size_bytes=checked.size_bytes,
                         width_px=checked.width_px, height_px=checked.height_px, fetched_at=now())
        twin = self._places.get(checked.image_id) or self._places.get(checked.sha256)
        if twin is not None:
            return replace(record, state="duplicate", path=twin,
                           sentence=f"The same picture as {twin!r}, which is there already.")
        folder = self._folder(record.label)
        name = f"{checked.image_id[:16]}{checked.suffix}"
        if os.path.lexists(homes.place(f"{folder}/{name}")):
            name = FreeNames().take(homes.folder(folder), name)
        path = f"{folder}/{name}"
        self._places[checked.image_id] = self._places[checked.sha256] = path
        return replace(record, state="added", path=path)

    def _recover(self) -> None:
        """Finish the moves that have a row; what has none was not stored and is asked for again."""
        rows = {record.image_id: record for record in self.table.all() if record.state == "added"}
        for file in list(self.staging.iterdir()):
            record = rows.get(file.name.partition(".")[0])
            home = None if record is None else safe_join(self.ds.root, record.path)
            if home is not None and not home.exists() and sha256_file(file) == file.name.partition(".")[0]:
                move_file(file, home)
            else:
                if home is not None and home.exists():
                    fsync_folder(home.parent)
                file.unlink()

    def _learn(self) -> None:
        """Which pictures the data set has, or had and moved to the trash, by their bytes as stored and as they came."""
        self.ds.scan()
        self._places = {item.record.image_id: item.kept_at for item in self.ds.trash()}
        self._places |= {record.image_id: record.path for record in self.ds.images}
        for record in self.table.all():
            if record.image_id in self._places:
                self._places.setdefault(record.sha256, self._places[record.image_id])
        for image in self.ds.images:
            folder = image.path.removeprefix(_top(image.path, fixed_side=image.fixed_side)).split("/")[0]
            if not image.fixed_side or image.side == "train":
                self._folders.setdefault(image.label, _top(image.path, fixed_side=image.fixed_side) + folder)

    def _folder(self, label: str) -> str:
        if label not in self._folders:
            training = (r.path for r in self.ds.images if r.fixed_side and r.side == "train")
            top = next((_top(path, fixed_side=True) for path in training), "")
            self._folders[label] = top + check_label(label)
        return self._folders[label]


class _Homes:
    """The class folders of one batch, each looked at once for links that lead elsewhere."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, Path] = {}

    def folder(self, name: str) -> Path:
        if name not in self._known:
            self._known[name] = safe_join(self._root, name)
        return self._known[name]

    def place(self, path: str) -> Path:
        """Of a picture, whose name is ours."""
        folder, _, name = path.rpartition("/")
        return self.folder(folder) / name


def _force(file: Path) -> None:
    handle = os.open(file, os.O_RDWR | BINARY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def now() -> str:
    """The time as the catalog writes it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _top(path: str, *, fixed_side: bool) -> str:
    """The train/, valid/ or test/ folder of a data set that is laid out so."""
    return path.split("/")[0] + "/" if fixed_side else ""
