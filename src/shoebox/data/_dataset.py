"""`Dataset`: a folder of class folders, its catalog, and what a person decided about its pictures."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import cast, get_args

from shoebox.data._apply import ApplyResult, Plan, UnfinishedError, make_plan, run_apply
from shoebox.data._deciding import Deciding, apply_not_seen, changed_elsewhere, now
from shoebox.data._decisions import Journal
from shoebox.data._exchange import MergeReport, read_decisions, sort_out, write_decisions
from shoebox.data._files import atomic_write_bytes, folder_lock
from shoebox.data._moves import check_room
from shoebox.data._records import Move, Skipped
from shoebox.data._scan import Progress
from shoebox.data._trash import Trashed, find_trashed, quarantine_moves, restore_moves
from shoebox.errors import DatasetError
from shoebox.types import DecisionKind

__all__ = ["Dataset"]

logger = logging.getLogger(__name__)

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
    keep_truncated : bool, optional
        Keep pictures whose file ends too early, as far as they are there (False at first). Remembered, and may be
        changed: the next opening brings left-out ones back, or leaves kept ones out. `report.partly_there` names them.
    progress : callable (done, total), optional
        Called while files are read.

    Raises
    ------
    DatasetError
        No such folder, another split than the one it was opened with, or a catalog that cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, valid_pct: float | None = None, seed: int | None = None,
                 test_pct: float | None = None, progress: Progress | None = None,
                 keep_truncated: bool | None = None) -> None:
        super().__init__(path, valid_pct=valid_pct, seed=seed, test_pct=test_pct, keep_truncated=keep_truncated)
        self._journal = Journal()
        self._lock = RLock()
        self._moved_before = 0
        notes = self._finish_interrupted()
        self.scan(progress)
        self.report = replace(self.report, warnings=self.report.warnings + notes)

    def plan(self) -> Plan:
        """What `apply` would move where; nothing is touched."""
        images = self._catalog.images() if self.moved_elsewhere else self._images
        return make_plan(self.root, images, self.decisions)

    def apply(self, plan: Plan | None = None, progress: Progress | None = None) -> ApplyResult:
        """Move relabelled pictures to their class folder and removed ones to `.shoebox/trash`.

        Never deletes and never overwrites. What cannot be moved stays, with a sentence in `failed`.
        """
        with self._lock, self._exclusive():
            elsewhere = self.moved_elsewhere
            plan = self.plan() if plan is None else self._still_standing(plan)
            result = self._move(plan.moves, progress)
            notes = (f"{changed_elsewhere(elsewhere)} Scan again: ds.scan()",) if elsewhere else ()
            return ApplyResult(result.moved, plan.stale + result.failed, notes=result.notes + notes)

    def undo_apply(self, progress: Progress | None = None) -> ApplyResult:
        """Take back the newest apply, quarantine or restore; the decisions behind it stand again.

        A file whose old place is taken stays where it is, with a sentence in `failed`; undo again when it is free.
        `DatasetError`, and nothing moves, when another notebook has taken that apply back or applied since this one
        last scanned: what is undone is what the person saw.
        """
        with self._lock:
            seen = self._apply_seen  # before what was cut short is finished
        with self._lock, self._exclusive():
            done = [apply for apply in self._catalog.applies("done") if apply.moves]
            if (done[-1].id if done else 0) != seen:
                raise DatasetError(apply_not_seen(gone=seen not in {0, *(apply.id for apply in done)}))
            if not done:
                raise DatasetError("There is no apply to undo.")
            self._check_room(done[-1].moves, back=True)
            apply = self._catalog.begin_undo(done[-1])
            result = run_apply(self.root, self._catalog, apply, at=now(), progress=progress)
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
            kept = []
            for item in there:
                try:
                    self.file(item.kept_at).unlink()
                except OSError as error:
                    kept.append(f"{item.path!r} ({error.strerror})")
            left = {item.image_id for item in self.images} | {item.record.image_id for item in self.trash()}
            self._thumbnails.forget({item.record.image_id for item in there} - left)
            if kept:
                return f"Deleted {len(there) - len(kept)} of {size}. Still in the trash: {', '.join(kept)}."
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
        self._check_room(moves)
        apply = self._catalog.begin_apply(moves, at=now())
        self._apply_seen = apply.id
        result = run_apply(self.root, self._catalog, apply, at=now(), progress=progress)
        self._reload()
        return result

    def _still_standing(self, plan: Plan) -> Plan:
        standing = {decision.seq for decision in self.decisions.values()}
        gone = tuple(Skipped(move.path, "stale", f"{move.path!r}: this decision was applied or taken back since the "
                             "plan was made. Make a new plan.") for move in plan.moves if move.decision not in standing)
        return Plan(tuple(move for move in plan.moves if move.decision in standing), plan.stale + gone)

    def _check_room(self, moves: Iterable[Move], *, back: bool = False) -> None:
        pairs = ((self.root / move.path, self.root / move.target) for move in moves)
        check_room((target, source) if back else (source, target) for source, target in pairs)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One apply at a time per data set; the second one is told. What a crash cut short is finished first."""
        with self._locked():
            for note in self._resume():
                logger.warning(note)
            yield

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(folder_lock(self.root / ".shoebox" / "apply.lock"))
            except BlockingIOError:
                raise DatasetError("Another notebook or process is moving files of this data set. "
                                   "Wait until it has finished and try again.") from None
            except OSError as error:
                raise DatasetError(f"The data set cannot be locked ({error.strerror}), so nothing was moved. Make its "
                                   "folder .shoebox writable and try again.") from None
            yield

    def _resume(self) -> tuple[str, ...]:
        """Finish what was cut short; a sentence for each. Under the lock only."""
        results = [run_apply(self.root, self._catalog, apply, at=now(), resumed=True)
                   for apply in self._catalog.applies("todo", "undoing")]
        if results:
            self._reload()
        return tuple(f"An apply that was cut short has been finished: {result.summary()}" for result in results)

    def _finish_interrupted(self) -> tuple[str, ...]:
        if not self._catalog.applies("todo", "undoing"):
            return ()
        try:
            with self._locked():
                return self._resume()
        except UnfinishedError as error:
            return (str(error),)
