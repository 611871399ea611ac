"""Issues about pictures whatever their label: outliers, duplicates, unreadable files and measured quality.

The numbers and thresholds of quality are CleanVision's (https://github.com/cleanlab/cleanvision), computed by the
scan. A flagged picture's score is half its number over the threshold: 0.5 at the threshold, lower is worse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shoebox.data import ImageRecord, Skipped
from shoebox.quality._label_issues import same_pictures
from shoebox.quality._neighbours import Neighbours
from shoebox.types import Issue, IssueKind

__all__ = ["Thresholds", "crop_issues", "duplicate_issues", "outlier_issues", "quality_issues", "unreadable_issues"]

_FEWEST = 8  # pictures under which a middle half means nothing


@dataclass(frozen=True)
class Thresholds:
    """Below which number a picture is listed; raise one to see more, 0 turns it off (infinity for the fences).

    Attributes
    ----------
    dark, light, blurry, low_information, odd_aspect : float
        0 to 1: brightness that 1 % of the pixels exceed; 1 - brightness that 5 % stay below; 1 - exp(-sharpness /
        100); entropy in bits / 10; shorter side / longer side.
    tiny_px : int
        Shorter side in pixels.
    odd_size : float
        Interquartile ranges that the square root of the area lies outside the middle half of the data set.
    outlier : float
        Interquartile ranges that the mean distance to the neighbours lies above the middle half.
    similar : float
        Cosine of two pictures' features from which on one is listed as perhaps a crop of the other; 2 turns it off.
        For the outlines that are compared without a backbone .96 lists no pair among 1,797 digits and 72 photo crops,
        and finds 56 % of crops by 2 % a side, 31 % by 5 %; for other features it is a guess.
    """

    dark: float = 0.32
    light: float = 0.05
    blurry: float = 0.29
    low_information: float = 0.3
    odd_aspect: float = 0.35
    tiny_px: int = 32
    odd_size: float = 3.0
    outlier: float = 2.0
    similar: float = 0.96


def quality_issues(issues: Sequence[Issue], records: Sequence[ImageRecord], thresholds: Thresholds) -> list[Issue]:
    """Dark, light, blurry, low_information, odd_aspect, tiny and odd_size pictures; one may have several."""
    t = thresholds
    sizes = np.sqrt(np.asarray([r.width_px * r.height_px for r in records], np.float64))
    checks: tuple[tuple[IssueKind, Callable[[ImageRecord], float], float, str], ...] = (
        ("dark", lambda r: r.dark, t.dark, "Dark: even its brightest parts have brightness {:.2f} of 1"),
        ("light", lambda r: 1 - r.light, t.light, "Overexposed: its darkest parts are {:.2f} away from white"),
        ("blurry", lambda r: 1 - math.exp(-r.sharpness / 100), t.blurry, "Blurry: sharpness {:.2f} of 1"),
        ("low_information", lambda r: r.information / 10, t.low_information,
         "Nearly empty: {:.2f} of 1 in information"),
        ("odd_aspect", lambda r: min(r.width_px, r.height_px) / max(r.width_px, r.height_px, 1), t.odd_aspect,
         "Odd shape: its shorter side is {:.2f} of its longer one"),
        ("tiny", lambda r: float(min(r.width_px, r.height_px)), float(t.tiny_px), "Tiny: {:.0f} pixels high or wide"),
    )
    found = []
    for kind, number_of, threshold, words in checks:
        for issue, record in zip(issues, records, strict=True):
            number = number_of(record)
            if number < threshold:
                score = max(0.0, 0.5 * number / threshold)
                found.append(replace(issue, kind=kind, score=score, evidence=(),
                                     reason=f"{words.format(number)}; listed below {threshold:g}."))
    return found + _odd_sizes(issues, sizes, t.odd_size)


def outlier_issues(issues: Sequence[Issue], distance: NDArray[np.float64], fence: float,
                   nearest: Sequence[Sequence[str]]) -> list[Issue]:
    """Pictures whose mean distance to their neighbours lies more than `fence` interquartile ranges above the rest.

    `distance` (N,) is that of `neighbour_distances`; `nearest` names each picture's neighbours. The score is 0.5 at the
    fence and 0 at twice its distance.
    """
    known = distance[np.isfinite(distance)]
    if len(known) < _FEWEST or not math.isfinite(fence):
        return []
    low, high = np.quantile(known, (0.25, 0.75))
    limit = max(float(high + fence * (high - low)), 1e-6)
    return [replace(issues[row], kind="outlier", score=max(0.0, 1 - float(distance[row]) / (2 * limit)),
                    evidence=tuple(nearest[row][:3]),
                    reason=f"Like no other picture: distance {distance[row]:.2f} to its nearest ones, where the middle "
                           f"half of the pictures has {low:.2f} to {high:.2f}. Perhaps none of your classes.")
            for row in np.flatnonzero(np.isfinite(distance) & (distance > limit)).tolist()]


def duplicate_issues(issues: Sequence[Issue], records: Sequence[ImageRecord],
                     directions: NDArray[np.float32]) -> list[Issue]:
    """Further copies of a picture under its own label; the largest of each group is the one to keep.

    The score is the distance between the features of both, halved: 0 for equal ones, at most 0.5.
    """
    found = []
    for rows in same_pictures(records):
        for label in sorted({records[row].label for row in rows}):
            members = sorted((row for row in rows if records[row].label == label),
                             key=lambda row: (-records[row].width_px * records[row].height_px, records[row].path))
            for row in members[1:]:
                kept, equal = members[0], records[row].image_id == records[members[0]].image_id
                away = 0.0 if equal else 1 - float(directions[row] @ directions[kept])
                found.append(replace(
                    issues[row], kind="near_duplicate", score=min(0.5, max(0.0, away / 2)),
                    evidence=(records[kept].path,),
                    reason=f"{'The same file as' if equal else 'Nearly the same picture as'} {records[kept].path!r}."))
    return found


def crop_issues(issues: Sequence[Issue], records: Sequence[ImageRecord], neighbours: Neighbours,
                similar: float) -> list[Issue]:
    """Pictures whose features are nearly those of another that their hashes do not match: perhaps a crop of it.

    The smaller one of a pair is listed, whatever the labels; the group and the side of the split stay as they are.
    The score is 0.5 at the cosine `similar` and 0 at 1.
    """
    found = []
    for row in np.flatnonzero((neighbours.index[:, 0] >= 0) & (neighbours.similarity[:, 0] >= similar)).tolist():
        one, other = records[row], records[neighbours.index[row, 0]]
        if (-one.width_px * one.height_px, one.path) < (-other.width_px * other.height_px, other.path):
            continue
        cosine = min(1.0, float(neighbours.similarity[row, 0]))
        labels = "" if one.label == other.label else f", which stands under {other.label!r}"
        found.append(replace(issues[row], kind="near_duplicate", evidence=(other.path,),
                             score=0.5 * (1 - cosine) / max(1 - similar, 1e-6),
                             reason=f"Perhaps a crop of {other.path!r}{labels}: alike to {cosine:.1%}."))
    return found


def unreadable_issues(skipped: Iterable[Skipped]) -> list[Issue]:
    """Files that are no usable pictures, with the scan's sentence; score 0. The folder's name stands as label."""
    return [Issue(path=item.path, image_id="", kind="unreadable", score=0.0, given_label=label, suggested_label=label,
                  given_probability=0.0, suggested_probability=0.0, reason=item.sentence, side=None)
            for item in skipped for label in [item.path.rpartition("/")[0].rpartition("/")[2]]]


def _odd_sizes(issues: Sequence[Issue], sizes: NDArray[np.float64], fence: float) -> list[Issue]:
    """Sizes outside the fence, and at least twice or half the middle half's: equal sizes have no spread."""
    if len(sizes) < _FEWEST or not math.isfinite(fence):
        return []
    low, high = (float(value) for value in np.quantile(sizes, (0.25, 0.75)))
    least, most = min(low - fence * (high - low), low / 2), max(high + fence * (high - low), 2 * high)
    found = []
    for row in np.flatnonzero((sizes < least) | (sizes > most)).tolist():
        ratio = most / sizes[row] if sizes[row] > most else sizes[row] / least
        found.append(replace(
            issues[row], kind="odd_size", score=0.5 * float(ratio), evidence=(),
            reason=f"Odd size: about {sizes[row]:.0f} pixels a side, where the middle half of the pictures has "
                   f"{low:.0f} to {high:.0f}."))
    return found
