"""What decoding large JPEGs at a fraction of their size changes, measured against decoding them in full."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shoebox.bundle._classifier import Classifier
from shoebox.bundle._draft import Picture
from shoebox.data import open_image

__all__ = ["Fractions", "compare_with_full"]

_AT_MOST = 100


@dataclass(frozen=True)
class Fractions:
    """Answers about `n` JPEGs at a fraction of their size, as in training, beside those about all their pixels.

    `max_difference` is the largest of any probability (lower is better); `same_labels` of the `n` got the same answer.
    """

    n: int
    max_difference: float
    same_labels: int

    def __str__(self) -> str:
        return (f"{self.n} large JPEGs decoded in full, not at a fraction as in training: probabilities differ by at "
                f"most {self.max_difference:.2g}, {self.same_labels} of {self.n} labels are the same")


def compare_with_full(classifier: Classifier, pictures: Sequence[Picture], files: Sequence[Path],
                      found: NDArray[np.float64]) -> Fractions | None:
    """Ask again about those of the pictures that are decoded at a fraction, at most 100; None when none is.

    Parameters
    ----------
    classifier : Classifier
        Of the new bundle.
    pictures, files : sequences
        What it was asked about, and where they stand; (N,) each.
    found : array (N, K)
        What it said.
    """
    least_px = classifier.least_px
    places = [place for place, picture in enumerate(pictures) if least_px is not None and _is_large(picture, least_px)]
    if not places:
        return None
    if len(places) > _AT_MOST:
        places = [places[i] for i in np.linspace(0, len(places) - 1, _AT_MOST).round().astype(int)]

    def in_full(place: int) -> NDArray[np.float64]:
        return classifier.raw(open_image(files[place]))["probabilities"]

    with ThreadPoolExecutor(classifier.threads) as pool:
        full = np.stack(list(pool.map(in_full, places)))
    small = found[places]
    same = full.argmax(axis=1) == small.argmax(axis=1)
    return Fractions(len(places), float(np.abs(full - small).max()), int(same.sum()))


def _is_large(picture: Picture, least_px: int) -> bool:
    """Whether half of it is still large enough, as `shoebox.open_image` has it."""
    return picture.format == "JPEG" and -(-min(picture.width_px, picture.height_px) // 2) >= least_px
