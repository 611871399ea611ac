"""`Ranking`: issues of all kinds in one order, with filters, a table and the lanes it was made from."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, get_args, overload

from shoebox.errors import PredictionsError
from shoebox.quality._lanes import Lane
from shoebox.types import Issue, IssueKind, Side

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Ranking", "in_order"]

_MISLEADS = ("label", "conflict", "outlier")
_COLUMNS = ("path", "kind", "score", "given_label", "suggested_label", "given_probability", "suggested_probability",
            "side", "reason", "evidence", "image_id")


class Ranking(Sequence[Issue]):
    """Issues of all kinds, worst first; every readable picture stands in it with its label. Nothing is left out.

    Three parts follow one another, each by score, equal ones by path:

    1. what teaches a model something false: labels that another class is more probable than, the same picture under
       two labels, pictures like no other (score below 0.5);
    2. what is merely useless or poor: duplicates under one label, unreadable files, dark, blurry, tiny, … ones;
    3. the labels of all other pictures, least certain first.

    A picture may stand in it several times, with different kinds. `pictures()` keeps the first of each, which is the
    order in which the cleaner shows them.

    Attributes
    ----------
    classes : tuple of str
    lanes : tuple of Lane
        Which opinions about the labels were used, which were not, and why.
    note : str
        What would make it better; empty when there is nothing to say.

    Examples
    --------
    >>> ranking = shoebox.rank(ds)  # doctest: +SKIP
    >>> ranking.only(kind="label", label="teddy", side="valid")[:10]  # doctest: +SKIP
    """

    def __init__(self, issues: Iterable[Issue], classes: Sequence[str], note: str = "",
                 lanes: Sequence[Lane] = ()) -> None:
        self._issues = tuple(issues)
        self.classes = tuple(classes)
        self.note = note
        self.lanes = tuple(lanes)

    @overload
    def __getitem__(self, index: int) -> Issue: ...
    @overload
    def __getitem__(self, index: slice) -> Ranking: ...
    def __getitem__(self, index: int | slice) -> Issue | Ranking:
        return self._with(self._issues[index]) if isinstance(index, slice) else self._issues[index]

    def __len__(self) -> int:
        return len(self._issues)

    def __iter__(self) -> Iterator[Issue]:
        return iter(self._issues)

    def only(self, *, kind: IssueKind | None = None, label: str | None = None, side: Side | None = None) -> Ranking:
        """The issues of this kind, this given label and this side, in the same order; None means all of them.

        Raises
        ------
        PredictionsError
            There is no such kind.
        """
        if kind is not None and kind not in get_args(IssueKind):
            raise PredictionsError(f"There is no kind {kind!r} of issue; there are {', '.join(get_args(IssueKind))}. "
                                   "Choose one of them.")
        return self._with(issue for issue in self._issues
                          if kind in (None, issue.kind) and label in (None, issue.given_label)
                          and side in (None, issue.side))

    def pictures(self) -> Ranking:
        """The first issue of each readable picture: one row per picture, in the order of their worst."""
        first: dict[str, Issue] = {}
        for issue in self._issues:
            if issue.image_id:
                first.setdefault(issue.path, issue)
        return self._with(first.values())

    def counts(self) -> dict[str, int]:
        """Issues per kind; of kind `label` those with a score below 0.5, though all are in the ranking."""
        return dict(Counter(issue.kind for issue in self._issues if issue.kind != "label" or issue.score < 0.5))

    def to_frame(self) -> pd.DataFrame:
        """A pandas table, one row per issue in this order. Needs pandas, which comes with fastai."""
        try:
            import pandas as pd
        except ImportError:
            raise ImportError("Ranking.to_frame needs pandas. Install it with: pip install pandas") from None
        return pd.DataFrame([[getattr(issue, name) for name in _COLUMNS] for issue in self._issues],
                            columns=list(_COLUMNS))

    def __repr__(self) -> str:
        labels = [issue for issue in self._issues if issue.kind == "label"]
        doubtful = sum(issue.score < 0.5 for issue in labels)
        head = (f"Ranking({len(labels)} pictures; for {doubtful} another class is more probable than the given one)"
                if labels or not self._issues else f"Ranking({len(self._issues)} issues, none of them about labels)")
        return "\n".join([head, *self._others(), *(f"  {lane}" for lane in self.lanes)])

    def _others(self) -> list[str]:
        counts = {kind: count for kind, count in self.counts().items() if kind != "label"}
        return [f"  also: {', '.join(f'{count} {kind}' for kind, count in counts.items())}"] if counts else []

    def _repr_html_(self) -> str:
        head = "".join(f"<p>{html.escape(line)}</p>" for line in repr(self).splitlines())
        rows = "".join(
            f"<tr><td>{number}</td><td>{html.escape(issue.path)}</td><td>{issue.kind}</td>"
            f"<td>{html.escape(issue.given_label)}</td><td>{html.escape(issue.suggested_label)}</td>"
            f"<td>{issue.suggested_probability:.0%}</td><td>{html.escape(issue.reason)}</td></tr>"
            for number, issue in enumerate(self._issues[:10], start=1))
        return (f"{head}<table><thead><tr><th></th><th>picture</th><th>kind</th><th>given</th>"
                f"<th>suggested</th><th>probability</th><th>reason</th></tr></thead><tbody>{rows}</tbody></table>")

    def _with(self, issues: Iterable[Issue]) -> Ranking:
        return Ranking(issues, self.classes, self.note, self.lanes)


def in_order(issues: Iterable[Issue]) -> list[Issue]:
    """The order of a `Ranking`."""
    return sorted(issues, key=lambda issue: (_part(issue), issue.score, issue.path, issue.kind))


def _part(issue: Issue) -> int:
    if issue.kind in _MISLEADS and issue.score < 0.5:
        return 1
    return 3 if issue.kind == "label" else 2
