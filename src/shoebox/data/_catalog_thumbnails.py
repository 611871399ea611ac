"""The thumbnails of a data set in one SQLite file, apart from the catalog: losing it loses nothing but time."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Thumbnails"]

_log = logging.getLogger(__name__)
_MANY = 500  # SQLite's limit on the number of marks in a statement is 999 in old builds
_JPEG_END = b"\xff\xd9"


class Thumbnails:
    """JPEG bytes by image id. A cache: whatever goes wrong with it is logged, and the picture is drawn anew.

    One file instead of one per picture: a scan of 100,000 pictures makes no 100,000 small files, and a page of
    the cleaner is one question.
    """

    def __init__(self, path: Path, *, timeout_s: float = 2.0) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def many(self, image_ids: Collection[str]) -> dict[str, bytes]:
        """The whole thumbnails among those asked for."""
        found: dict[str, bytes] = {}
        ids = list(image_ids)
        with self._forgiving(), self._open() as db:
            for first in range(0, len(ids), _MANY):
                part = ids[first:first + _MANY]
                found.update(db.execute("SELECT image_id, jpeg FROM thumbnails WHERE image_id IN "
                                        f"({','.join('?' * len(part))})", part))
        return {image_id: data for image_id, data in found.items() if data.endswith(_JPEG_END)}

    def keep(self, thumbnails: Mapping[str, bytes]) -> None:
        """Add or replace thumbnails."""
        if not thumbnails:
            return
        with self._forgiving(), self._open() as db:
            db.executemany("INSERT OR REPLACE INTO thumbnails VALUES (?, ?)", thumbnails.items())

    def forget(self, image_ids: Collection[str]) -> None:
        """Delete the thumbnails of pictures that were deleted for ever."""
        with self._forgiving(), self._open() as db:
            db.execute("PRAGMA secure_delete=ON")
            db.executemany("DELETE FROM thumbnails WHERE image_id = ?", [(image_id,) for image_id in image_ids])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own for each call, so that threads and forks never share one."""
        with contextlib.closing(sqlite3.connect(self._path, timeout=self._timeout_s)) as db:
            db.execute("PRAGMA synchronous=OFF")
            db.execute("CREATE TABLE IF NOT EXISTS thumbnails (image_id TEXT PRIMARY KEY, jpeg BLOB NOT NULL)")
            with db:
                yield db

    @contextmanager
    def _forgiving(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # locked, read-only, disk full
            _log.info("The thumbnails in %s were not used (%s).", self._path, error)
        except sqlite3.DatabaseError as error:  # torn by a power cut, or no database at all
            _log.info("The thumbnails in %s are damaged (%s) and start anew.", self._path, error)
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
                self._path.with_name(f"{self._path.name}-journal").unlink(missing_ok=True)
