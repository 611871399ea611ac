"""What the cleaner shows: ranking + decisions + view → one frozen snapshot, in one pure function.

Nothing here knows a widget, a file or a database, and nothing here changes a decision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from shoebox.review._columns import DECIDED, STALE, STATES, Columns, Standing, gone_of, states_of
from shoebox.types import DecisionKind, Issue, Side

__all__ = ["ClassCount", "Counts", "Item", "Share", "Snapshot", "Status", "View", "accepted", "as_rows",
           "item_at", "items_of", "matrix", "page_of", "queue_of", "show", "snapshot"]

Status = Literal["all", "undecided", "decided"]


@dataclass(frozen=True)
class View:
    """What a person wants to see of the ranking.

    Attributes
    ----------
    label, suggested : str or None
        Only pictures given this label, or for which this one is suggested; None for all.
    kind : str or None
        Only pictures with an issue of this kind; their cards speak of that issue.
    source : str or None
        Only pictures from this source site; the empty one for those without.
    side : {'train', 'valid'} or None
        Only pictures of this side of the split; None for both.
    status : {'all', 'undecided', 'decided'}
        Only pictures without, or with, a decision that stands for their present bytes.
    page : int
        From 0. A page past the end shows the last one.
    page_size : int
        Pictures on a page, at least 1.
    """

    label: str | None = None
    side: Side | None = None
    status: Status = "all"
    page: int = 0
    page_size: int = 24
    suggested: str | None = None
    kind: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        if self.side not in (None, "train", "valid"):  # a sealed test is not reviewed
            raise ValueError(f"A side is 'train', 'valid' or None for both; {self.side!r} came.")
        if self.status not in get_args(Status):
            raise ValueError(f"A status is 'all', 'undecided' or 'decided'; {self.status!r} came.")
        if self.page_size < 1:
            raise ValueError(f"A page holds at least 1 picture; page_size={self.page_size} came.")


@dataclass(frozen=True)
class Item:
    """One picture on the page. `index` is its place in the whole ranking, from 0; it never changes.

    `decision` and `decision_label` are None while nothing was decided; `seq` is that decision's number (0 for none)
    and `who` made it. `stale` means that it was made for other bytes than the ranking saw: it is shown, but the
    picture counts as undecided. `suggestion` is empty when there is none; `kinds` are all that speaks against the
    picture, `evidence` the paths to compare it with.
    """

    index: int
    path: str
    image_id: str
    given: str
    suggestion: str
    given_probability: float
    suggested_probability: float
    score: float
    reason: str
    side: Side | None
    decision: DecisionKind | None = None
    decision_label: str | None = None
    stale: bool = False
    seq: int = 0
    who: str = ""
    kind: str = "label"
    kinds: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counts:
    """Numbers of pictures. `total` = `decided` + undecided; `decided` = keep + relabel + remove + unsure.

    `total` leaves out the `gone`; `shown` is what the view's filters let through; `stale` are among the undecided.
    """

    total: int
    shown: int
    decided: int
    keep: int
    relabel: int
    remove: int
    unsure: int
    stale: int
    gone: int


@dataclass(frozen=True)
class ClassCount:
    """How many pictures of the ranking were given `label`, and how many of them are decided."""

    label: str
    total: int
    decided: int


@dataclass(frozen=True)
class Share:
    """How many pictures have this kind, or come from this source, and how many of them are decided."""

    name: str
    total: int
    decided: int


@dataclass(frozen=True)
class Snapshot:
    """Everything that the grid draws but the pictures themselves. `page` counts from 0; `pages` is at least 1."""

    items: tuple[Item, ...]
    counts: Counts
    classes: tuple[ClassCount, ...]
    label: str | None
    side: Side | None
    status: Status
    page: int
    pages: int
    page_size: int
    suggested: str | None = None
    kind: str | None = None
    source: str | None = None
    kinds: tuple[Share, ...] = ()
    sources: tuple[Share, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The same as plain dicts, lists and numbers."""
        lists = {name: [dict(vars(row)) for row in getattr(self, name)] for name in ("classes", "kinds", "sources")}
        return {**vars(self), **lists, "items": as_rows(self.items), "counts": dict(vars(self.counts))}


def as_rows(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Items as plain dicts, lists and numbers."""
    return [{**vars(item), "kinds": list(item.kinds), "evidence": list(item.evidence)} for item in items]


def snapshot(issues: Iterable[Issue], decisions: Mapping[str, Standing], view: View,
             *, gone: Collection[str] = ()) -> Snapshot:
    """What `view` shows of a ranking under the decisions that stand.

    Parameters
    ----------
    issues : iterable of Issue
        The ranking, worst first. Decisions never change its order. A picture is shown once, where it stands first.
    decisions : mapping of path to decision
        What stands now, as `Dataset.decisions` gives it. Paths outside the ranking are passed over.
    view : View
        Filters and page.
    gone : collection of str
        Paths whose pictures are no longer where the ranking saw them; they are left out.

    Examples
    --------
    >>> issue = Issue("cat/1.jpg", "a1", "label", .02, "cat", "dog", .03, .95, "looks like dog")
    >>> shown = snapshot([issue], {}, View())
    >>> shown.items[0].suggestion, shown.counts.total, shown.pages
    ('dog', 1, 1)
    """
    columns = Columns(issues)
    return show(columns, states_of(columns, decisions), gone_of(columns, gone), decisions, view)


def show(columns: Columns, states: NDArray[np.int8], gone: NDArray[np.bool_], decisions: Mapping[str, Standing],
         view: View) -> Snapshot:
    """The same from columns that are kept: `states` by `states_of`, `gone` by `gone_of`."""
    there, decided = ~gone, ~gone & (states >= DECIDED)
    queue = queue_of(columns, states, gone, view)
    pages = max(1, -(-len(queue) // view.page_size))
    page = min(max(view.page, 0), pages - 1)
    numbers = np.bincount(states[there], minlength=len(STATES)).tolist()
    totals = np.bincount(columns.given[there], minlength=len(columns.labels)).tolist()
    done = np.bincount(columns.given[decided], minlength=len(columns.labels)).tolist()
    return Snapshot(
        items=items_of(columns, queue, decisions, view, page),
        counts=Counts(total=sum(numbers), shown=len(queue), decided=sum(numbers[DECIDED:]), stale=numbers[STALE],
                      gone=int(gone.sum()), **dict(zip(STATES[DECIDED:], numbers[DECIDED:], strict=True))),
        classes=tuple(ClassCount(*row) for row in zip(columns.labels, totals, done, strict=True) if row[1]),
        label=view.label, side=view.side, status=view.status, page=page, pages=pages, page_size=view.page_size,
        suggested=view.suggested, kind=view.kind, source=view.source,
        kinds=tuple(Share(name, int((row & there).sum()), int((row & decided).sum()))
                    for name, row in zip(columns.kinds, columns.has, strict=True)),
        sources=_shares(columns.sources, columns.source, there, decided) if len(columns.sources) > 1 else ())


def queue_of(columns: Columns, states: NDArray[np.int8], gone: NDArray[np.bool_], view: View) -> NDArray[np.intp]:
    """Places of the pictures that a view lets through, in the ranking's order."""
    mask = ~gone
    if view.label is not None:
        mask &= columns.is_code(columns.given, columns.labels, view.label)
    if view.suggested is not None:
        mask &= columns.is_code(columns.suggested, columns.suggestions, view.suggested)
    if view.source is not None:
        mask &= columns.is_code(columns.source, columns.sources, view.source)
    if view.kind is not None:
        mask &= columns.has[columns.kinds.index(view.kind)] if view.kind in columns.kinds else False
    if view.side is not None:
        mask &= columns.valid == (view.side == "valid")
    if view.status != "all":
        mask &= (states >= DECIDED) == (view.status == "decided")
    return np.flatnonzero(mask)


def items_of(columns: Columns, queue: NDArray[np.intp], decisions: Mapping[str, Standing], view: View,
             page: int) -> tuple[Item, ...]:
    """The pictures of one page of a queue."""
    places = queue[page * view.page_size:(page + 1) * view.page_size].tolist()
    return tuple(item_at(columns, place, decisions.get(columns.paths[place]), view.kind) for place in places)


def page_of(path: str, issues: Sequence[Issue], decisions: Mapping[str, Standing], view: View,
            *, gone: Collection[str] = ()) -> int | None:
    """The page of `view` on which a picture stands, from 0; None when its filters hide it."""
    columns = Columns(issues)
    queue = queue_of(columns, states_of(columns, decisions), gone_of(columns, gone), view)
    found = np.flatnonzero(queue == columns.place.get(path, -1))
    return int(found[0]) // view.page_size if len(found) else None


def matrix(columns: Columns, states: NDArray[np.int8], gone: NDArray[np.bool_], *, limit: int = 30) -> dict[str, Any]:
    """Given label against suggestion, for the at most `limit` classes with the most pictures off the diagonal.

    `labels`: those classes, in order; `cells`: [row, column, pictures, undecided], without empty ones; `left_out`:
    how many further classes there are. Pictures without a suggestion are left out.
    """
    names = sorted({*columns.labels, *columns.suggestions} - {""})
    code = {name: number for number, name in enumerate(names)}
    rows = np.asarray([code[name] for name in columns.labels], np.intp)[columns.given]
    cols = np.asarray([code.get(name, -1) for name in columns.suggestions], np.intp)[columns.suggested]
    use = ~gone & (cols >= 0)
    flat, undecided = rows * len(names) + cols, states < DECIDED
    cells, totals = np.unique(flat[use], return_counts=True)
    waiting, counts = np.unique(flat[use & undecided], return_counts=True)
    open_ = dict(zip(waiting.tolist(), counts.tolist(), strict=True))
    off = use & (rows != cols)
    weight = np.bincount(rows[off], minlength=len(names)) + np.bincount(cols[off], minlength=len(names))
    kept = sorted(np.argsort(-weight, kind="stable")[:limit].tolist())
    place = {number: new for new, number in enumerate(kept)}
    return {"labels": [names[number] for number in kept], "left_out": len(names) - len(kept),
            "cells": [[place[cell // len(names)], place[cell % len(names)], total, open_.get(cell, 0)]
                      for cell, total in zip(cells.tolist(), totals.tolist(), strict=True)
                      if cell // len(names) in place and cell % len(names) in place]}


def _shares(names: Sequence[str], codes: NDArray[np.int32], there: NDArray[np.bool_],
            decided: NDArray[np.bool_]) -> tuple[Share, ...]:
    totals = np.bincount(codes[there], minlength=len(names)).tolist()
    done = np.bincount(codes[decided], minlength=len(names)).tolist()
    rows = [Share(*row) for row in zip(names, totals, done, strict=True) if row[1]]
    return tuple(sorted(rows, key=lambda row: (row.name == "", -row.total)))


def item_at(columns: Columns, place: int, decision: Standing | None, kind: str | None) -> Item:
    """One picture as a view of `kind` shows it."""
    issue, own = columns.issue(place, kind), columns.issues[place]
    kinds = tuple(dict.fromkeys(other.kind for other in own if other.kind != "label" or other.score < 0.5))
    return Item(
        place, issue.path, issue.image_id, issue.given_label, issue.suggested_label or "", issue.given_probability,
        issue.suggested_probability, issue.score, issue.reason, issue.side,
        decision=decision.kind if decision else None, decision_label=decision.label if decision else None,
        stale=decision is not None and decision.image_id != issue.image_id, seq=getattr(decision, "seq", 0),
        who=getattr(decision, "who", ""), kind=issue.kind, kinds=kinds,
        evidence=issue.evidence or next((other.evidence for other in own if other.evidence), ()))


def accepted(issue: Issue) -> tuple[DecisionKind, str | None]:
    """What accepting the suggestion decides: a keep where there is none, or where it is the given label."""
    if issue.suggested_label and issue.suggested_label != issue.given_label:
        return "relabel", issue.suggested_label
    return "keep", None
