"""Pictures, a learner and its bundle for the tests of the export."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import shoebox
from shoebox.training import _fastai  # noqa: F401  fastai whole and quietly, before anything else imports a part

from fastai.vision.all import (  # isort: skip
    Normalize, Resize, imagenet_stats)

from tests._pictures import AWKWARD, CYRILLIC

EMOJI = "🐻 | `x`"
NAMES = (AWKWARD, CYRILLIC, EMOJI)
# 230, 237, 244 and 251 lose a pixel when fastai crops for 224: int(230 / 224 * 224) is 229
SIZES = ((230, 300), (300, 237), (244, 244), (251, 400), (640, 480), (480, 640), (90, 400), (400, 90), (64, 64),
         (224, 224), (33, 47), (120, 361))


@dataclass(frozen=True)
class Pictures:
    """A data set as an export sees it, with sides of our choice."""

    root: Path
    images: tuple
    classes: tuple
    fingerprint: str

    def file(self, path):
        return self.root / path


def all_on(ds, side, keep=lambda record: True):
    images = tuple(replace(record, side=side) for record in ds.images if keep(record))
    return Pictures(ds.root, images, ds.classes, ds.fingerprint)


def all_asked(ds, keep=lambda record: True):
    """Without validation pictures an export asks about all of training: also about those that its learner has seen."""
    return all_on(ds, "train", keep)


def loaders(ds, item=None, batch=()):
    return shoebox.dataloaders(ds, item_tfms=item or Resize(64), batch_tfms=list(batch) or None, augment=False,
                               batch_size=8)


HEARD = []

STATS = [Normalize.from_stats(*imagenet_stats)]
