"""What a data set says of its split and of its duplicates: pure functions of its records."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shoebox.data._records import ImageRecord
from shoebox.data._split import split_warnings
from shoebox.data._views import counts_table, text_table
from shoebox.types import Side

__all__ = ["DuplicateGroup", "SplitReport", "count_sides", "find_duplicates", "report_split"]


@dataclass(frozen=True)
class SplitReport:
    """Pictures per class and side, and what is short.

    Attributes
    ----------
    counts : dict
        `{"grizzly": {"train": 80, "valid": 20}, …}`; a `test` column when the data set has a sealed test share.
    without_validation, without_training : tuple of str
        The classes that have no picture on that side.
    warnings : tuple of str
        The same, and whatever else gets in the way of training, in sentences.
    """

    counts: Mapping[str, Mapping[str, int]]
    without_validation: tuple[str, ...]
    without_training: tuple[str, ...]
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([text_table(self.counts), *(f"note: {warning}" for warning in self.warnings)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return counts_table(self.counts, notes=self.warnings)


@dataclass(frozen=True)
class DuplicateGroup:
    """Pictures that are the same but for encoding, size, brightness or mirroring.

    Attributes
    ----------
    group_id : str
        The group in the catalog; all its pictures stand on one side of the split.
    paths : tuple of str
        Its pictures, ordered by path.
    exact : bool
        Whether all of them have the same bytes.
    labels : tuple of str
        The classes they stand in. More than one: the same picture under two labels, of which one is wrong.
    """

    group_id: str
    paths: tuple[str, ...]
    exact: bool
    labels: tuple[str, ...]


def count_sides(records: Iterable[ImageRecord]) -> dict[str, dict[str, int]]:
    """Pictures per class and side; a `test` column only when there is a sealed test share."""
    counted = Counter((record.label, record.side) for record in records)
    sides: tuple[Side, ...] = ("train", "valid", "test")
    sides = sides if any(side == "test" for _, side in counted) else sides[:2]
    return {label: {side: counted[label, side] for side in sides} for label in sorted({name for name, _ in counted})}


def report_split(records: Iterable[ImageRecord]) -> SplitReport:
    """The split of these records."""
    records = tuple(records)
    counts = count_sides(records)
    return SplitReport(
        counts, tuple(label for label, n in counts.items() if not n["valid"]),
        tuple(label for label, n in counts.items() if not n["train"]),
        split_warnings((record.label, record.side) for record in records))


def find_duplicates(records: Iterable[ImageRecord]) -> tuple[DuplicateGroup, ...]:
    """Groups of at least two pictures; those under more than one label first, then by size, then by path."""
    members: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        members[record.group_id].append(record)
    groups = [
        DuplicateGroup(group_id, tuple(sorted(r.path for r in group)), len({r.image_id for r in group}) == 1,
                       tuple(sorted({r.label for r in group})))
        for group_id, group in members.items() if group_id and len(group) > 1]
    return tuple(sorted(groups, key=lambda g: (len(g.labels) == 1, -len(g.paths), g.paths)))
