"""`Dataset`: a folder of class folders, its catalog, and what a person decided about its pictures."""

from __future__ import annotations

import contextlib
import datetime
import getpass
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import RLock
from typing import cast, get_args

from shoebox.data._apply import ApplyResult, Plan, make_plan, run_apply
from shoebox.data._deciding import Deciding
from shoebox.data._decisions import Decision, Journal
from shoebox.data._exchange import MergeReport, read_decisions, sort_out, write_decisions
from shoebox.data._files import atomic_write_bytes, check_label, folder_lock
from shoebox.data._records import Move
from shoebox.data._scan import Progress
from shoebox.data._trash import Trashed, find_trashed, quarantine_moves, restore_moves
from shoebox.errors import DatasetError
from shoebox.types import DecisionKind

__all__ = ["Dataset"]

_KINDS = get_args(DecisionKind)


class Dataset(Deciding):
    """Pictures in class folders, with a catalog in `.shoebox/` beside them.

    Opening scans the folder: new and changed files are read through the image door, everything that is no
    usable picture stands in `report.skipped` with its reason. An apply that a crash cut short is finished.

    Parameters
    ----------
    path : str or Path
        The folder that holds one folder per class.
    valid_pct : float, optional
        Share of pictures for validation, 0 to 1 (0.2 at first). Fixed when the data set is first opened.
    seed : int, optional
        Key of the split (42 at first). Fixed likewise.
    test_pct : float, optional
        Share of pictures for a sealed test, which training and ranking never see (0 at first). Fixed likewise.
    progress : callable (done, total), optional
        Called while files are read.

    Raises
    ------
    DatasetError
        No such folder, another split than the one it was opened with, or a catalog that cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, valid_pct: float | None = None, seed: int | None = None,
                 test_pct: float | None = None, progress: Progress | None = None) -> None:
        super().__init__(path, valid_pct=valid_pct, seed=seed, test_pct=test_pct)
        self._journal = Journal()
        self._lock = RLock()
        self._finish_interrupted()
        self.scan(progress)

    def decide(self, path: str, kind: DecisionKind, label: str | None = None, *, who: str = "",
               reason: str = "") -> Decision:
        """Write down what a person decided about a picture; it is on the disk when this returns.

        Parameters
        ----------
        path : str
            Which picture, relative to the data set.
        kind : str
            `keep`, `relabel` (with the new `label`), `remove` or `unsure`.
        who, reason : str
            For the record; `who` is the user's name unless given.
        """
        with self._lock:
            record = self.record(path)
            if kind not in _KINDS:
                raise DatasetError(f"{kind!r} is no decision. Choose one of {', '.join(_KINDS)}.")
            if (label is not None) != (kind == "relabel"):
                raise DatasetError(f"{kind!r} came with label {label!r}. A new label goes with 'relabel' only.")
            self._catalog.append(
                "decide", at=_now(), path=path, image_id=record.image_id, kind=kind,
                label=None if label is None else check_label(label), who=who or _user(), reason=reason)
            return self.decisions[path]

    @property
    def decisions(self) -> dict[str, Decision]:
        """The standing decision per path, those of other notebooks and colleagues included."""
        with self._lock:
            self._journal.read(self._catalog.journal(self._journal.last_seq))
            return self._journal.standing()

    def undo_decision(self) -> Decision | None:
        """Take back the newest decision (an entry of its own); None when there is nothing to take back."""
        return self._mark("undo")

    def redo_decision(self) -> Decision | None:
        """Bring back the decision that was undone last; None when there is none."""
        return self._mark("redo")

    def plan(self) -> Plan:
        """What `apply` would move where; nothing is touched."""
        return make_plan(self.root, self._images, self.decisions)

    def apply(self, plan: Plan | None = None, progress: Progress | None = None) -> ApplyResult:
        """Move relabelled pictures to their class folder and removed ones to `.shoebox/trash`.

        Never deletes and never overwrites. What cannot be moved stays, with a sentence in `failed`.
        """
        with self._lock, self._exclusive():
            plan = self.plan() if plan is None else plan
            result = self._move(plan.moves, progress)
            return ApplyResult(result.moved, plan.stale + result.failed)

    def undo_apply(self, progress: Progress | None = None) -> ApplyResult:
        """Take back the newest apply, quarantine or restore; the decisions behind it stand again.

        A file whose old place is taken stays where it is, with a sentence in `failed`; undo again when it is free.
        """
        with self._lock, self._exclusive():
            done = [apply for apply in self._catalog.applies("done") if apply.moves]
            if not done:
                raise DatasetError("There is no apply to undo.")
            apply = self._catalog.begin_undo(done[-1])
            result = run_apply(self.root, self._catalog, apply, at=_now(), progress=progress)
        self.scan()
        return result

    def quarantine(self) -> ApplyResult:
        """Move files that are no usable pictures to `.shoebox/quarantine`; `restore` brings them back."""
        with self._lock, self._exclusive():
            result = self._move(quarantine_moves(self.root, self.report.skipped))
        self.scan()
        return result

    def trash(self) -> list[Trashed]:
        """What was removed or quarantined and is still there, oldest first."""
        return find_trashed(self.root, self._catalog.applies("done"))

    def restore(self, *paths: str) -> ApplyResult:
        """Bring pictures from the trash or quarantine back to where they came from; without `paths`, all of them."""
        with self._lock, self._exclusive():
            result = self._move(restore_moves(self.root, self.trash(), paths or None))
        self.scan()
        return result

    def empty_trash(self, confirm: int | None = None) -> str:
        """Delete for ever what is in the trash and quarantine; the only thing in Shoebox that deletes pictures.

        Without `confirm` nothing happens: the sentence says how many files there are, which is the number to pass.
        """
        with self._lock, self._exclusive():
            there = self.trash()
            size = f"{len(there)} files with {sum(item.size_bytes for item in there) / 1e6:.1f} MB"
            if confirm is None or confirm != len(there):
                return f"The trash holds {size}. To delete them for ever: ds.empty_trash(confirm={len(there)})"
            for item in there:
                self.file(item.kept_at).unlink()
            self._thumbnails.forget({item.record.image_id for item in there} - {r.image_id for r in self.images})
            return f"Deleted {size}."

    def export_decisions(self, file: str | os.PathLike[str]) -> Path:
        """Write the standing decisions as `.csv` or `.jsonl`, for another person or for the record."""
        path = Path(file)
        atomic_write_bytes(path, write_decisions(self.decisions.values(), self._images, path.suffix.lower()))
        return path

    def import_decisions(self, file: str | os.PathLike[str]) -> MergeReport:
        """Take in decisions that `export_decisions` wrote; pictures are known by content, not by path.

        Where both have decided differently, nothing is overwritten: the report names the picture and both opinions.
        """
        rows, report = sort_out(read_decisions(Path(file)), self._images, self.decisions)
        for path, row in rows:
            kind, label = cast(DecisionKind, row["kind"]), row["label"] or None
            self.decide(path, kind, label, who=row["who"], reason=row["reason"])
        return report

    @property
    def moved(self) -> dict[str, str]:
        """Where pictures went that applies gave another class: path before -> path now."""
        moves = [move for apply in self._catalog.applies("done") for move in apply.moves if move.new_label is not None]
        now: dict[str, str] = {}
        for move in moves:
            now = {old: move.target if new == move.path else new for old, new in now.items()} | {move.path: move.target}
        return now

    def _move(self, moves: Sequence[Move], progress: Progress | None = None) -> ApplyResult:
        """One apply: written down, carried out, written down."""
        if not moves:
            return ApplyResult(0)
        apply = self._catalog.begin_apply(moves, at=_now())
        result = run_apply(self.root, self._catalog, apply, at=_now(), progress=progress)
        self._reload()
        return result

    def _mark(self, action: str) -> Decision | None:
        with self._lock:
            self._journal.read(self._catalog.journal(self._journal.last_seq))
            decision = self._journal.to_undo() if action == "undo" else self._journal.to_redo()
            if decision is not None:
                self._catalog.append("undo" if action == "undo" else "redo", at=_now(), target=decision.seq)
            return decision

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One apply at a time per data set; the second one is told."""
        try:
            with folder_lock(self.root / ".shoebox" / "apply.lock"):
                yield
        except BlockingIOError:
            raise DatasetError("Another notebook or process is moving files of this data set. "
                               "Wait until it has finished and try again.") from None

    def _finish_interrupted(self) -> None:
        if not self._catalog.applies("todo", "undoing"):
            return
        with self._exclusive():
            for apply in self._catalog.applies("todo", "undoing"):
                run_apply(self.root, self._catalog, apply, at=_now())


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
