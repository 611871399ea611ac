"""What a scan measures of each picture, from a copy of at most 256 pixels a side.

The hash is pHash-64 (as in the ImageHash library: a 32 x 32 grey copy, its 8 x 8 lowest DCT coefficients, each
against their median). The quality numbers are raw; thresholds belong to whoever judges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

__all__ = ["Looks", "Measures", "looks", "measure", "perceptual_hash"]

_SIDE = 32
_KEPT = 8
_FLAT_STD = 2.0
_SMALL_PX = 64
_SIGNATURE_SIDE = 16
_COLOUR_STEP = 2


@dataclass(frozen=True)
class Measures:
    """Numbers of one picture.

    Attributes
    ----------
    dark, light : float
        Perceived brightness that 1 % of the pixels of a 64-pixel copy exceed, and that 5 % stay below, 0 to 1.
    sharpness : float
        Standard deviation of the edges of a 64-pixel grey copy, 0 to 255; lower is blurrier.
    information : float
        Entropy of the grey values in bits, 0 to 8.
    """

    dark: float = 0.0
    light: float = 0.0
    sharpness: float = 0.0
    information: float = 0.0


@dataclass(frozen=True)
class Looks:
    """What finds a picture's near-duplicates.

    Attributes
    ----------
    phash, phash_mirrored : str
        64 bits in hexadecimal, of the picture and its mirror image; empty for a picture that is nearly one colour,
        which would resemble every other such picture.
    signature : bytes
        256 grey values, 16 x 16, then 64 of Cb and 64 of Cr, 8 x 8 each.
    """

    phash: str
    phash_mirrored: str
    signature: bytes


def looks(image: Image.Image, grey: Image.Image | None = None) -> Looks:
    """Hashes and signature of an upright RGB picture of at most 256 pixels a side; `grey` is the same in mode L."""
    grey = image.convert("L") if grey is None else grey
    small = np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0), np.float64)
    tiny = image.resize((_SIGNATURE_SIDE, _SIGNATURE_SIDE), Image.Resampling.BOX)
    colour = np.asarray(tiny.reduce(_COLOUR_STEP).convert("YCbCr"))
    signature = tiny.convert("L").tobytes() + colour[..., 1].tobytes() + colour[..., 2].tobytes()
    if small.std() < _FLAT_STD:
        return Looks("", "", signature)
    return Looks(perceptual_hash(small), perceptual_hash(small[:, ::-1]), signature)


def measure(image: Image.Image, grey: Image.Image | None = None) -> Measures:
    """Measure an upright RGB picture of at most 256 pixels a side; `grey` is the same in mode L."""
    grey = image.convert("L") if grey is None else grey
    shrink = max(1, round(max(image.size) / _SMALL_PX))
    small = image.reduce(shrink) if shrink > 1 else image
    edges = np.asarray(small.convert("L").filter(ImageFilter.FIND_EDGES), np.float32)
    brightness = _brightness(np.asarray(small, np.float32)).ravel()
    places = brightness.size * 5 // 100, brightness.size * 99 // 100
    light, dark = np.partition(brightness, places)[list(places)]
    return Measures(float(dark), float(light), float(edges.std()), float(grey.entropy()))


def perceptual_hash(grey: NDArray[np.float64]) -> str:
    """PHash-64 of a (32, 32) array of grey values, as 16 hexadecimal digits."""
    low = (_DCT @ grey @ _DCT.T).ravel()
    middle = np.sort(low)[31:33].mean()
    return f"{int.from_bytes(np.packbits(low > middle).tobytes(), 'big'):016x}"


def _cosines() -> NDArray[np.float64]:
    """The first 8 rows of the type-II DCT of length 32."""
    rows, columns = np.mgrid[:_KEPT, :_SIDE]
    return np.asarray(2 * np.cos(np.pi * rows * (2 * columns + 1) / (2 * _SIDE)), np.float64)


_DCT = _cosines()


def _brightness(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Perceived brightness, 0 to 1 (the HSP colour model)."""
    return np.asarray(np.sqrt(pixels**2 @ np.asarray([0.241, 0.691, 0.068], np.float32)) / 255)

