"""A ranking as columns of numbers, so that a question about 100,000 pictures takes about a millisecond."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from shoebox.types import DecisionKind, Issue

__all__ = ["DECIDED", "STALE", "STATES", "Columns", "Standing", "gone_of", "state_of", "states_of"]

STATES: Final = ("undecided", "stale", *get_args(DecisionKind))
STALE: Final = 1
DECIDED: Final = 2  # from here on a state is a decision that stands
_DOUBTFUL = 0.5  # a label issue below it is listed as one; every picture has a label issue


class Standing(Protocol):
    """What is read of a decision: its kind, its label when it relabels, and the bytes it was made for."""

    @property
    def kind(self) -> DecisionKind: ...
    @property
    def label(self) -> str | None: ...
    @property
    def image_id(self) -> str: ...


class Columns:
    """The pictures of a ranking in its order, one place each, whatever is written about them.

    A picture with several issues stands where its first one stands. Files that are no pictures (no image id) are
    left out.

    Attributes
    ----------
    paths : tuple of str
    issues : tuple of tuple of Issue
        What is written about each picture, worst first.
    first : tuple of Issue
        The first of these.
    scores : NDArray of float64
        How little is believed of each given label, 0 to 1, lower is worse.
    labels, suggestions, sources, kinds : tuple of str
        The names behind the codes in `given`, `suggested` and `source` (int32, one per picture) and behind the
        rows of `has` (bool, kinds x pictures). The empty suggestion and source mean that there is none.
    valid : NDArray of bool
        True for pictures of the validation side.
    """

    def __init__(self, issues: Iterable[Issue], source_of: Mapping[str, str] | None = None) -> None:
        pictures: dict[str, list[Issue]] = {}
        for issue in issues:
            if issue.image_id:
                pictures.setdefault(issue.path, []).append(issue)
        self.paths = tuple(pictures)
        self.place = {path: place for place, path in enumerate(self.paths)}
        self.issues = tuple(tuple(own) for own in pictures.values())
        self.first = first = tuple(own[0] for own in self.issues)
        self.scores = np.asarray([_label_score(own) for own in self.issues], np.float64)
        self.labels, self.given = _coded([issue.given_label for issue in first])
        self.suggestions, self.suggested = _coded([issue.suggested_label or "" for issue in first])
        known = source_of or {}
        self.sources, self.source = _coded([known.get(issue.image_id, "") for issue in first])
        self.valid = np.asarray([issue.side == "valid" for issue in first], bool)
        self.kinds, self.has = _kinds(self.issues)

    def __len__(self) -> int:
        return len(self.paths)

    def is_code(self, codes: NDArray[np.int32], names: Sequence[str], name: str) -> NDArray[np.bool_]:
        """Where a column has this name; nowhere when no picture has it."""
        return np.equal(codes, names.index(name) if name in names else -1)

    def issue(self, place: int, kind: str | None = None) -> Issue:
        """What is shown of a picture: its first issue, or its first of a kind."""
        own = self.issues[place]
        return next((issue for issue in own if issue.kind == kind), own[0])


def states_of(columns: Columns, decisions: Mapping[str, Standing]) -> NDArray[np.int8]:
    """For each picture the place in `STATES` of what stands for its present bytes."""
    states = np.zeros(len(columns), np.int8)
    for path, decision in decisions.items():
        if path in columns.place:
            states[columns.place[path]] = state_of(columns.issues[columns.place[path]][0], decision)
    return states


def state_of(issue: Issue, decision: Standing | None) -> int:
    """The same for one picture."""
    if decision is None:
        return 0
    return STATES.index(decision.kind) if decision.image_id == issue.image_id else STALE


def gone_of(columns: Columns, paths: Collection[str]) -> NDArray[np.bool_]:
    """Where the pictures with these paths stand."""
    gone = np.zeros(len(columns), bool)
    gone[[columns.place[path] for path in paths if path in columns.place]] = True
    return gone


def _label_score(issues: Sequence[Issue]) -> float:
    return next((issue.score for issue in issues if issue.kind == "label"), issues[0].score)


def _coded(names: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    different = tuple(sorted(set(names)))
    code = {name: number for number, name in enumerate(different)}
    return different, np.asarray([code[name] for name in names], np.int32)


def _kinds(issues: Sequence[Sequence[Issue]]) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    places: dict[str, list[int]] = {}
    for place, own in enumerate(issues):
        for issue in own:
            if issue.kind != "label" or issue.score < _DOUBTFUL:
                places.setdefault(issue.kind, []).append(place)
    names = tuple(sorted(places, key=lambda name: (name != "label", name)))
    has = np.zeros((len(names), len(issues)), bool)
    for row, name in zip(has, names, strict=True):
        row[places[name]] = True
    return names, has
