"""The first step of the graph, done by Pillow where that gives the very same values: cheaper, in time and memory.

`model.onnx` resizes as Pillow does, value for value, and leaves a picture alone that has the wanted size already. So
where the Pillow is the one of the export, the app may crop and resize by Pillow itself and hand over the small picture.
Padding is left to the graph.
"""

from __future__ import annotations

import PIL
from PIL import Image

from shoebox.bundle._manifest import Manifest
from shoebox.bundle._records import Preprocessing

__all__ = ["can_shape", "shaped"]


def can_shape(manifest: Manifest) -> bool:
    """Whether `shaped` gives exactly what the graph would."""
    return manifest.preprocessing.method != "pad" and manifest.versions.get("pillow") == PIL.__version__


def shaped(image: Image.Image, steps: Preprocessing) -> Image.Image:
    """An upright RGB picture as it is after the resize; by fastai's arithmetic, which drops a pixel now and then."""
    if steps.method == "crop":
        scale = min(side / wanted for side, wanted in zip(image.size, steps.resize_px, strict=True))
        width, height = (max(int(scale * wanted), 1) for wanted in steps.resize_px)
        left, top = int((image.width - width) * 0.5), int((image.height - height) * 0.5)
        image = image.crop((left, top, left + width, top + height))
    return image.resize(steps.resize_px, Image.Resampling.BILINEAR)
