"""The learner of the book's second chapter, for benches: a ResNet-18 of random weights on class folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def books_learner(pictures: Path, *, side_px: int = 224, batch_size: int = 8) -> Any:
    """`vision_learner` on a `DataBlock` as the book writes them; `learn.export()` goes beside `pictures`."""
    from fastai.vision.all import (
        CategoryBlock,
        DataBlock,
        ImageBlock,
        Resize,
        get_image_files,
        parent_label,
        resnet18,
        vision_learner,
    )

    block = DataBlock(blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label,
                      item_tfms=Resize(side_px))
    learn = vision_learner(block.dataloaders(pictures, bs=batch_size, num_workers=0), resnet18, pretrained=False)
    learn.path = pictures.parent
    return learn
