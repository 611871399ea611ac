"""The inbox: pictures that visitors agreed to leave, with what they say of them, until the owner has looked at them.

SQLite and files in one folder, which no server shows. A picture comes in as pixels and is written anew, so that
place, time, camera and whatever hung behind the picture are gone; what a person says is the number of a class,
never a text. Nothing goes from here into a training by itself: `shoebox.collect(ds, inbox)` copies it into a data set,
where `shoebox.dataloaders` leaves it out until somebody has decided on it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shoebox.data import atomic_write_bytes, decode_image, jpeg_bytes
from shoebox.errors import ShoeboxError
from shoebox.widgets._texts import texts_of

__all__ = ["Caps", "Entry", "Inbox", "InboxError"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS classes (id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS entries (
    receipt TEXT PRIMARY KEY, day TEXT NOT NULL, hour TEXT NOT NULL, label INTEGER, answer INTEGER,
    probability REAL NOT NULL, model TEXT NOT NULL, classes INTEGER NOT NULL REFERENCES classes,
    size_bytes INTEGER NOT NULL, keep_days INTEGER);
CREATE INDEX IF NOT EXISTS entries_by_day ON entries (day);
"""
_NEWER = "ALTER TABLE entries ADD COLUMN keep_days INTEGER"  # inboxes of before have no promise beside each picture
# What was promised with the picture, unless it is to go sooner.
_TOO_OLD = ("julianday(:today) - julianday(day) > min(coalesce(keep_days, :usual), "
            "coalesce(:keep_days, keep_days, :usual))")
_LOG = logging.getLogger("shoebox")
_KEEP_DAYS = 90
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that is read as something else
_RECEIPT_CHARS = 12
_WAIT_S = 2.0
_SIDE_PX = 1024


class InboxError(ShoeboxError):
    """Something that the inbox does not do; `code` is the key of the sentence in every language."""

    def __init__(self, code: str) -> None:
        super().__init__(texts_of("en")[code])
        self.code = code


@dataclass(frozen=True)
class Caps:
    """How much is kept at most: pictures per visit and per day, bytes in all, and bytes that stay free on the disk."""

    per_session: int = 20
    per_day: int = 500
    total_bytes: int = 500 * 2**20
    keep_free_bytes: int = 2**30


@dataclass(frozen=True)
class Entry:
    """One picture of the inbox.

    Attributes
    ----------
    id : str
        Its number, which the visitor has too.
    path : Path
        The picture, a JPEG.
    suggested : str or None
        The class that the person named. None: none of the classes.
    answer : str or None
        What the app had answered. None: none of the classes.
    probability : float
        Of that answer, 0 to 1.
    model : str
        Which model had answered.
    at : datetime
        When, to the hour, in UTC.
    """

    id: str
    path: Path
    suggested: str | None
    answer: str | None
    probability: float
    model: str
    at: datetime


class Inbox:
    """A folder with `inbox.sqlite` and `pictures/`; several processes may use it at once.

    Parameters
    ----------
    folder : path
        Made on first use. Keep it outside of any folder that is served.
    keep_days : int, optional
        How long new pictures are kept; 90 unless given. Each is deleted when the days are over that were promised with
        it, or these if they are fewer, whenever a page of the app is made, a picture comes in, or the inbox is read.
        A copy that was collected into a data set is not: to delete it there is up to the data set's owner.
    caps : Caps
        How much is kept at most.

    Examples
    --------
    >>> shoebox.collect(ds, Inbox("work/inbox"))  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike[str], *, keep_days: int | None = None,
                 caps: Caps | None = None) -> None:
        if keep_days is not None and keep_days < 1:
            raise ShoeboxError(f"keep_days is {keep_days}; at least 1 was expected. Give how many days a picture may "
                               "be kept.")
        self.folder = Path(folder)
        self.keep_days = _KEEP_DAYS if keep_days is None else keep_days
        self._at_most_days = keep_days
        self.caps = caps or Caps()
        self._session_count = 0

    def add(self, picture: bytes, *, label: int | None, answer: int | None, probability: float, model: str,
            classes: Sequence[str], now: datetime | None = None) -> str:
        """Keep a picture; the number under which it can be deleted.

        Parameters
        ----------
        picture : bytes
            Any file that `decode_image` opens. It is written anew from its pixels, at most 1,024 on a side.
        label, answer : int or None
            Places in `classes`: what the person says, and what the app had answered; None is none of them.
        now : datetime, optional
            For tests.

        Raises
        ------
        InboxError
            There was enough of it in this visit or today, there is no room, or the disk cannot be written.
        """
        now = now or datetime.now(UTC)
        if self._session_count >= self.caps.per_session:
            raise InboxError("feedback_session")
        for place in (label, answer):
            if place is not None and not 0 <= place < len(classes):
                raise ShoeboxError(f"There is no class number {place}; there are {len(classes)}. Reload the page.")
        data = jpeg_bytes(decode_image(picture).image, side_px=_SIDE_PX, quality=90)
        try:
            receipt = self._kept(data, (label, answer, float(probability), model), tuple(classes), now)
        except (OSError, sqlite3.Error) as error:
            raise InboxError("feedback_failed") from error
        self._session_count += 1
        return receipt

    def delete(self, receipt: str) -> None:
        """Delete one picture and all that is known of it; `InboxError` when there is none under this number."""
        try:
            with self._open() as catalog:
                if not catalog.execute("DELETE FROM entries WHERE receipt = ?", (receipt,)).rowcount:
                    raise InboxError("forget_unknown")
                self._picture(receipt).unlink(missing_ok=True)  # first, so that no picture is left without a row
        except (OSError, sqlite3.Error) as error:
            raise InboxError("feedback_failed") from error

    def expire(self) -> None:
        """Delete what was kept for as long as was promised. That it cannot be is no reason to show no page."""
        if not self._is_there():
            return
        try:
            with self._open() as catalog:
                self._expire(catalog, datetime.now(UTC))
        except (OSError, sqlite3.Error) as error:
            _LOG.warning("Old pictures of the inbox %s cannot be deleted: %s", self.folder, error)

    def entries(self) -> Iterator[Entry]:
        """What is there, the oldest first. A picture that was taken away by hand is left out."""
        if not self._is_there():
            return
        with self._open() as catalog:
            self._expire(catalog, datetime.now(UTC))
            rows = catalog.execute("SELECT receipt, label, answer, probability, model, hour, names FROM entries JOIN "
                                   "classes ON classes.id = entries.classes ORDER BY hour, entries.rowid").fetchall()
        for receipt, label, answer, probability, model, hour, names in rows:
            words, path = json.loads(names), self._picture(receipt)
            if path.is_file():
                yield Entry(receipt, path, _word(words, label), _word(words, answer), probability, model,
                            datetime.fromisoformat(hour))

    def __len__(self) -> int:
        return sum(1 for _ in self.entries())

    def __repr__(self) -> str:
        return f"Inbox({str(self.folder)!r}, {len(self)} pictures)"

    def _kept(self, data: bytes, said: tuple[int | None, int | None, float, str], classes: tuple[str, ...],
              now: datetime) -> str:
        receipt = "".join(secrets.choice(_ALPHABET) for _ in range(_RECEIPT_CHARS))
        with self._open() as catalog:
            self._expire(catalog, now)
            self._check_room(catalog, len(data), now)
            row = (receipt, _day(now), _hour(now), *said, _classes_id(catalog, classes), len(data), self.keep_days)
            atomic_write_bytes(self._picture(receipt), data)
            try:
                catalog.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            except BaseException:
                self._picture(receipt).unlink(missing_ok=True)
                raise
        return receipt

    def _check_room(self, catalog: sqlite3.Connection, size_bytes: int, now: datetime) -> None:
        today = catalog.execute("SELECT count(*) FROM entries WHERE day = ?", (_day(now),)).fetchone()[0]
        if today >= self.caps.per_day:
            raise InboxError("feedback_day")
        total = catalog.execute("SELECT coalesce(sum(size_bytes), 0) FROM entries").fetchone()[0]
        free = shutil.disk_usage(self.folder).free
        if total + size_bytes > self.caps.total_bytes or free - size_bytes < self.caps.keep_free_bytes:
            raise InboxError("feedback_space")

    def _expire(self, catalog: sqlite3.Connection, now: datetime) -> None:
        values = {"today": _day(now), "usual": _KEEP_DAYS, "keep_days": self._at_most_days}
        old = catalog.execute(f"DELETE FROM entries WHERE {_TOO_OLD} RETURNING receipt", values).fetchall()
        for (receipt,) in old:
            self._picture(receipt).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One transaction; whoever comes second waits."""
        self.folder.mkdir(parents=True, exist_ok=True)
        catalog = sqlite3.connect(self.folder / "inbox.sqlite", timeout=_WAIT_S, isolation_level=None)
        try:
            catalog.executescript(_SCHEMA)
            catalog.execute("BEGIN IMMEDIATE")
            try:
                if "keep_days" not in (row[1] for row in catalog.execute("PRAGMA table_info(entries)")):
                    catalog.execute(_NEWER)
                yield catalog
            except BaseException:
                catalog.execute("ROLLBACK")
                raise
            catalog.execute("COMMIT")
        finally:
            catalog.close()

    def _is_there(self) -> bool:
        return (self.folder / "inbox.sqlite").is_file()

    def _picture(self, receipt: str) -> Path:
        return self.folder / "pictures" / f"{receipt}.jpg"


def _classes_id(catalog: sqlite3.Connection, classes: tuple[str, ...]) -> int:
    names = json.dumps(classes, ensure_ascii=False)
    catalog.execute("INSERT OR IGNORE INTO classes (names) VALUES (?)", (names,))
    return int(catalog.execute("SELECT id FROM classes WHERE names = ?", (names,)).fetchone()[0])


def _day(now: datetime) -> str:
    return now.astimezone(UTC).date().isoformat()


def _hour(now: datetime) -> str:
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0).isoformat()


def _word(words: Sequence[str], place: int | None) -> str | None:
    return None if place is None else str(words[place])
