"""One person's way through a ranking: filters and page, decisions, apply and undo, without a screen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from shoebox.data import ApplyResult, Choice, Dataset, Decision, Plan, Progress
from shoebox.errors import DatasetError, ShoeboxError
from shoebox.review._close_look import CloseLook, close_look
from shoebox.review._columns import DECIDED, STATES, Columns, gone_of, state_of
from shoebox.review._files import absent, site_of
from shoebox.review._session import Item, Snapshot, View, accepted, item_at, items_of, matrix, queue_of, show
from shoebox.review._steps import Steps
from shoebox.review._summary import PlanSummary, left_out_words, summarise
from shoebox.types import DecisionKind, Issue

__all__ = ["Review"]

Moved = TypeVar("Moved")


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
    who : str
        The reviewer's name, written beside each decision; the user's name when empty.

    Attributes
    ----------
    view : View
        What is shown now.
    issues : tuple of Issue
        The first issue of each picture; places in it change with `adopt` alone.
    labels, suggestions, kinds, sources : tuple of str
        What the view can be filtered by.
    classes : tuple of str
        Everything that can be chosen as a label.
    queue_number : int
        Grows when a picture of the queue changes its place, enters or leaves.
    order : int
        How many rankings were adopted.
    """

    def __init__(self, ds: Dataset, ranking: Sequence[Issue], *, page_size: int = 24, who: str = "") -> None:
        self._ds, self.who = ds, who
        self.view = View(page_size=page_size)
        self._applied: frozenset[str] = frozenset()
        self._settled: dict[str, tuple[int, bool]] = {}  # what an apply of this review has moved: number, problem
        self.queue_number = self.order = 0
        self._lock = threading.RLock()
        self._returned: frozenset[str] = frozenset()  # what an undo of this review has brought back
        self._take(ranking)
        self._steps = Steps(ds, self._read)

    def _take(self, ranking: Sequence[Issue]) -> None:
        sources = getattr(self._ds, "sources", {})
        self._columns = Columns(ranking, {image_id: site_of(records) for image_id, records in sources.items()})
        self.issues = self._columns.first
        self.labels, self.suggestions = self._columns.labels, self._columns.suggestions
        self.kinds, self.sources = self._columns.kinds, self._columns.sources
        self.classes = tuple(sorted({*self._ds.classes, *self.labels, *self.suggestions} - {""}))
        self._gone = absent(self._ds, self.issues)
        self._gone_mask = gone_of(self._columns, self._gone)
        self._states = np.zeros(len(self._columns), np.int8)
        self._stands: dict[str, Decision] = {}
        self._read, self._queue = 0, np.zeros(0, np.intp)
        self.catch_up()

    def adopt(self, ranking: Sequence[Issue]) -> None:
        """Go on with another ranking, from its first page. Decisions, filters and what can be undone stay."""
        with self._lock:
            self._take(ranking)
            self.order, self.queue_number = self.order + 1, self.queue_number + 1  # other pictures at the same places
            self.view = replace(self.view, page=0)
            self.__dict__.pop("fns", None)

    @cached_property
    def fns(self) -> list[Path]:
        """Absolute paths in the order of the ranking; the list changes with `adopt` alone."""
        return [self._ds.root / issue.path for issue in self.issues]

    @property
    def notice(self) -> str:
        """What a person should know of pictures that are left out, or came back unranked; empty when all is well."""
        left_out = len(self._gone - self._applied)
        unranked = sum(path not in self and self.has_picture(path) for path in self._returned)
        return left_out_words(left_out, unranked)

    def __contains__(self, path: object) -> bool:
        return path in self._columns.place

    def catch_up(self) -> bool:
        """Take in what was decided since, here or elsewhere; False when there was nothing new."""
        with self._lock:
            number, news = self._ds.news(self._read)
            for path, decision in news.items():
                place = self._columns.place.get(path)
                if place is None:
                    continue
                self._states[place] = state_of(self.issues[place], decision)
                if decision is None:
                    self._stands.pop(path, None)
                else:
                    self._stands[path] = decision
            moved, self._read = number > self._read, number
            return moved

    def look_again(self) -> bool:
        """Take in the files that an apply, or an undo, elsewhere has moved; False when there was none."""
        with self._lock:
            if not self._ds.moved_elsewhere:
                return False
            self._move(self._ds.scan)
            self.catch_up()
            return True

    def standing(self, kind: DecisionKind) -> list[tuple[int, str | None]]:
        """(place in `fns`, new label) of the pictures decided so, as long as the file is there."""
        with self._lock:
            self.catch_up()
            found = [(place, self._stands[self.issues[place].path].label)
                     for place in np.flatnonzero(self._states == STATES.index(kind)).tolist()]
        return [(place, label) for place, label in found if self.fns[place].is_file()]

    def decide(self, paths: Sequence[str], kind: DecisionKind | None, label: str | None = None, *,
               seen: int | None = None, seen_up_to: int | None = None, who: str = "",
               same_step: bool = False) -> tuple[Decision, ...]:
        """Write down one decision about these pictures, all or none; it is on the disk when this returns.

        `kind` None accepts each picture's suggestion. The person saw standing the decision with the number `seen`
        (0 for none), or all of the journal up to line `seen_up_to`: `ConflictError` when somebody else's stands
        there by now. Without either, whatever stands is replaced. With `same_step` an undo takes it back together with
        the step before.
        """
        with self._lock:
            choices = [self._choice(path, kind, label, self._seen(path, seen, seen_up_to)) for path in paths]
            decisions = self._ds.decide_many(choices, who=who or self.who)
            self._steps.add(decisions, to_the_last=same_step)
            self.catch_up()
            return decisions

    def undo_decision(self, who: str = "") -> tuple[Decision, ...]:
        """Take back the newest step and turn to the page of its first picture; empty when there is none.

        Steps of this review first, then what the same person had decided before it began, one by one: `who`, as it
        stands beside their decisions. What somebody else has decided is theirs to take back.
        """
        with self._lock:
            return self._turn_to(self._steps.take_back(who or self.who))

    def redo_decision(self) -> tuple[Decision, ...]:
        """Bring back the step that was undone last, as long as nothing was decided here since."""
        with self._lock:
            return self._turn_to(self._steps.bring_back())

    def current(self) -> Snapshot:
        """What `view` shows now, by the catalog and the files as they are."""
        with self._lock:
            self.catch_up()
            shown = show(self._columns, self._states, self._gone_mask, self._stands, self.view)
            if self._lose(shown.items):
                return self.current()
            self.view = replace(self.view, page=shown.page)
            queue = queue_of(self._columns, self._states, self._gone_mask, self.view)
            if not np.array_equal(queue, self._queue):
                self._queue = queue
                self.queue_number += 1
            return shown

    def glance(self, view: View) -> tuple[Snapshot, int]:
        """What another view would show, and the number of the journal's last line in it. The view stays as it is."""
        with self._lock:
            return show(self._columns, self._states, self._gone_mask, self._stands, view), self._read

    def page(self, number: int) -> tuple[Item, ...]:
        """The pictures of another page of the queue that `current` saw last, from 0; empty past the end."""
        with self._lock:
            return items_of(self._columns, self._queue, self._stands, self.view, number)

    def items(self, paths: Iterable[str]) -> tuple[Item, ...]:
        """These pictures as they stand now."""
        with self._lock:
            return tuple(item_at(self._columns, self._columns.place[path], self._stands.get(path), self.view.kind)
                         for path in paths if path in self)

    def between(self, first: str, last: str) -> list[str]:
        """The paths of the queue from one picture to another, both included, in its order."""
        with self._lock:
            low, high = sorted(int(np.searchsorted(self._queue, self._columns.place[path])) for path in (first, last))
            return [self._columns.paths[place] for place in self._queue[low:high + 1].tolist()]

    def like(self, path: str) -> list[str]:
        """The undecided paths of the queue with the same given label, suggestion and kind as this picture."""
        with self._lock:
            place = self._columns.place[path]
            columns, queue, issue = self._columns, self._queue, self._columns.issue(place, self.view.kind)
            same = ((columns.given[queue] == columns.given[place])
                    & (columns.suggested[queue] == columns.suggested[place]) & (self._states[queue] < DECIDED))
            places = queue[same].tolist()
            return [columns.paths[other] for other in places
                    if other == place or columns.issue(other, self.view.kind).kind == issue.kind]

    @property
    def last_line(self) -> int:
        """The number of the journal's line up to which everything was taken in."""
        return self._read

    def confusion(self) -> dict[str, Any]:
        """Given label against suggestion, as `shoebox.review.matrix` counts them."""
        with self._lock:
            return matrix(self._columns, self._states, self._gone_mask)

    def outcome(self) -> tuple[list[bool], NDArray[np.intp], NDArray[np.float64]]:
        """What was found so far, for an estimate of what is left: problems, places looked at, scores.

        For each keep, relabel and remove in the order of deciding: was it a problem, and which of the scores is its
        own. Scores (N,) are those of the given labels, 0 to 1, lower is worse, of all pictures that are there or
        were moved by an apply of this review.
        """
        with self._lock:
            kept = ~self._gone_mask | gone_of(self._columns, self._applied)
            verdicts = {path: verdict for path, verdict in self._settled.items() if path in self}
            for path, decision in self._stands.items():
                place = self._columns.place[path]
                if decision.kind != "unsure" and self._states[place] >= DECIDED and kept[place]:
                    verdicts[path] = (decision.seq, decision.kind != "keep")
            order = sorted((seq, self._columns.place[path], problem) for path, (seq, problem) in verdicts.items())
            places = np.asarray([place for _, place, _ in order], np.intp)
            return [problem for *_, problem in order], (np.cumsum(kept) - 1)[places], self._columns.scores[kept]

    def thumbnails(self, paths: Collection[str]) -> dict[str, bytes]:
        """JPEG per path, at most 256 pixels a side, as the scan drew it; empty for one that cannot be opened."""
        try:
            return self._ds.thumbnails(paths)
        except (ShoeboxError, OSError):
            return {path: self._thumbnail(path) for path in paths}

    def close_look(self, path: str) -> CloseLook:
        """What is known of one picture of the ranking; it is opened anew."""
        return close_look(self._ds, path, self._columns.issues[self._columns.place[path]])

    def has_picture(self, path: str) -> bool:
        """Whether the data set has this picture, in the ranking or not."""
        return self.label_of(path) != ""

    def label_of(self, path: str) -> str:
        """The label of a picture of the data set; empty when it has none by this path."""
        try:
            return self._ds.record(path).label
        except ShoeboxError:
            return ""

    def plan(self) -> tuple[Plan, PlanSummary]:
        """What `apply` would move where, and the same in numbers; nothing is touched."""
        plan, last = self._ds.plan(), self._ds.last_apply
        return plan, summarise(plan, (record.label for record in self._ds.images),
                               (last.at, len(last.moves)) if last else None)

    def apply(self, *, confirm: str | None = None, progress: Progress | None = None) -> ApplyResult:
        """Move relabelled pictures to their class and removed ones to the trash.

        `confirm` is the token of the plan that was shown: `DatasetError` when the decisions say something else now.
        """
        plan, summary = self.plan()
        if confirm is not None and confirm != summary.token:
            raise DatasetError("The decisions have changed since this plan was shown. Look at the new plan.")
        return self._move(lambda: self._ds.apply(plan, progress))

    def undo_apply(self, *, progress: Progress | None = None) -> ApplyResult:
        """Bring the files of the newest apply back to where they were, be it of this review or of one before."""
        with self._lock:
            last = self._ds.last_apply
            result = self._move(lambda: self._ds.undo_apply(progress), back=True)
            self._returned |= frozenset(move.path for move in last.moves) if last else frozenset()
            return result

    def _choice(self, path: str, kind: DecisionKind | None, label: str | None, seen: int | None) -> Choice:
        issue = self.issues[self._columns.place[path]]
        if kind is None:
            kind, label = accepted(issue)
        return Choice(path, kind, label, seen)

    def _seen(self, path: str, seen: int | None, seen_up_to: int | None) -> int | None:
        stands = self._stands.get(path)
        number = 0 if stands is None else stands.seq
        if seen is None and seen_up_to is None:
            return None
        if number in self._steps or (seen_up_to is not None and number <= seen_up_to):
            return number  # one's own is no surprise, even where the page has not drawn it yet
        return seen or 0

    def _turn_to(self, decisions: tuple[Decision, ...]) -> tuple[Decision, ...]:
        self.catch_up()
        if decisions:
            queue = queue_of(self._columns, self._states, self._gone_mask, self.view)
            found = np.flatnonzero(queue == self._columns.place.get(decisions[0].path, -1))
            if len(found):
                self.view = replace(self.view, page=int(found[0]) // self.view.page_size)
        return decisions

    def _lose(self, items: Iterable[Item]) -> bool:
        """Leave out pictures whose file is gone; False when all are there."""
        lost = {item.path for item in items if not (self._ds.root / item.path).is_file()}
        self._gone |= lost
        self._gone_mask |= gone_of(self._columns, lost)
        return bool(lost)

    def _move(self, run: Callable[[], Moved], *, back: bool = False) -> Moved:
        with self._lock:
            outside = self._gone - self._applied
            standing = {path: (decision.seq, decision.kind != "keep") for path, decision in self._stands.items()}
            try:
                return run()
            finally:
                self._gone = absent(self._ds, self.issues)
                self._gone_mask = gone_of(self._columns, self._gone)
                self._applied = (self._gone - outside) & (self._applied if back else self._gone)
                self._settled = {path: verdict for path, verdict in (standing | self._settled).items()
                                 if path in self._applied}

    def _thumbnail(self, path: str) -> bytes:
        try:
            return self._ds.thumbnails([path])[path]
        except (ShoeboxError, OSError):
            return b""
