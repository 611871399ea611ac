"""A bundle's files, read once, checked while they are read, and out of anybody's reach afterwards.

What is parsed must be the very bytes that were checked: a file may be exchanged between the two. On Linux the bytes
go into sealed memory of the system, are checked there, and onnxruntime reads it like a file, so that a model of 50 MB
costs this process nothing before it is parsed; elsewhere they are held as bytes.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shoebox.bundle._folder import open_member
from shoebox.bundle._records import FileRecord
from shoebox.errors import BundleError

__all__ = ["Sealed", "check_file", "read_checked", "seal_checked"]

_PIECE = 2**22


class Sealed:
    """Checked bytes; close it when they were parsed."""

    def __init__(self, data: bytes | None = None, handle: int | None = None) -> None:
        self._data = data
        self._handle = handle

    @property
    def source(self) -> bytes | str:
        """What onnxruntime is given: the bytes, or a path that only this process has."""
        return self._data if self._data is not None else f"/proc/self/fd/{self._handle}"

    @contextmanager
    def view(self) -> Iterator[memoryview]:
        """The bytes for looking at, without taking memory for all of them."""
        if self._data is not None:
            yield memoryview(self._data)
            return
        assert self._handle is not None
        yield memoryview(mmap.mmap(self._handle, 0, access=mmap.ACCESS_READ))  # ends with its last piece

    def close(self) -> None:
        """Give the memory back."""
        self._data = None
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def seal_checked(folder: Path, name: str, record: FileRecord) -> Sealed:
    """The file `name`, sealed; `BundleError` unless size and SHA-256 are those of the manifest."""
    handle = _sealable()
    if handle is None:
        return Sealed(read_checked(folder, name, record))
    try:
        size = _copy(folder, name, record, handle)
        _seal(handle)
        _compare(folder, name, record, size, _sha256(handle, size))  # of what can no longer change
    except BaseException:
        os.close(handle)
        raise
    return Sealed(handle=handle)


def read_checked(folder: Path, name: str, record: FileRecord) -> bytes:
    """The bytes of the file `name`; errors as for `seal_checked`."""
    with open_member(folder, name, record.size_bytes) as file:
        data = file.read(record.size_bytes + 1)
    _compare(folder, name, record, len(data), hashlib.sha256(data).hexdigest())
    return data


def check_file(folder: Path, name: str, record: FileRecord) -> None:
    """Only check it, piece by piece; errors as for `seal_checked`."""
    digest, size = hashlib.sha256(), 0
    with open_member(folder, name, record.size_bytes) as file:
        while size <= record.size_bytes and (piece := file.read(_PIECE)):
            digest.update(piece)
            size += len(piece)
    _compare(folder, name, record, size, digest.hexdigest())


def _copy(folder: Path, name: str, record: FileRecord, target: int) -> int:
    """Bytes copied, by the system itself; no more than the manifest says and one."""
    size = 0
    with open_member(folder, name, record.size_bytes) as file:
        while size <= record.size_bytes and (
                copied := os.sendfile(target, file.fileno(), size, record.size_bytes + 1 - size)):
            size += copied
    return size


def _sha256(handle: int, size: int) -> str:
    """In one go: asking the interpreter for leave at every piece took longer than the sum while others import."""
    if size == 0:
        return hashlib.sha256().hexdigest()
    with mmap.mmap(handle, size, access=mmap.ACCESS_READ) as data:
        return hashlib.sha256(data).hexdigest()


def _compare(folder: Path, name: str, record: FileRecord, size: int, sha256: str) -> None:
    if size != record.size_bytes or sha256 != record.sha256:
        raise BundleError(f"{folder.name}/{name} is not the file that was exported: its size or SHA-256 is another. "
                          "Nothing of it was run. Export the model again, or get an unchanged copy.")


def _sealable() -> int | None:
    """A handle on empty memory that can be sealed; None where the system has no such thing."""
    if sys.platform != "linux" or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.memfd_create("shoebox-model", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:  # a sandbox that forbids it
        return None


def _seal(handle: int) -> None:
    import fcntl

    fcntl.fcntl(handle, fcntl.F_ADD_SEALS,
                fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
