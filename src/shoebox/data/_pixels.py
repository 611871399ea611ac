"""From whatever mode and orientation a file has to upright RGB, with little more memory than the result needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["is_turned", "small_copy", "to_rgb", "turn_upright"]

# EXIF orientation -> how to turn the stored pixels upright (EXIF 2.3, tag 0x0112).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_STRIP_PIXELS = 1 << 18


def is_turned(image: Image.Image) -> bool:
    """Whether EXIF says that the stored pixels are not upright."""
    return _turn(image) is not None


def turn_upright(image: Image.Image) -> Image.Image:
    """The picture as its EXIF orientation wants it shown. `image` is used up, so that its memory is free again."""
    turn = _turn(image)
    if turn is None:
        return image
    turned = image.transpose(turn)
    image.close()
    return turned


def to_rgb(image: Image.Image) -> Image.Image:
    """A plain RGB picture without metadata: alpha on white, 16 bits to 8, floats from 0 to 1 (or to 255).

    `image` is used up: its memory may become the result's.
    """
    rgb = _converted(image)
    rgb.info = {}  # an orientation that was obeyed must not be obeyed again
    return rgb


def small_copy(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The same with at most `size` pixels (before it is turned upright): made smaller first, which is quicker.

    `image` is used up.
    """
    turn = _turn(image)
    rgb = to_rgb(image)
    if rgb.width > size[0] or rgb.height > size[1]:
        rgb = rgb.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return rgb if turn is None else rgb.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _UPRIGHT.get(image.getexif().get(0x0112, 1))
    except Exception:  # broken EXIF says nothing about the pixels
        return None


def _converted(image: Image.Image) -> Image.Image:
    clear = image.info.get("transparency")
    if image.mode == "RGB" and clear is None:
        return image._new(image.im)  # what fastai's own load_image does: the pixels without the file
    if image.mode.startswith("I;16"):
        return _in_strips(image, lambda strip: _grey(_sixteen_bits(strip), strip, clear))
    if image.mode == "I":
        step = 257 if (image.getextrema()[1] or 0) > 255 else 1  # type: ignore[operator]
        return _in_strips(image, lambda strip: _eight_bits(np.clip(np.asarray(strip), 0, 65535) // step))
    if image.mode == "F":
        scale = 255.0 if _largest(image) <= 1.0 else 1.0
        return _in_strips(image, lambda strip: _float_to_grey(np.asarray(strip), scale))
    if image.mode in ("LA", "La"):
        return _in_strips(image, _grey_on_white)
    if image.mode in ("RGBA", "RGBa", "PA") or clear is not None:
        return _in_strips(image, _on_white, "RGB")
    return image.convert("RGB")


def _in_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image], mode: str = "L") -> Image.Image:
    """`convert` for some rows at a time, so that what it needs on the way is small."""
    result = Image.new(mode, image.size)
    for top, strip in _strips(image):
        result.paste(convert(strip), (0, top))
    image.close()
    return result if mode == "RGB" else result.convert("RGB")


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _grey_on_white(image: Image.Image) -> Image.Image:
    value, alpha = np.moveaxis(np.asarray(image.convert("LA"), np.uint16), 2, 0)
    return _eight_bits(255 - ((255 - value) * alpha + 127) // 255)


def _sixteen_bits(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image).astype(np.uint16) // 257


def _grey(values: np.ndarray[Any, Any], strip: Image.Image, clear: object) -> Image.Image:
    if isinstance(clear, int):
        values = np.where(np.asarray(strip) == clear, 255, values)
    return _eight_bits(values)


def _eight_bits(values: np.ndarray[Any, Any]) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8))


def _largest(image: Image.Image) -> float:
    """The largest finite value, strip by strip."""
    arrays = (np.asarray(strip) for _, strip in _strips(image))
    return max(float(np.max(array, initial=0.0, where=np.isfinite(array))) for array in arrays)


def _float_to_grey(values: np.ndarray[Any, Any], scale: float) -> Image.Image:
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    return _eight_bits(np.clip(finite * scale + 0.5, 0, 255))
