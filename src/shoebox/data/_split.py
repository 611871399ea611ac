"""Which side of the split a picture is on: a function of its content and of its near-duplicates.

The side of a group comes from a keyed hash of its id, the smallest image id it had when it was first seen. Both
are remembered, so removing, renaming, relabelling or adding pictures moves nothing. One exception: a new picture
that links groups of different sides; the joined group then trains, and the scan says so.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shoebox.data._groups import alike, components, near_pairs
from shoebox.types import Side

__all__ = ["Groups", "Seen", "group_new", "side_of", "sides_of", "split_warnings"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture and what it looks like; `group_id` is empty until it has a group of near-duplicates."""

    image_id: str
    group_id: str
    phash: str
    phash_mirrored: str
    signature: bytes


@dataclass(frozen=True)
class Groups:
    """What new pictures change: image id -> their group, and old group -> the group that it became part of."""

    new: dict[str, str] = field(default_factory=dict)
    joined: dict[str, str] = field(default_factory=dict)


def group_new(seen: Sequence[Seen]) -> Groups:
    """Groups as connected components over equal bytes and near-duplicates; only what is new is compared with all.

    Parameters
    ----------
    seen : sequence of Seen
        Those with a group first; each image id once.
    """
    old = sum(bool(item.group_id) for item in seen)
    near = near_pairs([item.phash for item in seen], [item.phash_mirrored for item in seen], since=old)
    first = {item.group_id: number for number, item in reversed(list(enumerate(seen[:old])))}
    inside = [(first[item.group_id], number) for number, item in enumerate(seen[:old])]

    def same(i: int, j: int) -> bool:
        return alike(seen[i].signature, seen[j].signature)

    members: dict[int, list[int]] = defaultdict(list)
    for number, root in enumerate(components(len(seen), inside, near, same)):
        members[int(root)].append(number)
    groups = Groups()
    for numbers in members.values():
        known = sorted({seen[n].group_id for n in numbers if n < old})
        group_id = known[0] if known else min(seen[n].image_id for n in numbers)
        groups.joined.update(dict.fromkeys(known[1:], group_id))
        groups.new.update(dict.fromkeys((seen[n].image_id for n in numbers if n >= old), group_id))
    return groups


def sides_of(groups: Groups, sides: Mapping[str, Side], *, seed: int, valid_pct: float,
             test_pct: float = 0.0) -> tuple[dict[str, Side], tuple[str, ...]]:
    """The sides of new and joined groups, and the joined groups that were on different sides and now train."""
    decided: dict[str, Side] = {}
    mixed = []
    for group_id in sorted({*groups.new.values(), *groups.joined.values()}):
        before = {sides[old] for old, into in groups.joined.items() if into == group_id and old in sides}
        before |= {sides[group_id]} if group_id in sides else set()
        if len(before) > 1:
            mixed.append(group_id)
        new = side_of(group_id, seed=seed, valid_pct=valid_pct, test_pct=test_pct)
        decided[group_id] = "train" if len(before) > 1 else next(iter(before), new)
    return decided, tuple(mixed)


def side_of(group_id: str, *, seed: int, valid_pct: float, test_pct: float = 0.0) -> Side:
    """The side of a group of near-duplicates, from a keyed hash of its id.

    Parameters
    ----------
    group_id : str
        A SHA-256 in hexadecimal.
    seed : int
        The key: another seed, another split.
    valid_pct, test_pct : float
        The shares of groups that go to validation and to the sealed test, 0 to 1 together.
    """
    digest = hashlib.blake2b(group_id.encode(), key=str(seed).encode(), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    return "valid" if place < valid_pct else "test" if place >= 1 - test_pct else "train"


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
