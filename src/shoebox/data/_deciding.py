"""Several decisions as one step, what is new since a line of the journal, and no decision over another's head."""

from __future__ import annotations

import datetime
import getpass
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import get_args

from shoebox.data._catalog import Catalog
from shoebox.data._decisions import Decision, Journal, PastDecision
from shoebox.data._files import check_label, name_key
from shoebox.data._pictures import Pictures
from shoebox.data._records import ApplyRecord, ImageRecord
from shoebox.errors import DatasetError
from shoebox.types import DecisionKind

__all__ = ["Choice", "ConflictError", "Deciding", "apply_not_seen", "changed_elsewhere", "now"]

_KINDS = get_args(DecisionKind)


@dataclass(frozen=True)
class Choice:
    """What a person wants for one picture.

    `seen` is the number (`Decision.seq`) of the decision that they saw standing, 0 for none: when another stands
    by then, nothing is written. None writes whatever stands.
    """

    path: str
    kind: DecisionKind
    label: str | None = None
    seen: int | None = None


class ConflictError(DatasetError):
    """Somebody else has decided since. `standing` are their decisions, in the order of the choices."""

    def __init__(self, standing: Sequence[Decision]) -> None:
        first = standing[0]
        name = first.path.rpartition("/")[2]
        what = first.label if first.kind == "relabel" else first.kind
        others = f", and {len(standing) - 1} more" if len(standing) > 1 else ""
        super().__init__(f"{first.who or 'Somebody else'} has decided “{what}” on {name!r} since you looked{others}. "
                         "Look at it again, or decide once more to put yours in its place.")
        self.standing = tuple(standing)


class Deciding(Pictures):
    """What `Dataset` adds for a review: steps of many decisions, news, history."""

    _apply_seen: int
    _catalog: Catalog
    _journal: Journal
    _lock: RLock

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
        return self.decide_many([Choice(path, kind, label)], who=who, reason=reason)[0]

    def decide_many(self, choices: Iterable[Choice], *, who: str = "", reason: str = "") -> tuple[Decision, ...]:
        """Write down several decisions, all or none; they are on the disk when this returns.

        Raises
        ------
        ConflictError
            Another decision than the one that was seen stands on one of the pictures, and says something else.
        DatasetError
            No such picture, kind or label.
        """
        wanted = tuple(choices)
        rows = [self._row(choice, who or _user(), reason) for choice in wanted]
        with self._lock:
            while True:
                self._catch_up()
                found = [(choice, self._journal.stands(choice.path)) for choice in wanted]
                standing = [decision for choice, decision in found if decision and _collides(choice, decision)]
                if standing:
                    raise ConflictError(standing)
                numbers = self._catalog.append_all(rows, at=now(), after=self._journal.last_seq)
                if numbers is not None:  # nobody wrote in between
                    self._catch_up()
                    return tuple(self._journal.decision(number) for number in numbers)

    @property
    def decisions(self) -> dict[str, Decision]:
        """The standing decision per path, those of other notebooks and colleagues included."""
        with self._lock:
            self._catch_up()
            return self._journal.standing()

    def undo_decision(self) -> Decision | None:
        """Take back the newest decision (an entry of its own); None when there is nothing to take back."""
        return self._mark("undo")

    def redo_decision(self) -> Decision | None:
        """Bring back the decision that was undone last; None when there is none."""
        return self._mark("redo")

    @property
    def moved_elsewhere(self) -> int:
        """How many files other notebooks have moved since this one last scanned; over 0: scan again."""
        with self._lock:
            self._catch_up()
            return self._journal.moved - self._moved_before

    def take_back(self, numbers: Collection[int]) -> tuple[Decision, ...]:
        """Undo these decisions, newest first; those undone or applied before are passed over."""
        return self._mark_many("undo", [n for n in sorted(numbers, reverse=True) if self._is(n, undone=False)])

    def bring_back(self, numbers: Collection[int]) -> tuple[Decision, ...]:
        """Redo these undone decisions, oldest first; those that stand are passed over."""
        return self._mark_many("redo", [n for n in sorted(numbers) if self._is(n, undone=True)])

    def news(self, after: int = 0) -> tuple[int, Mapping[str, Decision | None]]:
        """The number of the journal's last line, and what stands now for each picture touched since `after`."""
        with self._lock:
            self._catch_up()
            return self._journal.last_seq, {path: self._journal.stands(path)
                                            for path in self._journal.touched_since(after)}

    def history(self, path: str) -> tuple[PastDecision, ...]:
        """Every decision about a picture by its path, oldest first, with what became of it."""
        with self._lock:
            self._catch_up()
            return self._journal.history(path)

    def undoable(self, up_to: int, who: str = "") -> Decision | None:
        """The newest decision of one person that stands and has a number of at most `up_to`.

        `who` as it was written beside the decision: the user's name when empty.
        """
        with self._lock:
            self._catch_up()
            return self._journal.newest_of(who or _user(), up_to)

    @property
    def last_apply(self) -> ApplyRecord | None:
        """What `undo_apply` would take back: the newest apply, quarantine or restore, whichever notebook made it.

        None when there is none, or when this notebook has not seen it: scan first then.
        """
        done = [apply for apply in self._catalog.applies("done") if apply.moves]
        return done[-1] if done and done[-1].id == self._apply_seen else None

    def _is(self, number: int, *, undone: bool) -> bool:
        with self._lock:
            self._catch_up()
            return self._journal.can_mark(number, undone=undone)

    def _mark_many(self, action: str, numbers: Sequence[int]) -> tuple[Decision, ...]:
        if numbers:
            self._catalog.mark_all("undo" if action == "undo" else "redo", numbers, at=now())
        with self._lock:
            self._catch_up()
            return tuple(self._journal.decision(number) for number in numbers)

    def _row(self, choice: Choice, who: str, reason: str) -> tuple[str, str, str, str | None, str, str]:
        record = self._record_now(choice.path)
        if choice.kind not in _KINDS:
            raise DatasetError(f"{choice.kind!r} is no decision. Choose one of {', '.join(_KINDS)}.")
        if (choice.label is not None) != (choice.kind == "relabel"):
            raise DatasetError(f"{choice.kind!r} came with label {choice.label!r}. A new label goes with 'relabel' "
                               "only.")
        label = None if choice.label is None else check_label(choice.label)
        label = None if label is None else self._spelling.get(name_key(label), label)
        return choice.path, record.image_id, choice.kind, label, who, reason

    def _mark(self, action: str) -> Decision | None:
        with self._lock:
            self._catch_up()
            decision = self._journal.to_undo() if action == "undo" else self._journal.to_redo()
            if decision is not None:
                self._catalog.append("undo" if action == "undo" else "redo", at=now(), target=decision.seq)
            return decision

    def _reload(self, images: dict[str, ImageRecord] | None = None) -> None:
        self._catch_up()
        self._moved_before = self._journal.moved
        self._apply_seen = self._catalog.newest_apply()
        super()._reload(images)
        self._spelling = {name_key(label): label for label in self.classes}

    def _record_now(self, path: str) -> ImageRecord:
        """The row of one picture; a sentence when another notebook has moved it."""
        elsewhere = self.moved_elsewhere
        if elsewhere and not self._catalog.has(path):
            raise DatasetError(f"There is no picture {path!r} any more. {changed_elsewhere(elsewhere)} "
                               "Scan again: ds.scan()")
        return self.record(path)

    def _catch_up(self) -> None:
        self._journal.read(self._catalog.journal(self._journal.last_seq))


def _collides(choice: Choice, standing: Decision) -> bool:
    return (choice.seen is not None and standing.seq != choice.seen
            and (standing.kind, standing.label) != (choice.kind, choice.label))


def changed_elsewhere(files: int) -> str:
    """What to say when another notebook has moved files."""
    return f"{files} {'file was' if files == 1 else 'files were'} changed on disk by another notebook."


def apply_not_seen(*, gone: bool) -> str:
    """What to say when the newest apply is another one than this notebook knows."""
    what = ("The last apply that this notebook knows of has been taken back already" if gone else
            "Another notebook has moved files since this one last scanned")
    return f"{what}, so nothing was moved. Scan again to see what stands: ds.scan()"


def now() -> str:
    """The time, as the catalog writes it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
