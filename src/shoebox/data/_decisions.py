"""The journal of decisions: entries are only ever added, and what stands is worked out from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from shoebox.types import DecisionKind

__all__ = ["Action", "Decision", "Entry", "Journal"]

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


@dataclass
class Journal:
    """The standing decision per path, kept up to date entry by entry; `moved` counts files moved there and back."""

    _decisions: dict[int, Decision] = field(default_factory=dict)
    _by_path: dict[str, list[int]] = field(default_factory=dict)
    _undone: set[int] = field(default_factory=set)
    _applied: set[int] = field(default_factory=set)
    _redo: list[int] = field(default_factory=list)
    last_seq: int = 0
    moved: int = 0

    def read(self, entries: Iterable[Entry]) -> None:
        """Take in entries in the order of their numbers."""
        for entry in entries:
            self._take(entry)
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

    def decision(self, seq: int) -> Decision:
        """The decision with this number, whether it stands or not."""
        return self._decisions[seq]

    def standing(self) -> dict[str, Decision]:
        """The newest decision of each path that is neither undone nor applied."""
        standing = {}
        for path, numbers in self._by_path.items():
            newest = next((n for n in reversed(numbers) if n not in self._undone), None)
            if newest is not None and newest not in self._applied:
                standing[path] = self._decisions[newest]
        return standing

    def to_undo(self) -> Decision | None:
        """The newest decision that can be undone: not undone before, and not applied to the files."""
        done = self._undone | self._applied
        return next((d for n, d in reversed(self._decisions.items()) if n not in done), None)

    def to_redo(self) -> Decision | None:
        """The decision undone last, as long as nothing was decided since."""
        return self._decisions[self._redo[-1]] if self._redo else None
