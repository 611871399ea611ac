"""Moving one file so that no crash, power cut or full disk can lose it, double it or show half of it.

The new name is given first and forced to the disk, and only then the old one is taken away; a name that exists is
never overwritten. Where the file system has no hard link for it (another device, exFAT, some shares), a hidden copy
is written, forced to the disk and compared before it gets its name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from shoebox.data._files import fsync_folder, make_folder, sha256_bytes, sha256_file
from shoebox.errors import DatasetError

__all__ = ["HalfMovedError", "check_room", "discard_part", "finish_move", "move_file", "move_files"]

_NO_HARD_LINK = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}
_BLOCK = 1 << 20
_SLACK_BYTES = 1 << 20


class HalfMovedError(OSError):
    """A file stands under both of its names, and the disk refuses to take either away."""


def move_file(source: Path, target: Path) -> bool:
    """Move without ever overwriting, so that at every instant the whole file stands under one of the names.

    Returns
    -------
    bool
        False when the file has moved but the disk did not confirm that it will remember so after a power cut.

    Raises
    ------
    FileExistsError
        When another file has the name `target`.
    FileNotFoundError
        When there is no `source`.
    HalfMovedError
        When the disk failed in between, and taking the new name back failed too. `finish_move` goes on.
    OSError
        Disk full, read-only and the like; the file stands where it stood.
    """
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "another file has this name", str(target))
    _place(source, target)
    return _leave(source, target)


def move_files(moves: Sequence[tuple[Path, Path]]) -> None:
    """Move many files, as `move_file` moves one, with one visit to the disk per target folder for all of them.

    Until the folders are safe on the disk every file stands under both names. Errors are those of `move_file`; the
    files that were not reached then stand under their old name.
    """
    placed: list[Path] = []
    try:
        for source, target in moves:
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "another file has this name", str(target))
            _place(source, target)
            placed.append(source)
    finally:
        for folder in {target.parent for _, target in moves[: len(placed)]}:
            fsync_folder(folder)
        for source in placed:
            source.unlink()


def finish_move(source: Path, target: Path, image_id: str) -> bool:
    """Go on with a move that a crash may have cut short, where `target` stands: `move_file`'s results and errors.

    When both names have the picture, the old one goes. A picture that stands at `target` only has moved.
    """
    gone = not os.path.lexists(source)
    if not _has(target, image_id, source, otherwise=gone):
        raise FileExistsError(errno.EEXIST, "another file has this name", str(target))
    if not gone and _has(source, image_id, target):
        return _leave(source, target)
    return _confirmed(target.parent) and _confirmed(source.parent)


def check_room(pairs: Iterable[tuple[Path, Path]]) -> None:
    """Refuse with a sentence, before anything moves, when copies to a target's device would not fit there.

    On the same device room for the largest file is asked for: without hard links it is copied, one at a time.
    """
    sums: dict[int, int] = defaultdict(int)
    largest: dict[int, int] = defaultdict(int)
    folders: dict[int, Path] = {}
    devices: dict[Path, int] = {}
    for source, target in pairs:
        with contextlib.suppress(OSError):  # a file that is gone is told of when it is to be moved
            status, folder = source.lstat(), target.parent
            if folder not in devices:
                there = next(place for place in (folder, *folder.parents) if place.is_dir())
                devices[folder] = there.stat().st_dev
                folders.setdefault(devices[folder], there)
            device = devices[folder]
            sums[device] += status.st_size * (status.st_dev != device)
            largest[device] = max(largest[device], status.st_size)
    for device, folder in folders.items():
        need, free = sums[device] + largest[device] + _SLACK_BYTES, shutil.disk_usage(folder).free
        if need > free:
            raise DatasetError(f"The disk of {folder.name!r} has {free / 1e6:.1f} MB free; {need / 1e6:.1f} MB are "
                               "needed. Nothing was moved. Free some space and try again.")


def discard_part(target: Path) -> None:
    """Remove the hidden copy that a crash may have left beside `target`."""
    with contextlib.suppress(OSError):
        _part(target).unlink()
        fsync_folder(target.parent)


def _part(target: Path) -> Path:
    return target.parent / f".part-{sha256_bytes(os.fsencode(target.name))[:16]}"


def _has(file: Path, image_id: str, other: Path, *, otherwise: bool = False) -> bool:
    """Whether `file` is the picture, or another name of `other`; `otherwise` when it cannot be read."""
    try:
        return (os.path.lexists(other) and file.samefile(other)) or sha256_file(file) == image_id
    except OSError as error:
        if otherwise:
            return True
        raise HalfMovedError(error.errno, error.strerror, str(file)) from error


def _leave(source: Path, target: Path) -> bool:
    """Take the old name away once the disk has the new one; otherwise take the new one back."""
    try:
        fsync_folder(target.parent)
        source.unlink()
    except OSError as error:
        _take_back(source, target, error)
        raise
    return _confirmed(source.parent)


def _place(source: Path, target: Path) -> None:
    make_folder(target.parent)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        _copy_into_place(source, target)


def _take_back(source: Path, target: Path, error: OSError) -> None:
    """After a failure: one name again, the old one."""
    if not (os.path.lexists(source) and os.path.lexists(target)):
        return
    try:
        target.unlink()
    except OSError:
        raise HalfMovedError(error.errno, error.strerror, str(target)) from error
    _confirmed(target.parent)


def _confirmed(folder: Path) -> bool:
    try:
        fsync_folder(folder)
    except OSError:
        return False
    return True


def _copy_into_place(source: Path, target: Path) -> None:
    part = _part(target)
    try:
        part.unlink(missing_ok=True)
        _copy(source, part)
        if sha256_file(part) != sha256_file(source):
            raise OSError(errno.EIO, "the copy differs from the original", str(target))
        _rename_new(part, target)
    finally:
        discard_part(target)


def _copy(source: Path, part: Path) -> None:
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with source.open("rb") as reader:
            while block := reader.read(_BLOCK):
                left = memoryview(block)
                while left:
                    left = left[os.write(handle, left):]
        with contextlib.suppress(OSError):  # dates and permissions, where the other file system has them
            shutil.copystat(source, part)
        os.fsync(handle)
    finally:
        os.close(handle)


def _rename_new(part: Path, target: Path) -> None:
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        if os.path.lexists(target):  # no hard links here (exFAT, some shares): the lock keeps others of us away
            raise FileExistsError(errno.EEXIST, "another file has this name", str(target)) from None
        part.rename(target)
