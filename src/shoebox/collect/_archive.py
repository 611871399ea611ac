"""A zip or tar archive as a source. Nothing is extracted under the archive's own names, and no bomb is unpacked."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from shoebox.collect._local import chosen, folder_labels, tag
from shoebox.collect._outcome import Found, Limits, RefusedError, SourceError

__all__ = ["Archive"]

_MAX_MEMBERS = 200_000
_BROKEN = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, zipfile.BadZipFile,
           tarfile.TarError)


class Archive:
    """The pictures in a zip or tar file (also gz, bz2, xz), which is only read.

    A query names a folder in it, at any depth; an empty query means all of it. Members that are links, or whose names
    lead out of the archive, are refused; each member may unpack to `max_bytes`, all of them together to
    `max_total_bytes`. Pictures wait in a temporary folder under numbers, never under the archive's own names; it is
    gone when they are collected.
    """

    name = "archive"
    searches = False

    def __init__(self, path: str | os.PathLike[str], *, max_bytes: int = Limits.max_bytes,
                 max_total_bytes: int = 20 * 2**30) -> None:
        self.path = Path(path).expanduser()
        self._max_bytes = max_bytes
        self._max_total_bytes = max_total_bytes

    def labels(self) -> tuple[str, ...]:
        """The folders in it that hold files, which can serve as classes."""
        with self._opened() as members:
            return folder_labels([member.name for member in members() if not member.fault])

    def search(self, query: str, n: int | None) -> Iterator[Found]:
        """Its files in the archive's order."""
        mark, total, waiting = tag(self.path), 0, _Waiting()
        try:
            with self._opened() as members:
                wanted = set(chosen([member.name for member in members()], query, f"The archive {self.path.name!r}"))
                for rank, member in enumerate((m for m in members() if m.name in wanted), start=1):
                    read, size_bytes = self._taken(member, waiting, str(rank))
                    total += size_bytes
                    if total > self._max_total_bytes:
                        raise SourceError(f"{self.path.name!r} unpacks to more than "
                                          f"{self._max_total_bytes / 2**30:.0f} GB. What came before that was taken.")
                    yield Found(f"{mark}/{member.name}", title=PurePosixPath(member.name).name,
                                engine=self.path.name, rank=rank, read=read)
        except _BROKEN as error:
            raise SourceError(f"The archive {self.path.name!r} is damaged ({error}). What could be read was taken; "
                              "copy or download it again for the rest.") from None

    def _taken(self, member: _Member, waiting: _Waiting, name: str) -> tuple[Callable[[], bytes], int]:
        """How to read a member later, and how much it unpacked to. It is copied out now, while its turn is."""
        if member.fault:
            return _refusing(RefusedError("bad_url", f"{member.name[:80]!r} {member.fault}. Leave it out.")), 0
        size_bytes, place = 0, waiting.folder / name
        with member.open() as source, place.open("xb") as target:
            while piece := source.read(1 << 16):
                size_bytes += len(piece)
                if size_bytes > self._max_bytes:
                    break
                target.write(piece)
        if size_bytes > self._max_bytes:
            place.unlink()
            return _refusing(RefusedError("too_large", f"{member.name[:80]!r} unpacks to more than "
                                          f"{self._max_bytes / 2**20:.0f} MB. Leave it out.")), size_bytes
        return _reading_once(waiting, name), size_bytes

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Callable[[], Iterator[_Member]]]:
        try:
            if zipfile.is_zipfile(self.path):
                with zipfile.ZipFile(self.path) as archive:
                    yield lambda: _zip_members(archive)
            elif tarfile.is_tarfile(self.path):
                with tarfile.open(self.path) as archive_:
                    yield lambda: _tar_members(archive_)
            else:
                raise SourceError(f"{self.path.name!r} is neither a zip nor a tar file. Give one of "
                                  "those, or a folder.")
        except FileNotFoundError:
            raise SourceError(f"There is no file {str(self.path)!r}. Check the path.") from None


class _Member:
    def __init__(self, name: str, fault: str, opener: Callable[[], IO[bytes]]) -> None:
        self.name = name
        self.fault = fault
        self.open = opener


def _zip_members(archive: zipfile.ZipFile) -> Iterator[_Member]:
    for number, info in enumerate(archive.infolist()):
        if number >= _MAX_MEMBERS:
            raise SourceError(f"The archive has over {_MAX_MEMBERS} members. Split it.")
        if info.is_dir() or _is_hidden(info.filename):
            continue
        link = stat.S_ISLNK(info.external_attr >> 16)
        locked = "is encrypted" if info.flag_bits & 1 else ""
        yield _Member(info.filename, _fault(info.filename, link=link) or locked, partial(archive.open, info))


def _tar_members(archive: tarfile.TarFile) -> Iterator[_Member]:
    for number, info in enumerate(archive):
        if number >= _MAX_MEMBERS:
            raise SourceError(f"The archive has over {_MAX_MEMBERS} members. Split it.")
        if info.isdir() or _is_hidden(info.name):
            continue
        fault = _fault(info.name, link=not info.isreg())
        try:
            tarfile.data_filter(info, tempfile.gettempdir())
        except tarfile.FilterError:
            fault = fault or "leads out of the archive"

        def opened(info: tarfile.TarInfo = info) -> IO[bytes]:
            file = archive.extractfile(info)
            if file is None:
                raise tarfile.ReadError(f"{info.name} has no content")
            return file

        yield _Member(info.name, fault, opened)


def _fault(name: str, *, link: bool) -> str:
    path = PurePosixPath(name)
    if link:
        return "is a link or a device, not a file"
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0]:
        return "has a name that leads out of the archive"
    return ""


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return not parts or parts[0] == "__MACOSX" or (parts[-1].startswith(".") and parts[-1] != "..")


def _refusing(refused: RefusedError) -> Callable[[], bytes]:
    def read() -> bytes:
        raise refused

    return read


class _Waiting:
    """A temporary folder for pictures; it goes when nobody is left who could read one, or when Python ends.

    A picture that the data set has already is never read.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="shoebox-archive-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


def _reading_once(waiting: _Waiting, name: str) -> Callable[[], bytes]:
    def read() -> bytes:
        file = waiting.folder / name  # the folder is there as long as this function is
        data = file.read_bytes()
        file.unlink()
        return data

    return read
