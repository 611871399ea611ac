"""At what fraction of its size a JPEG is decoded, and how much memory decoding takes.

libjpeg can decode at 1/2, 1/4 and 1/8 of the size, which costs little more than reading the file. It is done for
copies that are small anyway, for pictures over the limits, and for networks that look at far fewer pixels than a camera
gives: in training and in the app alike, by the one number that both were given.
"""

from __future__ import annotations

from PIL import ImageFile

from shoebox.data._kinds import jpeg_scans
from shoebox.data._pixels import is_turned

__all__ = ["MAX_MEMORY_BYTES", "fit_inside", "fraction_for", "least_fraction", "memory_bytes"]

MAX_MEMORY_BYTES = 300_000_000  # that decoding one picture may take
_OVERHEAD_BYTES = 8_000_000
_HARMLESS_PIXELS = 16_000_000  # at 17.5 bytes each, the most that any kind takes
_SHRINKS = (1, 2, 4, 8)


def fraction_for(size: tuple[int, int], fixed: float, per_pixel: float, max_pixels: int, *,
                 is_jpeg: bool) -> int | None:
    """The first of 1, 2, 4 and 8 (1 alone unless it is a JPEG) by which both limits hold; None when by none.

    `fixed` and `per_pixel` are what `memory_bytes` says.
    """
    for shrink in _SHRINKS if is_jpeg else _SHRINKS[:1]:
        pixels = -(-size[0] // shrink) * -(-size[1] // shrink)
        if pixels <= max_pixels and fixed + pixels * per_pixel <= MAX_MEMORY_BYTES - _OVERHEAD_BYTES:
            return shrink
    return None


def least_fraction(size: tuple[int, int], least_px: int) -> int:
    """The last of 1, 2, 4 and 8 by which the shorter side, rounded up, is still at least `least_px`; else 1.

    No picture is made smaller by more than it has pixels.
    """
    shorter = min(size)
    return max(s for s in _SHRINKS if s == 1 or (-(-shorter // s) >= least_px and shorter >= s))


def fit_inside(size: tuple[int, int], side_px: int) -> tuple[int, int]:
    """Width and height by which the longer side is at most `side_px`."""
    shrink = max(1.0, max(size) / side_px)
    return max(1, round(size[0] / shrink)), max(1, round(size[1] / shrink))


def memory_bytes(image: ImageFile.ImageFile, kind: str, data: bytes) -> tuple[float, float]:
    """What decoding takes, as measured: bytes in any case, and bytes per pixel of the result."""
    pixels = image.width * image.height
    if pixels <= _HARMLESS_PIXELS:
        return 0.0, _CODEC_BYTES["WEBP"]
    if kind == "JPEG":
        per_pixel = 8.0 if image.mode == "CMYK" or is_turned(image) else 5.0
        return (pixels * _coefficients(image) if jpeg_scans(data, 1) > 1 else 0.0), per_pixel
    if kind in _CODEC_BYTES:
        return 0.0, _CODEC_BYTES[kind]
    turned = is_turned(image) if kind != "PNG" else any(mark in data for mark in _PNG_METADATA)
    by_way_of_grey = image.mode in ("1", "L", "P", "LA", "La", "I", "F") or image.mode.startswith("I;16")
    plain = image.mode == "RGB" and "transparency" not in image.info
    return 0.0, 8.0 if turned or not (by_way_of_grey or plain) else 5.0


# Bytes per pixel within decoders that make a picture of their own first.
_CODEC_BYTES = {"WEBP": 17.5, "AVIF": 12.0, "HEIF": 8.0}
_PNG_METADATA = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")  # asking Pillow would decode the picture


def _coefficients(image: ImageFile.ImageFile) -> float:
    """Bytes per pixel that libjpeg holds of a JPEG with several scans: two for each sample of each component."""
    layers = [(h, v) for _, v, h, _ in getattr(image, "layer", ())] or [(1, 1)]
    widest, highest = max(h for h, _ in layers) or 1, max(v for _, v in layers) or 1
    return float(2.0 * sum(h * v for h, v in layers) / (widest * highest))
