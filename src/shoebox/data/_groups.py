"""Near-duplicate groups: pairs of hashes that differ in few bits, and the components they form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_DISTANCE", "alike", "components", "near_pairs"]

MAX_DISTANCE = 6
_CHUNKS = MAX_DISTANCE + 1  # 7 parts of 64 bits: hashes that differ in at most 6 bits agree in one part at least
_BLOCK = 4_000_000
_ALIKE = 0.978  # measured: re-encoded, halved, squashed, darkened, mirrored photos over 0.99; other digits under 0.975
_CLIPPED = (6, 235)  # grey values that over- and under-exposure press together say nothing
_FEWEST = 32
_GREY = 256
# Root mean squares over the 64 places of Cb and Cr less their means, as measured: copies with another tint, saturation,
# brightness or in sepia are under these; a red and a green apple, or red and blue exchanged, over.
_COLOURLESS = 6.0
_COLOUR_NOISE = 10.0
_COLOUR_APART = 0.75  # of the stronger one's


def near_pairs(phash: Sequence[str], mirrored: Sequence[str], *, since: int = 0,
               max_distance: int = MAX_DISTANCE) -> list[tuple[int, int]]:
    """All pairs i < j, j >= `since`, whose hashes, or one hash and the other's mirrored one, are near.

    Exact, not approximate: candidates are found by the parts that must agree, then counted bit by bit.

    Parameters
    ----------
    phash, mirrored : sequences of 16 hexadecimal digits, length N
        An empty string has no neighbours.
    since : int
        Only pairs with at least one of the items from here on: the new ones of a scan.
    max_distance : int
        Bits that may differ, at most 6.
    """
    straight = _to_ints(phash)
    pairs = _pairs(straight, straight, since, max_distance) | _pairs(straight, _to_ints(mirrored), since, max_distance)
    there = [bool(text) for text in phash]
    return sorted((i, j) for i, j in pairs if there[i] and there[j])


def alike(one: bytes, other: bytes) -> bool:
    """Whether two signatures show the same picture, or one the other's mirror image.

    A hash of 64 bits confuses simple drawings, such as digits; the correlation of 16 x 16 grey values does not. What
    differs in colour alone, a red and a green apple, is told apart by 8 x 8 values of Cb and Cr, where both signatures
    have them (catalogs of old have grey only). A copy in grey is still a copy.
    """
    a, b = (np.frombuffer(values, np.uint8)[:_GREY].astype(np.float64).reshape(16, 16) for values in (one, other))
    straight, mirrored = _correlation(a, b), _correlation(a, b[:, ::-1])
    if max(straight, mirrored) < _ALIKE:
        return False
    ways = [way for way, found in ((slice(None), straight), (slice(None, None, -1), mirrored)) if found >= _ALIKE]
    return any(_same_colours(one[_GREY:], other[_GREY:], way) for way in ways)


def _same_colours(one: bytes, other: bytes, way: slice) -> bool:
    if not one or not other:
        return True
    a, b = (np.frombuffer(values, np.uint8).astype(np.float64).reshape(2, 8, 8) for values in (one, other))
    a, b = (values - values.mean((1, 2), keepdims=True) for values in (a, b[:, :, way]))  # a tint is no difference
    weaker, stronger = sorted((_spread(a), _spread(b)))
    return weaker < _COLOURLESS or _spread(a - b) < max(_COLOUR_NOISE, _COLOUR_APART * stronger)


def _spread(colours: NDArray[np.float64]) -> float:
    return float(np.sqrt((colours**2).sum(0).mean()))


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    low, high = _CLIPPED
    mask = (np.minimum(a, b) > low) & (np.maximum(a, b) < high)
    if mask.sum() < _FEWEST:
        mask[:] = True
    x, y = a[mask] - a[mask].mean(), b[mask] - b[mask].mean()
    return float(x @ y / max(np.linalg.norm(x) * np.linalg.norm(y), 1e-9))


def components(n: int, pairs: Iterable[tuple[int, int]], maybe: Iterable[tuple[int, int]] = (),
               confirm: Callable[[int, int], bool] = lambda i, j: True) -> NDArray[np.int64]:
    """For each of `n` items the smallest index in its connected component.

    Of `maybe`, pairs count that `confirm` says yes to. It is not asked about items that are connected already, so a
    thousand copies of a picture cost a thousand comparisons and not half a million.
    """
    parent = list(range(n))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for i, j, certain in chain(((i, j, True) for i, j in pairs), ((i, j, False) for i, j in maybe)):
        a, b = root(i), root(j)
        if a != b and (certain or confirm(i, j)):
            parent[max(a, b)] = min(a, b)
    return np.asarray([root(item) for item in range(n)], np.int64)


def _to_ints(hashes: Sequence[str]) -> NDArray[np.uint64]:
    return np.asarray([int(text or "0", 16) for text in hashes], np.uint64)


def _pairs(a: NDArray[np.uint64], b: NDArray[np.uint64], since: int, max_distance: int) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    edges = np.linspace(0, 64, _CHUNKS + 1).astype(int)
    for low, high in pairwise(edges):
        mask = np.uint64((1 << int(high - low)) - 1)
        found |= _matching(a, b, (a >> np.uint64(low)) & mask, (b >> np.uint64(low)) & mask, since, max_distance)
    return found


def _matching(a: NDArray[np.uint64], b: NDArray[np.uint64], a_part: NDArray[np.uint64], b_part: NDArray[np.uint64],
              since: int, max_distance: int) -> set[tuple[int, int]]:
    """Pairs within one part: rows of `a` against rows of `b` that have the same value there."""
    order_a, order_b = np.argsort(a_part, kind="stable"), np.argsort(b_part, kind="stable")
    values, starts_a = np.unique(a_part[order_a], return_index=True)
    ends_a = np.append(starts_a[1:], len(a))
    starts_b = np.searchsorted(b_part[order_b], values, "left")
    ends_b = np.searchsorted(b_part[order_b], values, "right")
    found: set[tuple[int, int]] = set()
    for sa, ea, sb, eb in zip(starts_a, ends_a, starts_b, ends_b, strict=True):
        rows, columns = order_a[sa:ea], order_b[sb:eb]
        step = max(1, _BLOCK // max(1, len(columns)))
        for first in range(0, len(rows), step):
            found |= _near(a, b, rows[first:first + step], columns, since, max_distance)
    return found


def _near(a: NDArray[np.uint64], b: NDArray[np.uint64], rows: NDArray[np.int64], columns: NDArray[np.int64], since: int,
          max_distance: int) -> set[tuple[int, int]]:
    if since and not (rows >= since).any():
        columns = columns[columns >= since]
    distance = np.bitwise_count(a[rows][:, None] ^ b[columns][None, :])
    i, j = np.nonzero(distance <= max_distance)
    left, right = np.minimum(rows[i], columns[j]), np.maximum(rows[i], columns[j])
    keep = (left != right) & (right >= since)
    return set(zip(left[keep].tolist(), right[keep].tolist(), strict=True))
