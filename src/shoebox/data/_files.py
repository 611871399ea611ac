"""Files that must survive: atomic writes, moves that never overwrite, names that stay inside their folder."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from shoebox.errors import DatasetError

__all__ = [
    "atomic_write_bytes",
    "check_label",
    "folder_lock",
    "free_name",
    "fsync_folder",
    "move_file",
    "move_files",
    "name_key",
    "safe_join",
    "sha256_bytes",
    "sha256_file",
]

_NO_HARD_LINK = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}
_RESERVED = {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10))}


def sha256_bytes(data: bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write so that after a crash either the old or the new content stands under `path`, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".part-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def name_key(name: str) -> str:
    """Names with the same key may not stand in one folder: some file systems cannot tell them apart."""
    return unicodedata.normalize("NFC", name).casefold()


def check_label(label: str) -> str:
    """The class name in NFC; `DatasetError` when no folder may have that name.

    Refused on every system, so that a data set can be carried to another one: empty, dots, slashes, control
    characters, a leading dot, a trailing dot or space, names reserved by Windows, over 255 bytes.
    """
    name = unicodedata.normalize("NFC", label)
    faults = (
        (not name.strip(), "it is empty"),
        (name in (".", ".."), "it is a relative path"),
        ("/" in name or "\\" in name, "it has a slash"),
        (any(unicodedata.category(char) == "Cc" for char in name), "it has a control character"),
        (name.startswith("."), "it begins with a dot"),
        (name.endswith((".", " ")), "it ends in a dot or a space"),
        (name.split(".")[0].casefold() in _RESERVED, "Windows reserves it"),
        (len(name.encode()) > 255, "it is longer than 255 bytes"),
    )
    for wrong, why in faults:
        if wrong:
            raise DatasetError(f"{label!r} cannot be a class name: {why}. Choose another name.")
    return name


def safe_join(root: Path, relative: str) -> Path:
    """`root / relative`, refused when it would leave `root` or pass through a symbolic link."""
    parts = relative.split("/")
    if relative.startswith("/") or "\\" in relative or any(part in ("", ".", "..") for part in parts):
        raise DatasetError(f"{relative!r} is not a path inside the data set. Use a path relative to it.")
    path = root
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise DatasetError(f"{relative!r} passes through a symbolic link, which Shoebox never follows. "
                               "Put the file itself there.")
    return path


def free_name(folder: Path, name: str, taken: set[str]) -> str:
    """`name`, or `name` with " (2)", " (3)", … before its suffix: free on disk and in `taken` (of `name_key`s)."""
    in_use = taken | ({name_key(entry.name) for entry in folder.iterdir()} if folder.is_dir() else set())
    stem, suffix = Path(name).stem, Path(name).suffix
    candidate, number = name, 1
    while name_key(candidate) in in_use:
        number += 1
        candidate = f"{stem} ({number}){suffix}"
    return candidate


def move_file(source: Path, target: Path) -> None:
    """Move without ever overwriting, so that at every instant the whole file stands under one of the names.

    May be called again after a crash: a move that was half done is finished, one that was done is left alone.

    Raises
    ------
    FileExistsError
        When another file has the name `target`.
    FileNotFoundError
        When neither is there.
    OSError
        Disk full, read-only and the like; nothing is lost then.
    """
    if target.exists() or target.is_symlink():
        if not source.exists():
            return
        if sha256_file(source) != sha256_file(target):
            raise FileExistsError(errno.EEXIST, "another file has this name", str(target))
    else:
        _place(source, target)
    source.unlink()
    fsync_folder(source.parent)


def move_files(moves: Sequence[tuple[Path, Path]]) -> None:
    """Move many files, as `move_file` moves one, with one visit to the disk per target folder for all of them.

    Until the folders are safe on the disk every file stands under both names. Errors are those of `move_file`; the
    files that were not reached then stand under their old name.
    """
    placed: list[Path] = []
    try:
        for source, target in moves:
            _place(source, target, safe=False)
            placed.append(source)
    finally:
        for folder in {target.parent for _, target in moves[: len(placed)]}:
            fsync_folder(folder)
        for source in placed:
            source.unlink()


@contextlib.contextmanager
def folder_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`; `BlockingIOError` at once when another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        _lock(file.fileno())
        try:
            yield
        finally:
            _unlock(file.fileno())


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _lock(handle: int) -> None:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(errno.EAGAIN, "locked by another process") from error

    def _unlock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)


def _place(source: Path, target: Path, *, safe: bool = True) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        _copy_into_place(source, target)
    if safe:
        fsync_folder(target.parent)


def _copy_into_place(source: Path, target: Path) -> None:
    """For another device: a hidden copy, checked, then given its name in one step."""
    part = target.parent / f".part-{sha256_bytes(str(target).encode())[:16]}"
    try:
        with source.open("rb") as reader, part.open("wb") as writer:
            while block := reader.read(1 << 20):
                writer.write(block)
            writer.flush()
            os.fsync(writer.fileno())
        if sha256_file(part) != sha256_file(source):
            raise OSError(errno.EIO, "the copy differs from the original", str(target))
        _rename_new(part, target)
    finally:
        part.unlink(missing_ok=True)


def _rename_new(part: Path, target: Path) -> None:
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        if target.exists():  # no hard links here (exFAT, some shares): the lock keeps others of us away
            raise FileExistsError(errno.EEXIST, "another file has this name", str(target)) from None
        part.rename(target)


def fsync_folder(folder: Path) -> None:
    """Force a folder's names to the disk, where the system can do that."""
    if os.name == "nt":  # pragma: no cover
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)
