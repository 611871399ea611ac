"""What an apply would do, in numbers a person can check before they say yes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shoebox.data import Plan

__all__ = ["ClassChange", "PlanSummary", "left_out_words", "summarise"]

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
    (path, new class or None for the trash); `stale` a sentence for each decision that is left alone. `last_apply` is
    when files were moved last and how many, if that can be taken back now.
    """

    token: str
    total: int
    relabel: int
    remove: int
    classes: tuple[ClassChange, ...]
    moves: tuple[tuple[str, str | None], ...]
    stale: tuple[str, ...]
    last_apply: tuple[str, int] | None = None

    def as_json(self) -> dict[str, Any]:
        """The same as plain dicts, lists and numbers."""
        return {**vars(self), "classes": [dict(vars(row)) for row in self.classes],
                "moves": [list(move) for move in self.moves], "stale": list(self.stale),
                "last_apply": None if self.last_apply is None else list(self.last_apply)}


def summarise(plan: Plan, labels: Iterable[str], last_apply: tuple[str, int] | None = None) -> PlanSummary:
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
        stale=tuple(skipped.sentence for skipped in plan.stale),
        last_apply=last_apply)


def left_out_words(left_out: int, unranked: int) -> str:
    """What to say of pictures of a ranking that are no longer there, and of those that came back and are not in it."""
    sentences = []
    if left_out:
        pictures, are = ("picture", "is") if left_out == 1 else ("pictures", "are")
        sentences.append(f"{left_out} {pictures} of this ranking {are} left out: moved, removed or changed since it "
                         "was made.")
    if unranked:
        pictures, are = ("picture", "is") if unranked == 1 else ("pictures", "are")
        sentences.append(f"{unranked} {pictures} that came back {are} not in this ranking.")
    return " ".join([*sentences, "Rank again to see them."]) if sentences else ""


def _token(plan: Plan) -> str:
    digest = hashlib.sha256()
    for move in plan.moves:
        digest.update(f"{move.path}\0{move.target}\0{move.record.image_id}\0{move.decision}\n".encode())
    return digest.hexdigest()[:16]
