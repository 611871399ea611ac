"""What an apply would do, in numbers a person can check before they say yes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shoebox.data import Plan

__all__ = ["ClassChange", "PlanSummary", "summarise"]

LISTED_MOVES = 50


@dataclass(frozen=True)
class ClassChange:
    """Pictures in one class before and after the apply."""

    label: str
    before: int
    after: int


@dataclass(frozen=True)
class PlanSummary:
    """A plan in numbers. `token` names this very plan: who confirms it confirms these moves and no others.

    `classes` holds only those whose number changes or that exchange pictures; `moves` the first 50 as
    (path, new class or None for the trash); `stale` a sentence for each decision that is left alone.
    """

    token: str
    total: int
    relabel: int
    remove: int
    classes: tuple[ClassChange, ...]
    moves: tuple[tuple[str, str | None], ...]
    stale: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as plain dicts, lists and numbers."""
        return {**vars(self), "classes": [dict(vars(row)) for row in self.classes],
                "moves": [list(move) for move in self.moves], "stale": list(self.stale)}


def summarise(plan: Plan, labels: Iterable[str]) -> PlanSummary:
    """Sum up a plan; `labels` are the present labels of all pictures of the data set, one each."""
    before = Counter(labels)
    after = before.copy()
    touched: set[str] = set()
    for move in plan.moves:
        after[move.record.label] -= 1
        touched.add(move.record.label)
        if move.new_label is not None:
            after[move.new_label] += 1
            touched.add(move.new_label)
    removed = sum(move.new_label is None for move in plan.moves)
    return PlanSummary(
        token=_token(plan), total=len(plan.moves), relabel=len(plan.moves) - removed, remove=removed,
        classes=tuple(ClassChange(label, before[label], after[label]) for label in sorted(touched)),
        moves=tuple((move.path, move.new_label) for move in plan.moves[:LISTED_MOVES]),
        stale=tuple(skipped.sentence for skipped in plan.stale))


def _token(plan: Plan) -> str:
    digest = hashlib.sha256()
    for move in plan.moves:
        digest.update(f"{move.path}\0{move.target}\0{move.record.image_id}\0{move.decision}\n".encode())
    return digest.hexdigest()[:16]
