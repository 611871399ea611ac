"""The journal of decisions: entries are only ever added, and what stands is worked out from them."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Literal

from shoebox.types import DecisionKind

__all__ = ["Action", "Decision", "Entry", "Journal", "PastDecision"]

Action = Literal["decide", "undo", "redo", "applied", "unapplied"]


@dataclass(frozen=True)
class Decision:
    """What a person decided about one picture, and when.

    `image_id` is the picture they looked at: if the file has other bytes now, the decision is stale.
    """

    seq: int
    path: str
    image_id: str
    kind: DecisionKind
    label: str | None
    who: str
    at: str
    reason: str


@dataclass(frozen=True)
class Entry:
    """One line of the journal: a new decision, or a word about the decision with number `target`."""

    seq: int
    action: Action
    target: int
    decision: Decision | None = None


@dataclass(frozen=True)
class PastDecision:
    """A decision and what became of it."""

    decision: Decision
    undone: bool
    applied: bool


@dataclass
class Journal:
    """The standing decision per path, kept up to date entry by entry; `moved` counts files moved there and back."""

    _decisions: dict[int, Decision] = field(default_factory=dict)
    _by_path: dict[str, list[int]] = field(default_factory=dict)
    _undone: set[int] = field(default_factory=set)
    _applied: set[int] = field(default_factory=set)
    _redo: list[int] = field(default_factory=list)
    _standing: dict[str, Decision] = field(default_factory=dict)
    _touched: list[tuple[int, str]] = field(default_factory=list)
    last_seq: int = 0
    moved: int = 0

    def read(self, entries: Iterable[Entry]) -> None:
        """Take in entries in the order of their numbers."""
        for entry in entries:
            self._take(entry)
            self._settle(entry)
            self.last_seq = entry.seq

    def _take(self, entry: Entry) -> None:
        if entry.action == "decide" and entry.decision is not None:
            self._decisions[entry.seq] = entry.decision
            self._by_path.setdefault(entry.decision.path, []).append(entry.seq)
            self._redo.clear()
        elif entry.action == "undo":
            if entry.target not in self._undone:  # two notebooks may undo the same one at once
                self._redo.append(entry.target)
            self._undone.add(entry.target)
        elif entry.action == "redo":
            self._undone.discard(entry.target)
            if entry.target in self._redo:
                self._redo.remove(entry.target)
        elif entry.action == "applied":
            self._applied.add(entry.target)
            self.moved += 1
        elif entry.action == "unapplied":
            self._applied.discard(entry.target)
            self.moved += 1

    def _settle(self, entry: Entry) -> None:
        """Work out anew what stands for the one picture that an entry speaks of."""
        decision = self._decisions.get(entry.target)
        if decision is None:
            return
        path = decision.path
        self._touched.append((entry.seq, path))
        newest = next((n for n in reversed(self._by_path[path]) if n not in self._undone), None)
        if newest is None or newest in self._applied:
            self._standing.pop(path, None)
        else:
            self._standing[path] = self._decisions[newest]

    def standing(self) -> dict[str, Decision]:
        """The newest decision of each path that is neither undone nor applied, ordered by its number."""
        return dict(sorted(self._standing.items(), key=lambda item: item[1].seq))

    def stands(self, path: str) -> Decision | None:
        """The same for one picture."""
        return self._standing.get(path)

    def decision(self, number: int) -> Decision:
        """The decision with this number, whatever became of it."""
        return self._decisions[number]

    def touched_since(self, after: int) -> list[str]:
        """The pictures that entries with a number over `after` speak of, each once."""
        first = bisect.bisect_right(self._touched, after, key=itemgetter(0))
        return list(dict.fromkeys(path for _, path in self._touched[first:]))

    def history(self, path: str) -> tuple[PastDecision, ...]:
        """Every decision about a picture, oldest first."""
        return tuple(PastDecision(self._decisions[n], n in self._undone, n in self._applied)
                     for n in self._by_path.get(path, ()))

    def can_mark(self, number: int, *, undone: bool) -> bool:
        """Whether a decision is there, not applied, and undone or not as asked."""
        return number in self._decisions and number not in self._applied and (number in self._undone) == undone

    def to_undo(self) -> Decision | None:
        """The newest decision that can be undone: not undone before, and not applied to the files."""
        return next((d for n, d in reversed(self._decisions.items())
                     if n not in self._undone and n not in self._applied), None)

    def newest_of(self, who: str, up_to: int) -> Decision | None:
        """The newest decision with this name beside it that stands, with a number of at most `up_to`."""
        return max((d for d in self._standing.values() if d.who == who and d.seq <= up_to),
                   key=lambda decision: decision.seq, default=None)

    def to_redo(self) -> Decision | None:
        """The decision undone last, as long as nothing was decided since."""
        return self._decisions[self._redo[-1]] if self._redo else None
