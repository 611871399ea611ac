"""Which side of the split a picture is on: a function of its content, so that nothing reshuffles it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

from shoebox.types import Side

__all__ = ["side_of", "split_warnings"]


def side_of(group_id: str, *, seed: int, valid_pct: float) -> Side:
    """The side of a duplicate group, from a keyed hash of its id (the smallest image id in it).

    Parameters
    ----------
    group_id : str
        A SHA-256 in hexadecimal.
    seed : int
        The key: another seed, another split.
    valid_pct : float
        The share of groups that go to validation, 0 to 1.
    """
    digest = hashlib.blake2b(group_id.encode(), key=str(seed).encode(), digest_size=8).digest()
    return "valid" if int.from_bytes(digest, "big") < valid_pct * 2**64 else "train"


def split_warnings(labels_and_sides: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """A sentence for each thing that will get in the way of training: few classes, or a class short on one side."""
    counts = Counter(labels_and_sides)
    labels = sorted({label for label, _ in counts})
    if not labels:
        return ("There is no picture yet. Put pictures into one folder per class, then scan again.",)
    warnings = []
    if len(labels) == 1:
        warnings.append(f"There is one class only, {labels[0]!r}. A classifier needs at least two folders.")
    for label in labels:
        warnings.extend(_class_warnings(label, counts))
    return tuple(warnings)


def _class_warnings(label: str, counts: Mapping[tuple[str, str], int]) -> list[str]:
    train, valid = counts.get((label, "train"), 0), counts.get((label, "valid"), 0)
    if train + valid == 1:
        return [f"The class {label!r} has one picture only. Add more, at least ten."]
    if not valid:
        return [f"The class {label!r} has no validation picture among its {train}: its accuracy cannot be "
                "measured. Add pictures, or choose another seed."]
    if not train:
        return [f"The class {label!r} has no training picture among its {valid}: it cannot be learned. "
                "Add pictures, or choose another seed."]
    return []
