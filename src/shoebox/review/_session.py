"""What the cleaner shows: ranking + decisions + view → one frozen snapshot, in one pure function.

Nothing here knows a widget, a file or a database, and nothing here changes a decision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from shoebox.types import DecisionKind, Issue, Side

__all__ = ["ClassCount", "Counts", "Item", "Snapshot", "Standing", "Status", "View", "page_of", "snapshot"]

Status = Literal["all", "undecided", "decided"]
_NONE_GONE: frozenset[str] = frozenset()


class Standing(Protocol):
    """What is read of a decision: its kind, its label when it relabels, and the bytes it was made for."""

    @property
    def kind(self) -> DecisionKind: ...
    @property
    def label(self) -> str | None: ...
    @property
    def image_id(self) -> str: ...


@dataclass(frozen=True)
class View:
    """What a person wants to see of the ranking.

    Attributes
    ----------
    label : str or None
        Only pictures given this label; None for all classes.
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

    `decision` and `decision_label` are None while nothing was decided. `stale` means that the decision was
    made for other bytes than the ranking saw: it is shown, but the picture counts as undecided.
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

    def as_json(self) -> dict[str, Any]:
        """The same as plain dicts, lists and numbers."""
        return {**vars(self), "items": [dict(vars(item)) for item in self.items], "counts": dict(vars(self.counts)),
                "classes": [dict(vars(row)) for row in self.classes]}


def snapshot(issues: Sequence[Issue], decisions: Mapping[str, Standing], view: View,
             *, gone: Collection[str] = _NONE_GONE) -> Snapshot:
    """What `view` shows of a ranking under the decisions that stand.

    Parameters
    ----------
    issues : sequence of Issue
        The ranking, worst first. Decisions never change its order.
    decisions : mapping of path to decision
        What stands now, as `Dataset.decisions` gives it. Paths outside the ranking are passed over.
    view : View
        Filters and page.
    gone : collection of str
        Paths whose pictures are no longer where the ranking saw them; they are left out. A set is fast.

    Examples
    --------
    >>> issue = Issue("cat/1.jpg", "a1", "label", .02, "cat", "dog", .03, .95, "looks like dog")
    >>> shown = snapshot([issue], {}, View())
    >>> shown.items[0].suggestion, shown.counts.total, shown.pages
    ('dog', 1, 1)
    """
    kinds: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    decided: Counter[str] = Counter()
    queue: list[int] = []
    for index, issue in enumerate(issues):
        if issue.path in gone:
            continue
        kind = _state(issue, decisions)
        kinds[kind] += 1
        totals[issue.given_label] += 1
        decided[issue.given_label] += kind in _KINDS
        if _lets_through(view, issue, kind):
            queue.append(index)
    pages = max(1, -(-len(queue) // view.page_size))
    page = min(max(view.page, 0), pages - 1)
    on_page = queue[page * view.page_size:(page + 1) * view.page_size]
    return Snapshot(
        items=tuple(_item(index, issues[index], decisions) for index in on_page),
        counts=_counts(kinds, shown=len(queue), gone=len(issues) - kinds.total()),
        classes=tuple(ClassCount(label, totals[label], decided[label]) for label in sorted(totals)),
        label=view.label, side=view.side, status=view.status, page=page, pages=pages, page_size=view.page_size)


def page_of(path: str, issues: Sequence[Issue], decisions: Mapping[str, Standing], view: View,
            *, gone: Collection[str] = _NONE_GONE) -> int | None:
    """The page of `view` on which a picture stands, from 0; None when its filters hide it."""
    place = 0
    for issue in issues:
        if issue.path not in gone and _lets_through(view, issue, _state(issue, decisions)):
            if issue.path == path:
                return place // view.page_size
            place += 1
    return None


_KINDS: frozenset[str] = frozenset(get_args(DecisionKind))


def _state(issue: Issue, decisions: Mapping[str, Standing]) -> str:
    decision = decisions.get(issue.path)
    if decision is None:
        return "undecided"
    return decision.kind if decision.image_id == issue.image_id else "stale"


def _lets_through(view: View, issue: Issue, kind: str) -> bool:
    return ((view.label is None or issue.given_label == view.label)
            and (view.side is None or issue.side == view.side)
            and (view.status == "all" or (kind in _KINDS) == (view.status == "decided")))


def _item(index: int, issue: Issue, decisions: Mapping[str, Standing]) -> Item:
    decision = decisions.get(issue.path)
    return Item(
        index, issue.path, issue.image_id, issue.given_label, issue.suggested_label, issue.given_probability,
        issue.suggested_probability, issue.score, issue.reason, issue.side,
        decision=decision.kind if decision else None, decision_label=decision.label if decision else None,
        stale=decision is not None and decision.image_id != issue.image_id)


def _counts(kinds: Counter[str], *, shown: int, gone: int) -> Counts:
    return Counts(total=kinds.total(), shown=shown, decided=sum(kinds[kind] for kind in _KINDS), keep=kinds["keep"],
                  relabel=kinds["relabel"], remove=kinds["remove"], unsure=kinds["unsure"], stale=kinds["stale"],
                  gone=gone)
