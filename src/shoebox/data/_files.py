"""Files that must survive: atomic writes, moves that never overwrite, names that stay inside their folder."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from shoebox.errors import DatasetError

__all__ = [
    "FreeNames",
    "atomic_write_bytes",
    "check_label",
    "check_own_folder",
    "folder_lock",
    "fsync_folder",
    "make_folder",
    "name_key",
    "safe_join",
    "sha256_bytes",
    "sha256_file",
]

_RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$",
             *(f"{name}{n}" for name in ("com", "lpt") for n in "0123456789¹²³")}
_NAME_BYTES = 255


_OWN = (".shoebox", *(f".shoebox/{name}" for name in (
    "catalog.sqlite", "catalog.sqlite-journal", "thumbnails.sqlite", "thumbnails.sqlite-journal", "apply.lock", "trash",
    "quarantine", "incoming", "collect.lock")))


def sha256_bytes(data: bytes) -> str:
    """SHA-256 as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write so that after a crash either the old or the new content stands under `path`, whole."""
    make_folder(path.parent)
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
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


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
        (any(unicodedata.category(char) in ("Cc", "Cs") for char in name), "it has a control character"),
        (name.startswith("."), "it begins with a dot"),
        (name.endswith((".", " ")), "it ends in a dot or a space"),
        (name.split(".")[0].rstrip().casefold() in _RESERVED, "Windows reserves it"),
        (len(name.encode("utf-8", "surrogatepass")) > _NAME_BYTES, f"it is longer than {_NAME_BYTES} bytes"),
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


def check_own_folder(root: Path) -> None:
    """Refuse a data set whose `.shoebox` leads elsewhere: what is written there must stay inside `root`."""
    for name in _OWN:
        safe_join(root, name)


class FreeNames:
    """Hands out names for new files: free on disk, and among those handed out before. Reads each folder once."""

    def __init__(self) -> None:
        self._taken: dict[str, set[str]] = {}

    def take(self, folder: Path, name: str) -> str:
        """`name`, or `name` with " (2)", " (3)", … before its suffix; compared as `name_key` does."""
        key = name_key(str(folder))
        if key not in self._taken:
            self._taken[key] = {name_key(entry.name) for entry in folder.iterdir()} if folder.is_dir() else set()
        candidate, number = name, 1
        while name_key(candidate) in self._taken[key]:
            number += 1
            candidate = _numbered(name, number)
        self._taken[key].add(name_key(candidate))
        return candidate


def _numbered(name: str, number: int) -> str:
    """The stem is cut, between letters, where the whole would be longer than file systems allow."""
    stem, suffix = Path(name).stem, f" ({number}){Path(name).suffix}"
    while len(os.fsencode(stem + suffix)) > _NAME_BYTES and len(stem) > 1:
        stem = stem[:-1]
    return stem + suffix


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each remembered by the disk, so that no power cut takes it away."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    fsync_folder(folder.parent)


@contextlib.contextmanager
def folder_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`; `BlockingIOError` at once when another process has it."""
    make_folder(path.parent)
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
