"""The one door for image bytes: training, thumbnails, the cleaner and the app all come through here.

What the model trains on and what the app sees are the same pixels, because both call `open_image`.
Nothing else in Shoebox decodes a picture.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from shoebox.errors import ImageError

__all__ = [
    "FORMATS",
    "MAX_BYTES",
    "MAX_PIXELS",
    "DecodedImage",
    "ImageSource",
    "decode_image",
    "jpeg_bytes",
    "open_image",
    "read_bytes",
]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
MAX_BYTES = 100 * 1024 * 1024
MAX_PIXELS = 50_000_000
_MAX_SCANS = 100  # real progressive JPEGs have 1 to 10; a bomb has thousands

ImageSource = str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | np.ndarray[Any, Any]

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
_OTHER_KINDS = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"8BPS", "a Photoshop file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
)


@dataclass(frozen=True)
class DecodedImage:
    """An upright RGB picture, and what its file said of itself."""

    image: Image.Image
    format: str
    width_px: int
    height_px: int


def read_bytes(source: str | os.PathLike[str], *, name: str = "", max_bytes: int = MAX_BYTES) -> bytes:
    """Bytes of a file, refused with a named cause when it is missing, empty or over `max_bytes`.

    `name` is what the error message calls it: the file's own name unless given.
    """
    path = Path(source)
    name = name or path.name
    try:
        size_bytes = path.stat().st_size
        if not path.is_file():
            raise ImageError("missing", f"{name!r} is not a file. Choose a picture file.")
        _check_size(size_bytes, max_bytes, name)
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError("missing", f"There is no file {name!r}. Check the name and the folder.") from None
    except (OSError, ValueError) as error:
        raise ImageError("missing", f"{name!r} cannot be read ({error}). Check its permissions.") from None


def decode_image(data: bytes | bytearray | memoryview, *, name: str = "picture", max_bytes: int = MAX_BYTES,
                 max_pixels: int = MAX_PIXELS, side_px: int | None = None) -> DecodedImage:
    """Decode the first frame to an upright RGB picture.

    Parameters
    ----------
    data : bytes
        A whole file of one of `FORMATS`.
    name : str
        How the error message calls it.
    max_bytes, max_pixels : int
        Checked before anything is decoded. A baseline JPEG over `max_pixels` is read at 1/2, 1/4 or 1/8
        of its size if that brings it under.
    side_px : int, optional
        A copy whose longer side is at most this, for thumbnails and hashes: a JPEG is decoded at a fraction of its
        size, which costs little time and memory. Not for training or prediction.

    Raises
    ------
    ImageError
        For every failure, with one of the named causes and a sentence.
    """
    _check_size(len(data), max_bytes, name)
    data = bytes(data)
    if data[:2] == b"\xff\xd8" and data.count(b"\xff\xda") > _MAX_SCANS:
        raise ImageError("too_many_scans", f"{name!r} is a JPEG with over {_MAX_SCANS} scans, which would take "
                         "very long to open. Save it again as an ordinary JPEG.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width_px, height_px = image.size
            _fit_pixel_limit(image, max_pixels, name)
            if side_px is not None:
                image.draft("RGB", _fit_inside(image.size, side_px))
            image.load()
            upright = _to_rgb(_turn_upright(image))
            if side_px is not None:
                upright.thumbnail((side_px, side_px), reducing_gap=2.0)
            return DecodedImage(upright, image.format or "", width_px, height_px)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError("too_many_pixels", f"{name!r} claims more pixels than the limit of "
                         f"{max_pixels / 1e6:.0f} megapixels. Make it smaller and try again.") from None
    except UnidentifiedImageError:
        raise _unknown_kind(data, name) from None
    except Exception as error:  # Pillow's decoders raise seven classes between them on damaged files
        raise _broken(error, name) from None


def open_image(source: ImageSource, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """An upright RGB picture from a path, bytes, a PIL image or a (H, W), (H, W, 3) or (H, W, 4) uint8 array.

    Raises `ImageError` as `decode_image` does.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode_image(source, max_bytes=max_bytes, max_pixels=max_pixels).image
    if isinstance(source, np.ndarray):
        return _to_rgb(_from_array(source))
    if isinstance(source, Image.Image):
        return _to_rgb(_turn_upright(source))
    if isinstance(source, (str, os.PathLike)):
        data = read_bytes(source, max_bytes=max_bytes)
        return decode_image(data, name=Path(source).name, max_bytes=max_bytes, max_pixels=max_pixels).image
    raise ImageError("not_an_image", f"A picture was expected as path, bytes, PIL image or array; "
                     f"{type(source).__name__} came.")


def jpeg_bytes(image: Image.Image, *, side_px: int, quality: int = 85) -> bytes:
    """JPEG of a copy whose longer side is at most `side_px`; without metadata."""
    copy = image.copy()
    copy.thumbnail((side_px, side_px))
    copy.info.clear()  # else a comment in the original would be written into the copy
    out = io.BytesIO()
    copy.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _fit_inside(size: tuple[int, int], side_px: int) -> tuple[int, int]:
    shrink = max(1.0, max(size) / side_px)
    return max(1, round(size[0] / shrink)), max(1, round(size[1] / shrink))


def _check_size(size_bytes: int, max_bytes: int, name: str) -> None:
    if size_bytes == 0:
        raise ImageError("empty", f"{name!r} is empty (0 bytes). Copy or download it again.")
    if size_bytes > max_bytes:
        raise ImageError("too_many_bytes", f"{name!r} has {size_bytes / 2**20:.0f} MB; the limit is "
                         f"{max_bytes / 2**20:.0f} MB. Make it smaller and try again.")


def _fit_pixel_limit(image: Image.Image, max_pixels: int, name: str) -> None:
    width, height = image.size
    if width * height > max_pixels and image.format in ("JPEG", "MPO") and "progressive" not in image.info:
        for shrink in (2, 4, 8):
            if (width // shrink) * (height // shrink) <= max_pixels:
                image.draft("RGB", (width // shrink, height // shrink))
                break
    if image.size[0] * image.size[1] > max_pixels:
        raise ImageError("too_many_pixels", f"{name!r} is {width} x {height} pixels; the limit is "
                         f"{max_pixels / 1e6:.0f} megapixels. Make it smaller and try again.")


def _turn_upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:  # broken EXIF says nothing about the pixels
        return image
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint32) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "I":
        return Image.fromarray((np.clip(np.asarray(image), 0, 65535) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        return _float_to_rgb(np.asarray(image))
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _float_to_rgb(values: np.ndarray[Any, Any]) -> Image.Image:
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    scale = 255.0 if finite.max(initial=0.0) <= 1.0 else 1.0
    return Image.fromarray(np.clip(finite * scale + 0.5, 0, 255).astype(np.uint8)).convert("RGB")


def _from_array(array: np.ndarray[Any, Any]) -> Image.Image:
    right_shape = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not right_shape or array.size == 0:
        raise ImageError("not_an_image", "An array was expected with dtype uint8 and shape (H, W), (H, W, 3) or "
                         f"(H, W, 4); {array.dtype} {array.shape} came.")
    return Image.fromarray(np.ascontiguousarray(array))


def _unknown_kind(data: bytes, name: str) -> ImageError:
    kind = next((words for magic, words in _OTHER_KINDS if data.startswith(magic)), None)
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        kind = "a HEIC photo"
    if kind is None and b"<svg" in data[:1024].lower():
        kind = "an SVG drawing"
    if kind is not None:
        return ImageError("unsupported_format", f"{name!r} is {kind}, which cannot be opened here. "
                          "Save it as JPEG or PNG and try again.")
    return ImageError("not_an_image", f"{name!r} is not a picture. Choose a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF.")


def _broken(error: Exception, name: str) -> ImageError:
    if "truncated" in str(error).lower():
        return ImageError("truncated", f"{name!r} ends too early: part of the file is missing. "
                          "Copy or download it again.")
    return ImageError("damaged", f"{name!r} is damaged and cannot be opened. Copy or download it again.")
