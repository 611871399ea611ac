"""What one review has decided, step by step, so that it can be taken back and brought again."""

from __future__ import annotations

from collections.abc import Collection

from shoebox.data import Dataset, Decision

__all__ = ["Steps"]


class Steps:
    """The steps of one review, each one decision or many, by their numbers in the data set's journal.

    What was decided before the review began is taken back one by one, and only what the same person has decided, by
    the name that stands beside it: what others decide is theirs to take back.
    """

    def __init__(self, ds: Dataset, began: int) -> None:
        self._ds, self._began = ds, began
        self._own: set[int] = set()
        self._steps: list[tuple[int, ...]] = []
        self._undone: list[tuple[int, ...]] = []

    def __contains__(self, number: object) -> bool:
        """Whether the decision with this number was made, or brought back, here."""
        return number in self._own

    def add(self, decisions: Collection[Decision], *, to_the_last: bool = False) -> None:
        """A step, or the further part of the last one; what could be brought back no longer can."""
        numbers = tuple(decision.seq for decision in decisions)
        self._own.update(numbers)
        before = self._steps.pop() if to_the_last and self._steps else ()
        self._steps.append(before + numbers)
        self._undone.clear()

    def take_back(self, who: str) -> tuple[Decision, ...]:
        """Undo the newest step, or what `who` (the user's name when empty) had decided last before; else nothing."""
        taken: tuple[Decision, ...] = ()
        while self._steps and not taken:
            taken = self._ds.take_back(self._steps.pop())
        if not taken:
            before = self._ds.undoable(self._began, who)
            taken = self._ds.take_back([before.seq]) if before else ()
        if taken:
            self._undone.append(tuple(decision.seq for decision in taken))
        return taken

    def bring_back(self) -> tuple[Decision, ...]:
        """Redo what was undone last, as long as nothing was decided here since; else nothing."""
        while self._undone:
            if brought := self._ds.bring_back(self._undone.pop()):
                numbers = tuple(decision.seq for decision in brought)
                self._steps.append(numbers)
                self._own.update(numbers)
                return brought
        return ()
