"""The first step of the graph, done by Pillow where that gives the very same values: cheaper, in time and memory.

`model.onnx` resizes as Pillow does, value for value, and leaves a picture alone that has the wanted size already. So
where the Pillow is the one of the export, the app may crop and resize by Pillow itself and hand over the small picture.
Padding is left to the graph.

Of a large picture Pillow is given some rows at a time, by several threads: its first pass makes each row narrower by
itself, so the values are the same, and the picture is never copied as a whole (for 12 megapixels that was 36 MB, and
as much time again for the system to hand out and take back).
"""

from __future__ import annotations

import PIL
from PIL import Image

from shoebox.bundle._manifest import Manifest
from shoebox.bundle._records import Preprocessing

__all__ = ["can_shape", "shaped"]

_BILINEAR = Image.Resampling.BILINEAR
_LARGE_PIXELS = 3_000_000  # of smaller ones a thread costs what it saves
_ROWS = 256


def can_shape(manifest: Manifest) -> bool:
    """Whether `shaped` gives exactly what the graph would."""
    return manifest.preprocessing.method != "pad" and manifest.versions.get("pillow") == PIL.__version__


def shaped(image: Image.Image, steps: Preprocessing, *, threads: int = 1) -> Image.Image:
    """An upright RGB picture as it is after the resize; by fastai's arithmetic, which drops a pixel now and then."""
    box = _window(image.size, steps.resize_px) if steps.method == "crop" else (0, 0, *image.size)
    if _in_rows(box, steps.resize_px):
        image = _narrowed(image, box, steps.resize_px[0], threads)
    elif box != (0, 0, *image.size):
        image = image.crop(box)
    return image.resize(steps.resize_px, _BILINEAR)


def _window(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int, int, int]:
    scale = min(side / wanted_side for side, wanted_side in zip(size, wanted, strict=True))
    width, height = (max(int(scale * side), 1) for side in wanted)
    left, top = int((size[0] - width) * 0.5), int((size[1] - height) * 0.5)
    return left, top, left + width, top + height


def _in_rows(box: tuple[int, int, int, int], size: tuple[int, int]) -> bool:
    """Whether it pays, and Pillow's first pass is the one along the rows (since 13 that depends on the sizes)."""
    width, height = box[2] - box[0], box[3] - box[1]
    return width * height >= _LARGE_PIXELS and width > size[0] and height - size[1] <= 2 * (width - size[0])


def _narrowed(image: Image.Image, box: tuple[int, int, int, int], width: int, threads: int) -> Image.Image:
    """Pillow's first pass: `box` of the picture, made `width` wide."""
    left, top, right, bottom = box
    result = Image.new("RGB", (width, bottom - top))

    def take(first: int) -> None:
        for start in range(first, bottom, _ROWS * threads):
            rows = image.crop((left, start, right, min(start + _ROWS, bottom)))
            result.paste(rows.resize((width, rows.height), _BILINEAR), (0, start - top))

    if threads == 1:
        take(top)
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(take, range(top, top + _ROWS * threads, _ROWS)))
    return result
