"""fastai data loaders over a data set: its split, its labels, and its pictures through the image door."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from fastai.data.block import CategoryBlock, DataBlock, TransformBlock
from fastai.data.core import DataLoaders
from fastai.vision.augment import Resize, ResizeMethod, aug_transforms
from fastai.vision.core import IntToFloatTensor

from shoebox.data import Dataset, ImageRecord, undecided_feedback
from shoebox.errors import ShoeboxWarning, TrainingError
from shoebox.training._opener import Opener, least_px_for, open_cut_off_for_fastai, open_for_fastai

# the last two are found here by learners that were exported earlier
__all__ = ["augmentations", "dataloaders", "open_cut_off_for_fastai", "open_for_fastai"]

_METHODS = {"squish": ResizeMethod.Squish, "crop": ResizeMethod.Crop, "pad": ResizeMethod.Pad}


def dataloaders(ds: Dataset, *, size_px: int = 224, method: str = "crop", batch_size: int = 64,
                item_tfms: Any = None, batch_tfms: Any = None, augment: bool = True,
                num_workers: int | None = None, full_decode: bool = False) -> DataLoaders:
    """A fastai `DataLoaders` with the data set's own split.

    Pictures that visitors of an app left (`shoebox.collect(ds, inbox)`) are not among them until somebody has decided
    to keep them, or has relabelled them and applied that; a warning says how many are left out.

    Parameters
    ----------
    ds : Dataset
        At least two classes with a training picture each, and one validation picture.
    size_px : int
        Side of the square that the network sees.
    method : str
        `crop` (fastai's default), `squish` or `pad`: how a picture becomes square.
    batch_size : int
        Lowered to the number of training pictures when there are fewer.
    item_tfms, batch_tfms : fastai transforms, optional
        In place of `Resize(size_px, method)` and `aug_transforms()`.
    augment : bool
        False leaves `aug_transforms()` out.
    num_workers : int, optional
        Processes that read pictures; 0 under 4,000 pictures, else up to 4, unless given.
    full_decode : bool
        True decodes every picture in full. False lets a large JPEG be decoded at a half, a quarter or an eighth, its
        shorter side still at least twice the network's and at least 448 pixels: quicker, here and in the app, which is
        told by the bundle. With item transforms other than one `Resize` or `RandomResizedCrop` of fastai all is decoded
        in full.

    Raises
    ------
    TrainingError
        Too few classes or pictures: a sentence that says what is missing.
    """
    if method not in _METHODS:
        raise TrainingError(f"method is {method!r}; choose one of {', '.join(_METHODS)}.")
    undecided = undecided_feedback(ds)
    images = [record for record in ds.images if record.path not in undecided]
    _check(ds, images, undecided)
    files = [ds.file(record.path) for record in images]
    item_tfms = item_tfms or Resize(size_px, method=_METHODS[method])
    opener = Opener(None if full_decode else least_px_for(item_tfms), keep_truncated=ds.keep_truncated)
    block = DataBlock(
        blocks=(TransformBlock(type_tfms=opener, batch_tfms=IntToFloatTensor),
                CategoryBlock(vocab=list(ds.classes))),
        splitter=_Split([record.side for record in images]),
        get_y=_LabelOf({file: record.label for file, record in zip(files, images, strict=True)}),
        item_tfms=item_tfms,
        batch_tfms=batch_tfms if batch_tfms is not None else (augmentations() if augment else None),
    )
    train = sum(record.side == "train" for record in images)
    workers = num_workers if num_workers is not None else (0 if len(files) < 4000 else min(4, os.cpu_count() or 1))
    return block.dataloaders(files, path=ds.root / ".shoebox", bs=min(batch_size, train), num_workers=workers)


def augmentations(*, flip: bool = True) -> list[Any]:
    """fastai's `aug_transforms`; gentler and without mirroring when `flip` is False, as for digits and letters."""
    if flip:
        return list(aug_transforms())
    return list(aug_transforms(do_flip=False, max_rotate=10.0, max_zoom=1.1, max_warp=0.1))


class _LabelOf:
    """Picture file -> its label in the catalog."""

    def __init__(self, labels: dict[Path, str]) -> None:
        self._labels = labels

    def __call__(self, file: Path) -> str:
        return self._labels[file]


class _Split:
    """The catalog's sides as the pair of index lists that fastai wants."""

    def __init__(self, sides: Sequence[str]) -> None:
        self._sides = tuple(sides)

    def __call__(self, items: object) -> tuple[list[int], list[int]]:
        return tuple([i for i, s in enumerate(self._sides) if s == side] for side in ("train", "valid"))  # type: ignore[return-value]


def _check(ds: Dataset, images: Sequence[ImageRecord], undecided: Collection[str]) -> None:
    if undecided:
        n = len(undecided)
        what = "1 picture that a visitor left is" if n == 1 else f"{n} pictures that visitors left are"
        warnings.warn(f"{what} not trained on, as nobody has decided yet. Open the cleaner, choose the source "
                      "“feedback”, and keep, relabel or remove each; then apply.", ShoeboxWarning, stacklevel=3)
    sides = Counter(record.side for record in images)
    trained = {record.label for record in images if record.side == "train"}
    untrained = [label for label in ds.classes if label not in trained]
    if not ds.images:
        raise TrainingError(f"There is no picture in {str(ds.root)!r}. Put pictures into one folder per class.")
    if len(ds.classes) < 2:
        raise TrainingError(f"There is one class only, {ds.classes[0]!r}. A classifier needs at least two folders.")
    if untrained:
        raise TrainingError(f"These classes have no training picture: {', '.join(map(repr, untrained))}. Add pictures"
                            + (", or decide on those that visitors left." if undecided else "."))
    if sides["train"] < 2 or not sides["valid"]:
        raise TrainingError(f"There are {sides['train']} training and {sides['valid']} validation pictures; at least "
                            "2 and 1 are needed. Add pictures, or choose another seed.")
