"""From decisions to moved files: the plan, carrying it out, finishing after a crash, and taking it back.

An apply is written into the catalog before the first file moves. Whoever opens the data set next finds an
unfinished one and finishes it; every move may be repeated without harm. Nothing is deleted: removed pictures
go to `.shoebox/trash`.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shoebox.data._catalog import Catalog
from shoebox.data._decisions import Decision
from shoebox.data._files import FreeNames, name_key, safe_join, sha256_file
from shoebox.data._moves import HalfMovedError, discard_part, finish_move, move_file
from shoebox.data._records import ApplyRecord, ImageRecord, Move, Skipped
from shoebox.data._scan import Progress
from shoebox.errors import DatasetError

__all__ = ["TRASH", "ApplyResult", "Plan", "UnfinishedError", "make_plan", "run_apply"]

TRASH = ".shoebox/trash"
_ADVICE = {
    errno.ENOSPC: "Free some space and try again.",
    errno.EDQUOT: "Free some space and try again.",
    errno.EACCES: "Make the file and its folder writable and try again.",
    errno.EPERM: "Make the file and its folder writable and try again.",
    errno.EROFS: "Make the disk writable and try again.",
    errno.EIO: "Copy what you can to another disk: this one may be failing.",
}


class UnfinishedError(DatasetError):
    """An apply that had to stop in between; it is written down, and opening the data set goes on with it."""


@dataclass(frozen=True)
class Plan:
    """What an apply would do. `stale` are decisions that no longer fit their file, and are left alone."""

    moves: tuple[Move, ...]
    stale: tuple[Skipped, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.moves)

    def summary(self) -> str:
        """The plan in a few lines: counts per kind and per class."""
        removed = sum(move.kind == "remove" for move in self.moves)
        changes = Counter((move.record.label, move.new_label) for move in self.moves if move.new_label is not None)
        lines = [f"{len(self.moves) - removed} change class, {removed} go to the trash."]
        lines += [f"  {old} → {new}: {count}" for (old, new), count in sorted(changes.items())]
        lines += [f"  left alone: {item.sentence}" for item in self.stale]
        return "\n".join(lines)

    __str__ = __repr__ = summary


@dataclass(frozen=True)
class ApplyResult:
    """How an apply or its undo went: `failed` names every file that stayed where it was, and why.

    `notes` are sentences about what else a person should know.
    """

    moved: int
    failed: tuple[Skipped, ...] = ()
    undone: bool = False
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """The result in a sentence, with one more for each file that stayed."""
        verb = "moved back" if self.undone else "moved"
        lines = [f"{self.moved} {'picture' if self.moved == 1 else 'pictures'} {verb}, {len(self.failed)} left alone."]
        return "\n".join(lines + [f"  {item.sentence}" for item in self.failed] + [f"  {note}" for note in self.notes])

    __str__ = __repr__ = summary


def make_plan(root: Path, images: Mapping[str, ImageRecord], decisions: Mapping[str, Decision]) -> Plan:
    """Work out every move without touching a file: targets are free on disk and among each other."""
    moves: list[Move] = []
    stale: list[Skipped] = []
    names = FreeNames()
    classes = {name_key(record.label): record.label for record in images.values()}
    folders = _class_folders(root, images)
    for path, decision in sorted(decisions.items()):
        record = images.get(path)
        if decision.kind not in ("relabel", "remove"):
            continue
        if record is None or record.image_id != decision.image_id:
            stale.append(_stale(path, record))
            continue
        label, folder = None, f"{TRASH}/{path.rpartition('/')[0]}"
        if decision.kind == "relabel" and decision.label is not None:
            key = name_key(decision.label)
            if key == name_key(record.label):
                continue
            label = classes.get(key, decision.label)
            folder = folders.get(name_key(_top(record)) + key, f"{_top(record)}{label}")
        try:
            name = names.take(safe_join(root, folder), path.rpartition("/")[2])
        except (OSError, DatasetError) as error:
            stale.append(Skipped(path, "refused", f"{path!r}: {error}"))
        else:
            moves.append(Move(record, f"{folder}/{name}", label, decision.seq))
    return Plan(tuple(moves), tuple(stale))


def run_apply(root: Path, catalog: Catalog, apply: ApplyRecord, *, at: str, progress: Progress | None = None,
              resumed: bool = False) -> ApplyResult:
    """Carry out an apply (state `todo`) or take one back (`undoing`), and write down how it went.

    After a crash at any instant call it again with `resumed`: what was done is left alone, the rest is done.

    Raises
    ------
    UnfinishedError
        When the disk failed so that a file has two names, or the catalog could not be written. Nothing is lost.
    """
    back = apply.state == "undoing"
    done: list[Move] = []
    failed: list[Skipped] = []
    notes: list[str] = []
    for number, move in enumerate(apply.moves[::-1] if back else apply.moves, start=1):
        source, target = (move.target, move.path) if back else (move.path, move.target)
        try:
            if not _run(root, source, target, move.record.image_id, resumed=resumed):
                notes.append(f"{target!r} was moved there, but the disk did not confirm it. Check it after a restart.")
            done.append(move)
        except _NotMovedError as why:
            failed.append(Skipped(source, "not_moved", f"{source!r} was not moved: {why}"))
        if progress:
            progress(number, len(apply.moves))
    for move in apply.moves:
        discard_part(root / (move.path if back else move.target))
    moved = {move.target for move in done}
    left = [move for move in apply.moves if move.target not in moved and (root / move.target).exists()]
    try:
        catalog.finish(apply, "undone" if back else "done", done, _rows(root, done, back=back), left=left, at=at)
    except DatasetError as error:
        raise UnfinishedError(f"{error} {len(done)} files were moved; nothing is lost, and the next opening of the "
                              "data set goes on from here.") from error
    return ApplyResult(len(done), tuple(failed), undone=back, notes=tuple(notes))


class _NotMovedError(Exception):
    """Why one file stayed where it was, as a sentence."""


def _class_folders(root: Path, images: Mapping[str, ImageRecord]) -> dict[str, str]:
    """The folder of each class, by the keys of its train/, valid/ or test/ folder and of its name.

    Those with pictures first, of two the one that is spelled as the class; then empty ones that are on the disk.
    """
    folders: dict[str, str] = {}
    tops = {_top(record) for record in images.values()}
    for record in images.values():
        key, folder = name_key(_top(record)) + name_key(record.label), _class_folder(record)
        if key not in folders or folder == f"{_top(record)}{record.label}":
            folders[key] = folder
    for top in sorted(tops):
        for entry in sorted((root / top).iterdir()):
            if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
                folders.setdefault(name_key(top) + name_key(entry.name), f"{top}{entry.name}")
    return folders


def _top(record: ImageRecord) -> str:
    """The train/, valid/ or test/ folder that a picture stays in, if the data set is laid out so."""
    return record.path.split("/")[0] + "/" if record.fixed_side else ""


def _class_folder(record: ImageRecord) -> str:
    return _top(record) + record.path.removeprefix(_top(record)).split("/")[0]


def _stale(path: str, record: ImageRecord | None) -> Skipped:
    why = "the file is no longer there" if record is None else "the file has changed since you looked at it"
    return Skipped(path, "stale", f"{path!r}: {why}. Look at it again and decide anew.")


def _run(root: Path, source: str, target: str, image_id: str, *, resumed: bool) -> bool:
    """Move one file; whether the disk confirmed it. `_NotMovedError` says what stood in the way."""
    try:
        old, new = safe_join(root, source), safe_join(root, target)
        if resumed and os.path.lexists(new):
            return finish_move(old, new, image_id)
        if sha256_file(old) != image_id:
            raise _NotMovedError("it has changed since the decision. Look at it again.")
        return move_file(old, new)
    except HalfMovedError as error:
        raise UnfinishedError(
            f"Stopped at {source!r}: the disk failed in between ({error.strerror}), and it has the name {target!r} "
            f"too now. {_ADVICE.get(error.errno or 0, '')} Opening the data set again goes on from here.") from error
    except FileExistsError:
        raise _NotMovedError(f"another file has its new name {target!r}. Rename that one and try again.") from None
    except FileNotFoundError:
        raise _NotMovedError("it is no longer there.") from None
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "Try again.")
        raise _NotMovedError(f"{error.strerror or error}. {advice}") from None
    except DatasetError as error:
        raise _NotMovedError(str(error)) from None


def _rows(root: Path, done: Sequence[Move], *, back: bool) -> list[ImageRecord]:
    """The catalog rows of moved pictures at their new places; those in the trash have none."""
    rows = []
    for move in done:
        path, label = (move.path, move.record.label) if back else (move.target, move.new_label)
        if label is not None and move.record.format:  # a file from quarantine is for the next scan to judge
            with contextlib.suppress(OSError):  # taken away in this very instant: the next scan sees that
                rows.append(replace(move.record, path=path, label=label, mtime_ns=(root / path).stat().st_mtime_ns))
    return rows
