"""One person's way through a ranking: filters and page, decisions, apply and undo, without a screen."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from shoebox.data import ApplyResult, Dataset, Decision, Plan, Progress
from shoebox.errors import DatasetError, ShoeboxError
from shoebox.review._session import Snapshot, View, page_of, snapshot
from shoebox.review._summary import PlanSummary, summarise
from shoebox.types import DecisionKind, Issue

__all__ = ["Review", "absent", "first_of_each_picture"]


class Review:
    """A ranking in review. Decisions live in the data set's catalog and are read from there every time.

    Parameters
    ----------
    ds : Dataset
        The pictures, and where decisions are kept.
    ranking : sequence of Issue
        Worst first. A picture that has several issues is shown once, with its first; unreadable files are no
        pictures and not shown (`Dataset.quarantine` is for them). Pictures that are no longer what the ranking saw
        are left out, and `notice` says how many.
    page_size : int
        Pictures on a page, at least 1.

    Attributes
    ----------
    view : View
        What is shown now.
    issues : tuple of Issue
        The whole ranking, one per picture; places in it never change.
    labels, classes : tuple of str
        The given labels in the ranking; everything that can be chosen as a label.
    """

    def __init__(self, ds: Dataset, ranking: Sequence[Issue], *, page_size: int = 24) -> None:
        self._ds = ds
        self.view = View(page_size=page_size)
        self.issues = first_of_each_picture(ranking)
        self.labels = tuple(sorted({issue.given_label for issue in self.issues}))
        self.classes = tuple(sorted({*ds.classes, *self.labels, *(issue.suggested_label for issue in self.issues)}))
        self._paths = frozenset(issue.path for issue in self.issues)
        self._gone = absent(ds, self.issues)
        self._applied: frozenset[str] = frozenset()
        self._lock = threading.RLock()

    @cached_property
    def fns(self) -> list[Path]:
        """Absolute paths in the order of the ranking; the list never changes."""
        return [self._ds.root / issue.path for issue in self.issues]

    @property
    def notice(self) -> str:
        """A sentence about pictures that had to be left out; empty when there are none."""
        count = len(self._gone - self._applied)
        if count == 0:
            return ""
        pictures, are = ("picture", "is") if count == 1 else ("pictures", "are")
        return (f"{count} {pictures} of this ranking {are} left out: moved, removed or changed since it was made. "
                "Rank again to see them.")

    def __contains__(self, path: object) -> bool:
        return path in self._paths

    def standing(self, kind: DecisionKind) -> list[tuple[int, str | None]]:
        """(place in `fns`, new label) of the pictures decided so, as long as the file is there."""
        decisions = self._ds.decisions
        found = [(index, decisions[issue.path]) for index, issue in enumerate(self.issues)
                 if issue.path in decisions and decisions[issue.path].image_id == issue.image_id]
        return [(index, d.label) for index, d in found if d.kind == kind and self.fns[index].is_file()]

    def decide(self, path: str, kind: DecisionKind, label: str | None = None) -> Decision:
        """Write down a decision; it is on the disk when this returns."""
        return self._ds.decide(path, kind, label)

    def undo_decision(self) -> Decision | None:
        """Take back the newest decision and turn to the page of its picture; None when there is none."""
        with self._lock:
            decision = self._ds.undo_decision()
            if decision is not None:
                page = page_of(decision.path, self.issues, self._ds.decisions, self.view, gone=self._gone)
                self.view = self.view if page is None else replace(self.view, page=page)
            return decision

    def current(self) -> Snapshot:
        """What `view` shows now, by the catalog and the files as they are."""
        with self._lock:
            shown = snapshot(self.issues, self._ds.decisions, self.view, gone=self._gone)
            lost = {item.path for item in shown.items if not (self._ds.root / item.path).is_file()}
            if lost:
                self._gone |= lost
                return self.current()
            self.view = replace(self.view, page=shown.page)
            return shown

    def thumbnails(self, shown: Snapshot) -> dict[str, bytes]:
        """JPEG per path of a page; empty for a picture that cannot be opened."""
        return {item.path: self._thumbnail(item.path) for item in shown.items}

    def warm_up(self, view: View) -> None:
        """Draw the thumbnails of another page into the cache."""
        self.thumbnails(snapshot(self.issues, self._ds.decisions, view, gone=self._gone))

    def plan(self) -> tuple[Plan, PlanSummary]:
        """What `apply` would move where, and the same in numbers; nothing is touched."""
        plan = self._ds.plan()
        return plan, summarise(plan, (record.label for record in self._ds.images))

    def apply(self, *, confirm: str | None = None, progress: Progress | None = None) -> ApplyResult:
        """Move relabelled pictures to their class and removed ones to the trash.

        `confirm` is the token of the plan that was shown: `DatasetError` when the decisions say something else now.
        """
        plan, summary = self.plan()
        if confirm is not None and confirm != summary.token:
            raise DatasetError("The decisions have changed since this plan was shown. Look at the new plan.")
        return self._move(lambda: self._ds.apply(plan, progress))

    def undo_apply(self, *, progress: Progress | None = None) -> ApplyResult:
        """Bring the files of the newest apply back to where they were."""
        return self._move(lambda: self._ds.undo_apply(progress))

    def _move(self, run: Callable[[], ApplyResult]) -> ApplyResult:
        with self._lock:
            outside = self._gone - self._applied
            try:
                return run()
            finally:
                self._gone = absent(self._ds, self.issues)
                self._applied = self._gone - outside

    def _thumbnail(self, path: str) -> bytes:
        try:
            return self._ds.thumbnail(path)
        except (ShoeboxError, OSError):
            return b""


def first_of_each_picture(ranking: Sequence[Issue]) -> tuple[Issue, ...]:
    """The first issue of each readable picture, in order."""
    first: dict[str, Issue] = {}
    for issue in ranking:
        if issue.image_id:
            first.setdefault(issue.path, issue)
    return tuple(first.values())


def absent(ds: Dataset, issues: Sequence[Issue]) -> frozenset[str]:
    """Paths whose picture is no longer what the ranking saw: moved, removed, or other bytes since the last scan.

    One listing per folder instead of one look per file, which is what a network drive can stand.
    """
    known = {record.path: record.image_id for record in ds.images}
    names = {folder: _names(ds.root / folder) for folder in {issue.path.rpartition("/")[0] for issue in issues}}

    def stands(issue: Issue) -> bool:
        folder, _, name = issue.path.rpartition("/")
        return known.get(issue.path) == issue.image_id and name in names[folder]

    return frozenset(issue.path for issue in issues if not stands(issue))


def _names(folder: Path) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries)
    except OSError:
        return frozenset()
