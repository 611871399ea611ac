"""The catalog: one SQLite file beside the data set, the only place where `sqlite3` is used.

What was read from files can be rebuilt by a scan. Sides, decisions and applies are the person's and are only
added to. To change the format: add a step to `_STEPS` (never edit one), and a test that opens an old file.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

from shoebox.data._decisions import Action, Decision, Entry
from shoebox.data._files import make_folder
from shoebox.data._records import CUT_OFF, ApplyRecord, ImageRecord, Known, Move, Skipped
from shoebox.data._split import Groups, Seen
from shoebox.errors import DatasetError
from shoebox.types import DecisionKind, Side

__all__ = ["Catalog"]

_STEPS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE images (
        path TEXT PRIMARY KEY, image_id TEXT NOT NULL, label TEXT NOT NULL, side TEXT NOT NULL,
        group_id TEXT NOT NULL, width_px INTEGER NOT NULL, height_px INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, format TEXT NOT NULL,
        dark REAL NOT NULL, light REAL NOT NULL,
        sharpness REAL NOT NULL, information REAL NOT NULL, fixed_side INTEGER NOT NULL);
    CREATE TABLE seen (
        image_id TEXT PRIMARY KEY, group_id TEXT NOT NULL, phash TEXT NOT NULL, phash_mirrored TEXT NOT NULL,
        signature BLOB NOT NULL);
    CREATE TABLE skipped (
        path TEXT PRIMARY KEY, cause TEXT NOT NULL, sentence TEXT NOT NULL,
        size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL);
    CREATE TABLE sides (group_id TEXT PRIMARY KEY, side TEXT NOT NULL);
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, action TEXT NOT NULL, target INTEGER NOT NULL DEFAULT 0,
        path TEXT, image_id TEXT, kind TEXT, label TEXT, who TEXT, at TEXT NOT NULL, reason TEXT);
    CREATE TABLE applies (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, state TEXT NOT NULL, moves TEXT NOT NULL);
    """,
    # the fields of SourceRecord, in its order
    """
    CREATE TABLE sources (
        url TEXT NOT NULL, label TEXT NOT NULL, query TEXT NOT NULL, source TEXT NOT NULL, engine TEXT NOT NULL,
        rank INTEGER NOT NULL, page_url TEXT NOT NULL, title TEXT NOT NULL, licence TEXT NOT NULL,
        licence_url TEXT NOT NULL, author TEXT NOT NULL, found_at TEXT NOT NULL, state TEXT NOT NULL,
        cause TEXT NOT NULL, sentence TEXT NOT NULL, path TEXT NOT NULL, image_id TEXT NOT NULL, sha256 TEXT NOT NULL,
        final_url TEXT NOT NULL, http_status INTEGER NOT NULL, robots TEXT NOT NULL, size_bytes INTEGER NOT NULL,
        width_px INTEGER NOT NULL, height_px INTEGER NOT NULL, fetched_at TEXT NOT NULL, note TEXT NOT NULL,
        PRIMARY KEY (url, label));
    CREATE INDEX sources_by_image ON sources (image_id)
    """,
)

# a record as its row: dataclasses.astuple copies deeply, which took a tenth of a scan
_IMAGE, _SEEN, _SKIPPED = (attrgetter(*(column.name for column in fields(kind)))
                           for kind in (ImageRecord, Seen, Skipped))

_COLUMNS = [column.name for column in fields(ImageRecord)]
_ID, _GROUP = _COLUMNS.index("image_id"), _COLUMNS.index("group_id")
_REPEATED = [_COLUMNS.index(name) for name in ("label", "side", "format")]


class Catalog:
    """The tables of one data set. Every method is one transaction; it stands or falls as a whole."""

    def __init__(self, path: Path, *, timeout_s: float = 10.0) -> None:
        self._path = path
        self._timeout_s = timeout_s
        try:
            make_folder(path.parent)
        except OSError as error:
            raise DatasetError(f"The catalog {path} cannot be written ({error}). Check the permissions, and that "
                               f"{path.parent.name!r} is a folder.") from None
        with self._transaction() as db:
            self._migrate(db)

    @contextmanager
    def _transaction(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        """A connection of its own, so that threads and forks never share one."""
        db: sqlite3.Connection | None = None
        try:
            db = sqlite3.connect(self._path, timeout=self._timeout_s, isolation_level=None)
            db.execute("PRAGMA synchronous=FULL")
            db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield db
            db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise DatasetError(_sentence(error, self._path)) from error
        except sqlite3.DatabaseError as error:
            raise DatasetError(f"The catalog {self._path} is damaged ({error}). Move it away and open the data set "
                               "again: pictures are not affected, but decisions in it are.") from error
        finally:
            if db is not None:
                db.close()

    def _migrate(self, db: sqlite3.Connection) -> None:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(_STEPS):
            raise DatasetError(f"The catalog {self._path} has format {version}; this Shoebox reads up to "
                               f"{len(_STEPS)}. Update Shoebox.")
        for number, step in enumerate(_STEPS[version:], start=version + 1):
            for statement in step.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version={number}")

    def settings(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """The stored settings; those not stored yet are stored from `defaults`."""
        with self._transaction() as db:
            db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)",
                           [(key, json.dumps(value)) for key, value in defaults.items()])
            return {key: json.loads(value) for key, value in db.execute("SELECT key, value FROM meta")}

    def change_setting(self, key: str, value: Any) -> None:
        """Store a setting that a person may change, unlike those of the split."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def images(self) -> dict[str, ImageRecord]:
        """Every readable picture by path, ordered by path; those that an interrupted scan left without group too."""
        with self._transaction(write=False) as db:
            rows = db.execute("SELECT * FROM images ORDER BY path")
            return {row[0]: _record(row) for row in rows}

    def known(self) -> Iterator[Known]:
        """Every file that the last scan saw, one after the other."""
        with self._transaction(write=False) as db:
            for path, size_bytes, mtime_ns, label, format_ in db.execute(
                    "SELECT path, size_bytes, mtime_ns, label, format FROM images"):
                yield Known(path, size_bytes, mtime_ns, label, True, "kept" if format_.endswith(CUT_OFF) else "")
            for path, size_bytes, mtime_ns, cause in db.execute(
                    "SELECT path, size_bytes, mtime_ns, cause FROM skipped"):
                yield Known(path, size_bytes, mtime_ns, "", False, "left out" if cause == "truncated" else "")

    def ungrouped(self) -> bool:
        """Whether there are pictures that an interrupted or unfinished scan has left without a group."""
        with self._transaction(write=False) as db:
            return db.execute("SELECT 1 FROM images WHERE group_id = '' LIMIT 1").fetchone() is not None

    def has(self, path: str) -> bool:
        """Whether a readable picture stands at `path`, as whoever scanned or moved last has written down."""
        with self._transaction(write=False) as db:
            return db.execute("SELECT 1 FROM images WHERE path = ?", (path,)).fetchone() is not None

    def seen(self) -> list[Seen]:
        """Every picture that was ever scanned, those that are gone included; the ungrouped ones last."""
        with self._transaction(write=False) as db:
            return [Seen(*row) for row in db.execute("SELECT * FROM seen ORDER BY group_id = '', image_id")]

    def store_groups(self, groups: Groups, sides: Mapping[str, Side]) -> None:
        """Give new pictures their group, join groups that a new picture links, and set every picture's side."""
        with self._transaction() as db:
            db.executemany("UPDATE seen SET group_id = ? WHERE image_id = ?", _turned(groups.new))
            db.executemany("UPDATE seen SET group_id = ? WHERE group_id = ?", _turned(groups.joined))
            db.executemany("INSERT OR REPLACE INTO sides VALUES (?, ?)", list(sides.items()))
            db.execute("UPDATE images SET group_id = (SELECT group_id FROM seen WHERE seen.image_id = images.image_id)")
            db.execute("UPDATE images SET side = (SELECT side FROM sides WHERE sides.group_id = images.group_id) "
                       "WHERE fixed_side = 0")

    def skipped(self) -> dict[str, Skipped]:
        """Every file left out, by path, ordered by path."""
        with self._transaction(write=False) as db:
            rows = db.execute("SELECT * FROM skipped ORDER BY path").fetchall()
        return {row[0]: Skipped(*row) for row in rows}

    def sides(self) -> dict[str, Side]:
        """The remembered side of each duplicate group."""
        with self._transaction(write=False) as db:
            return dict(db.execute("SELECT group_id, side FROM sides").fetchall())

    def store(self, images: Sequence[ImageRecord], seen: Sequence[Seen], skipped: Sequence[Skipped]) -> int:
        """Add or replace files; a picture has no group until `store_groups` gives it one.

        Returns how many of the pictures had other bytes before.
        """
        with self._transaction() as db:
            changed = sum(len(db.execute("SELECT 1 FROM images WHERE path = ? AND image_id <> ?",
                                         (image.path, image.image_id)).fetchall()) for image in images)
            self._replace_images(db, images)
            db.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?, ?)", [_SEEN(item) for item in seen])
            db.executemany("DELETE FROM images WHERE path = ?", [(item.path,) for item in skipped])
            db.executemany("INSERT OR REPLACE INTO skipped VALUES (?, ?, ?, ?, ?)", [_SKIPPED(s) for s in skipped])
        return changed

    def forget(self, paths: Iterable[str]) -> None:
        """Take files that are no longer there off the lists; their sides and decisions stay."""
        rows = [(path,) for path in paths]
        with self._transaction() as db:
            db.executemany("DELETE FROM images WHERE path = ?", rows)
            db.executemany("DELETE FROM skipped WHERE path = ?", rows)

    def append(self, action: Action, *, at: str, target: int = 0, path: str = "", image_id: str = "", kind: str = "",
               label: str | None = None, who: str = "", reason: str = "") -> int:
        """Add a line to the journal; it is on the disk when this returns. Returns its number."""
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT INTO journal (action, target, path, image_id, kind, label, who, at, reason) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (action, target, path, image_id, kind, label, who, at, reason))
            return int(cursor.lastrowid or 0)

    def append_all(self, rows: Sequence[tuple[str, str, str, str | None, str, str]], *, at: str,
                   after: int) -> list[int] | None:
        """Add decisions (path, image_id, kind, label, who, reason) as long as the journal ends with line `after`.

        Their numbers; None, and nothing is written, when somebody has written since.
        """
        with self._transaction() as db:
            if (db.execute("SELECT MAX(seq) FROM journal").fetchone()[0] or 0) > after:
                return None
            return [int(db.execute(
                "INSERT INTO journal (action, path, image_id, kind, label, who, reason, at) "
                "VALUES ('decide', ?, ?, ?, ?, ?, ?, ?)", (*row, at)).lastrowid or 0) for row in rows]

    def mark_all(self, action: Action, targets: Sequence[int], *, at: str) -> None:
        """Add a line about each of these decisions."""
        with self._transaction() as db:
            db.executemany("INSERT INTO journal (action, target, at) VALUES (?, ?, ?)",
                           [(action, target, at) for target in targets])

    def journal(self, after: int = 0) -> list[Entry]:
        """The journal's lines with a number over `after`, in order."""
        with self._transaction(write=False) as db:
            rows = db.execute("SELECT seq, action, target, path, image_id, kind, label, who, at, reason "
                              "FROM journal WHERE seq > ? ORDER BY seq", (after,)).fetchall()
        return [_entry(row) for row in rows]

    def begin_apply(self, moves: Sequence[Move], *, at: str) -> ApplyRecord:
        """Write down what will be moved, before anything moves."""
        with self._transaction() as db:
            cursor = db.execute("INSERT INTO applies (at, state, moves) VALUES (?, 'todo', ?)",
                                (at, _dump(moves)))
            return ApplyRecord(int(cursor.lastrowid or 0), at, "todo", tuple(moves))

    def begin_undo(self, apply: ApplyRecord) -> ApplyRecord:
        """Write down that an apply will be taken back."""
        with self._transaction() as db:
            db.execute("UPDATE applies SET state = 'undoing' WHERE id = ?", (apply.id,))
        return ApplyRecord(apply.id, apply.at, "undoing", apply.moves)

    def finish(self, apply: ApplyRecord, state: str, done: Sequence[Move], rows: Sequence[ImageRecord],
               *, left: Sequence[Move], at: str) -> None:
        """Close an apply or an undo: its state, the pictures' new places and the journal in one transaction.

        An undo that `left` files where they are stays `done` for those, so that it can be tried again.
        """
        action = "applied" if state == "done" else "unapplied"
        final, kept = (state, done) if state == "done" else ("done", left) if left else (state, apply.moves)
        gone = [move.path if state == "done" else move.target for move in done]
        with self._transaction() as db:
            db.execute("UPDATE applies SET state = ?, moves = ? WHERE id = ?", (final, _dump(kept), apply.id))
            db.executemany("DELETE FROM images WHERE path = ?", [(path,) for path in gone])
            self._replace_images(db, rows)
            db.executemany("INSERT INTO journal (action, target, at) VALUES (?, ?, ?)",
                           [(action, move.decision, at) for move in done])

    def newest_apply(self) -> int:
        """The number of the newest apply that can be taken back; 0 when there is none."""
        with self._transaction(write=False) as db:
            found = db.execute("SELECT MAX(id) FROM applies WHERE state = 'done' AND moves <> '[]'").fetchone()
        return found[0] or 0

    def applies(self, *states: str) -> list[ApplyRecord]:
        """The applies in one of `states`, oldest first."""
        marks = ",".join("?" * len(states))
        with self._transaction(write=False) as db:
            rows = db.execute(f"SELECT id, at, state, moves FROM applies WHERE state IN ({marks}) ORDER BY id",
                              states).fetchall()
        return [ApplyRecord(row[0], row[1], row[2], _load(row[3]))
                for row in rows]

    @staticmethod
    def _replace_images(db: sqlite3.Connection, images: Sequence[ImageRecord]) -> None:
        marks = ",".join("?" * len(fields(ImageRecord)))
        db.executemany(f"INSERT OR REPLACE INTO images VALUES ({marks})", [_IMAGE(image) for image in images])
        db.executemany("DELETE FROM skipped WHERE path = ?", [(image.path,) for image in images])


def _record(row: tuple[Any, ...]) -> ImageRecord:
    """Equal texts are held once: a picture that is its own group, the names of classes, sides and formats."""
    values: list[Any] = list(row)
    if values[_GROUP] == values[_ID]:
        values[_GROUP] = values[_ID]
    for place in _REPEATED:
        values[place] = sys.intern(values[place])
    return ImageRecord(*values)


def _turned(mapping: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(value, key) for key, value in mapping.items()]


def _entry(row: tuple[Any, ...]) -> Entry:
    seq, action, target, path, image_id, kind, label, who, at, reason = row
    if action != "decide":
        return Entry(seq, cast(Action, action), target)
    return Entry(seq, "decide", seq, Decision(seq, path, image_id, cast(DecisionKind, kind), label, who, at, reason))


def _dump(moves: Sequence[Move]) -> str:
    return json.dumps([asdict(move) for move in moves], ensure_ascii=False)


def _load(text: str) -> tuple[Move, ...]:
    return tuple(Move(ImageRecord(**row.pop("record")), **row) for row in json.loads(text))


def _sentence(error: sqlite3.OperationalError, path: Path) -> str:
    if "locked" in str(error):
        return (f"The catalog {path} is being written by another process. Wait until it has finished, "
                "or close the other notebook, and try again.")
    return f"The catalog {path} cannot be opened or written ({error}). Check the disk's free space and permissions."
