"""How a learner opens its pictures: through the image door, and large JPEGs at the fraction that its network needs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from fastai.data.core import Transform
from fastai.vision.augment import RandomResizedCrop, Resize
from fastai.vision.core import PILImage

from shoebox.data import open_image

__all__ = ["Opener", "least_px_for", "open_cut_off_for_fastai", "open_for_fastai"]

_GAP = 2  # Pillow's own advice for `reducing_gap`: of twice the wanted size, hardly anybody sees the difference
_SMALLEST_PX = 448  # that a picture is still worth looking at on the app's page, however small the network's input


class Opener(Transform):
    """What `PILImage.create` does, but through the image door: the pixels that the app will see.

    A learner keeps it, also in its `export.pkl`; `shoebox.export` reads `least_px` and writes it into the bundle.

    Parameters
    ----------
    least_px : int, optional
        As `open_image` takes it: large JPEGs are decoded at a fraction. None decodes everything in full.
    keep_truncated : bool
        Of a file that ends too early, what is there.
    """

    def __init__(self, least_px: int | None = None, *, keep_truncated: bool = False) -> None:
        super().__init__()
        self.least_px = least_px
        self.keep_truncated = keep_truncated

    def encodes(self, source: object) -> PILImage:
        """`source` is whatever `open_image` takes; fastai dispatches on annotations and cannot read a union."""
        return PILImage(open_image(source, least_px=self.least_px,  # type: ignore[arg-type]
                                   truncated="keep" if self.keep_truncated else "refuse"))


def least_px_for(item_tfms: Any) -> int | None:
    """The shorter side that pictures must keep for these item transforms; None when that cannot be known.

    Twice the side of the network's input, at least 448; more for `RandomResizedCrop`, so that its smallest crop is
    never enlarged where that of the whole picture would not have been. Known are one `Resize` or one
    `RandomResizedCrop` of fastai; any other transform might look at the picture as it was.
    """
    steps = list(item_tfms) if isinstance(item_tfms, Iterable) else [item_tfms]
    if len(steps) != 1 or type(steps[0]) not in (Resize, RandomResizedCrop) or "before_call" in vars(steps[0]):
        return None
    step = steps[0]
    side = max(map(int, step.size))
    least = max(_GAP * side, _SMALLEST_PX)
    if type(step) is Resize:
        return least
    narrowest = min(step.ratio[0], 1 / step.ratio[1])  # of a crop: its shorter side squared to its area
    return max(least, math.ceil(side / math.sqrt(step.min_scale * narrowest))) if step.min_scale > 0 else None


def open_for_fastai(source: object) -> PILImage:
    """The opener of learners that were exported before there was `Opener`: everything in full."""
    return Opener()(source)


def open_cut_off_for_fastai(source: object) -> PILImage:
    """The same for a data set with `keep_truncated`."""
    return Opener(keep_truncated=True)(source)
