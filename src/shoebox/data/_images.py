"""The one door for image bytes: training, thumbnails, the cleaner and the app all come through here.

What the model trains on and what the app sees are the same pixels, because both call `open_image`.
Nothing else in Shoebox decodes a picture. The decoder is chosen from the list here by the file's first bytes, so
none of Pillow's other forty is ever entered; its size is judged before it decodes.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageFile

from shoebox.data._floods import is_flood
from shoebox.data._fraction import MAX_MEMORY_BYTES, fit_inside, fraction_for, least_fraction, memory_bytes
from shoebox.data._kinds import ends_early, jpeg_scans, kind_in_words, kind_of, scan_marks
from shoebox.data._pixels import small_copy, to_rgb, turn_upright
from shoebox.data._stand_in import stand_in
from shoebox.data._truncated import truncated_files
from shoebox.errors import ImageError

__all__ = [
    "FORMATS",
    "MAX_BYTES",
    "MAX_MEMORY_BYTES",
    "MAX_PIXELS",
    "DecodedImage",
    "ImageSource",
    "Truncated",
    "check_image",
    "decode_image",
    "jpeg_bytes",
    "open_image",
    "read_bytes",
]

MAX_BYTES = 100 * 1024 * 1024
MAX_PIXELS = 50_000_000
_MAX_SCANS = 100  # real progressive JPEGs have 1 to 10; a bomb has thousands
_MAX_SCANNED_PIXELS = 600_000_000  # scans times pixels; 2 to 3 ns each, so that 100 scans of 50 megapixels took 9 s
_CHECKED_PX = 8
_BLOCK_BYTES = 1 << 20  # a decoder is fed 64 kB at a time else, and asks for the rest of a block again and again

# Format -> the decoder's module and class.
_DECODERS = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),  # of a stereo or motion photo the first picture
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
}
FORMATS = tuple(_DECODERS)

ImageSource = str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | np.ndarray[Any, Any]
Truncated = Literal["refuse", "keep"]


@dataclass(frozen=True)
class DecodedImage:
    """An upright RGB picture, and what its file said of itself.

    `width_px` and `height_px` are as stored, before turning. `partly_there` is true for a truncated file that was
    kept: what is missing is grey or black.
    """

    image: Image.Image
    format: str
    width_px: int
    height_px: int
    partly_there: bool = False


def read_bytes(source: str | os.PathLike[str], *, name: str = "", max_bytes: int = MAX_BYTES) -> bytes:
    """Bytes of a file, refused with a named cause when it is missing, empty or over `max_bytes`.

    `name` is what the error message calls it: the file's own name unless given.
    """
    path = Path(source)
    name = name or path.name
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # before it is opened: a pipe would never answer
            raise ImageError("missing", f"{name!r} is not a file. Choose a picture file.")
        _check_size(status.st_size, max_bytes, name)
        with path.open("rb", buffering=0) as file:
            return file.read()
    except FileNotFoundError:
        raise ImageError("missing", f"There is no file {name!r}. Check the name and the folder.") from None
    except (OSError, ValueError) as error:
        raise ImageError("missing", f"{name!r} cannot be read ({error}). Check its permissions.") from None


def decode_image(data: bytes | bytearray | memoryview, *, name: str = "picture", max_bytes: int = MAX_BYTES,
                 max_pixels: int = MAX_PIXELS, side_px: int | None = None, least_px: int | None = None,
                 truncated: Truncated = "refuse") -> DecodedImage:
    """Decode the first frame to an upright RGB picture.

    Parameters
    ----------
    data : bytes
        A whole file of one of `FORMATS`.
    name : str
        How the error message calls it.
    max_bytes, max_pixels : int
        Checked before anything is decoded, like the memory that decoding would take (`MAX_MEMORY_BYTES`). A JPEG
        over them is read at 1/2, 1/4 or 1/8 of its size if that brings it under.
    side_px : int, optional
        A copy whose longer side is at most this, for thumbnails and hashes: a JPEG is decoded at a fraction of its
        size, which costs little time and memory. Not for training or prediction.
    least_px : int, optional
        A JPEG is decoded at the smallest of 1/1, 1/2, 1/4 and 1/8 of its size whose shorter side, rounded up, is still
        at least this, which saves most of the time for a large one. The pixels are others than those of the whole
        picture made smaller, so training and prediction must be given the same number; other formats are decoded in
        full. Not together with `side_px`.
    truncated : "refuse" or "keep"
        What to do with a file that ends too early: an error, or the part that is there, where its format allows it
        (JPEG, PNG, GIF, BMP, TIFF).

    Raises
    ------
    ImageError
        For every failure, with one of the named causes and a sentence.
    ValueError
        A choice that does not exist.
    """
    _check_least(least_px, side_px)
    if truncated not in ("refuse", "keep"):
        raise ValueError(f"truncated is {truncated!r}; 'refuse' or 'keep' was expected.")
    _check_size(len(data), max_bytes, name)
    job = _Job(bytes(data), name, max_pixels, side_px, least_px=least_px)
    try:
        return job.run(keep=False)
    except ImageError as error:
        if truncated == "refuse" or error.cause != "truncated":
            raise
        return job.run(keep=True)


def check_image(data: bytes, *, name: str = "picture", max_bytes: int = MAX_BYTES) -> tuple[str, int, int]:
    """Format, width and height (as stored, in pixels) of a picture that can be decoded to its end.

    Answers and raises as `decode_image` does, and keeps no picture: of an ordinary JPEG a stand-in is decoded, of any
    other a grey copy at an eighth of its size.
    """
    _check_size(len(data), max_bytes, name)
    short = stand_in(data)
    if short is not None:
        with contextlib.suppress(ImageError):  # the whole file then says why
            return _checked(short, name)
    return _checked(data, name)


def _checked(data: bytes, name: str) -> tuple[str, int, int]:
    decoded = _Job(data, name, MAX_PIXELS, _CHECKED_PX, draft_mode="L").run(keep=False)
    return decoded.format, decoded.width_px, decoded.height_px


def open_image(source: ImageSource, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS,
               least_px: int | None = None, truncated: Truncated = "refuse") -> Image.Image:
    """An upright RGB picture from a path, bytes, a PIL image or a (H, W), (H, W, 3) or (H, W, 4) uint8 array.

    The limits, `least_px` and `truncated` are for what must be decoded, a path or bytes: see `decode_image`. A PIL
    image and an array are taken as they are.

    Raises `ImageError` as `decode_image` does.
    """
    _check_least(least_px)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode_image(source, max_bytes=max_bytes, max_pixels=max_pixels, least_px=least_px,
                            truncated=truncated).image
    if isinstance(source, np.ndarray):
        return to_rgb(_from_array(source))
    if isinstance(source, Image.Image):
        return to_rgb(turn_upright(source.copy()))
    if isinstance(source, (str, os.PathLike)):
        data = read_bytes(source, max_bytes=max_bytes)
        return decode_image(data, name=Path(source).name, max_bytes=max_bytes, max_pixels=max_pixels,
                            least_px=least_px, truncated=truncated).image
    raise ImageError("not_an_image", f"A picture was expected as path, bytes, PIL image or array; "
                     f"{type(source).__name__} came.")


def jpeg_bytes(image: Image.Image, *, side_px: int, quality: int = 85) -> bytes:
    """JPEG of a copy whose longer side is at most `side_px`; without metadata."""
    if image.info or max(image.size) > side_px:
        image = image.copy()
        image.thumbnail((side_px, side_px))
        image.info.clear()  # else a comment in the original would be written into the copy
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


@dataclass(frozen=True)
class _Job:
    """One file on its way through the door."""

    data: bytes
    name: str
    max_pixels: int
    side_px: int | None
    draft_mode: str = "RGB"
    least_px: int | None = None

    def run(self, *, keep: bool) -> DecodedImage:
        kind = kind_of(self.data)
        decoder = _decoder(kind) if kind is not None else None
        if kind is None or decoder is None:
            raise _unknown_kind(self.data, kind, self.name)
        if is_flood(self.data, kind):
            raise ImageError("damaged", f"{self.name!r} is a {kind} in more small pieces than any real picture. "
                             "Save it again with another program.")
        try:
            marked = scan_marks(self.data, _MAX_SCANS + 1) if kind == "JPEG" else 0
            if marked > _MAX_SCANS:
                self._refuse_scan_bomb(_MAX_SCANS)
            with truncated_files(keep=keep), decoder(io.BytesIO(self.data)) as image:
                image.decodermaxblock = _BLOCK_BYTES
                size = image.size
                self._make_it_fit(image, kind)
                if marked * size[0] * size[1] > _MAX_SCANNED_PIXELS:
                    self._refuse_scan_bomb(max(1, _MAX_SCANNED_PIXELS // (size[0] * size[1])))
                image.load()
                self._check_result(image)
                upright = (to_rgb(turn_upright(image)) if self.side_px is None else
                           small_copy(image, fit_inside(image.size, self.side_px)))
        except ImageError:
            raise
        except Image.DecompressionBombError:
            raise self._too_many_pixels("more than 178") from None
        except Exception as error:  # Pillow's decoders raise seven classes between them on damaged files
            raise _broken(error, self.data, kind, self.name) from None
        return DecodedImage(upright, kind, *size, partly_there=keep)

    def _refuse_scan_bomb(self, most: int) -> None:
        if jpeg_scans(self.data, most) > most:
            raise ImageError("too_many_scans", f"{self.name!r} is a JPEG with over {most} scans of the whole picture, "
                             "which would take very long to open. Save it again as an ordinary JPEG.")

    def _make_it_fit(self, image: ImageFile.ImageFile, kind: str) -> None:
        """Refuse what is too large, or have a JPEG decoded smaller; the same answer with and without
        `side_px` and `least_px`."""
        width, height = image.size
        fixed, per_pixel = memory_bytes(image, kind, self.data)
        shrink = fraction_for(image.size, fixed, per_pixel, self.max_pixels, is_jpeg=kind == "JPEG")
        if shrink is None:
            if width * height > self.max_pixels:
                raise self._too_many_pixels(f"{width} x {height}")
            raise ImageError("too_many_pixels", f"{self.name!r} is {width} x {height} pixels, which would take "
                             f"{(fixed + width * height * per_pixel) / 1e6:.0f} MB of memory to open as {kind}; the "
                             f"limit is {MAX_MEMORY_BYTES / 1e6:.0f} MB. Make it smaller and try again.")
        if kind == "JPEG":
            if self.least_px is not None:
                shrink = max(shrink, least_fraction(image.size, self.least_px))
            target = max(1, width // shrink), max(1, height // shrink)
            if self.side_px is not None:
                inside = fit_inside(image.size, self.side_px)
                target = min(target[0], inside[0]), min(target[1], inside[1])
            if target != image.size:
                image.draft(self.draft_mode, target)

    def _check_result(self, image: Image.Image) -> None:
        """A decoder may find another size than the header's."""
        if image.width * image.height > self.max_pixels:
            raise self._too_many_pixels(f"{image.width} x {image.height}")

    def _too_many_pixels(self, size: str) -> ImageError:
        size = f"{size} pixels" if "x" in size else f"{size} million pixels"
        return ImageError("too_many_pixels", f"{self.name!r} is {size}; the limit is "
                          f"{self.max_pixels / 1e6:.0f} megapixels. Make it smaller and try again.")


def _decoder(kind: str) -> type[ImageFile.ImageFile] | None:
    """The class that decodes a format; None when its library is not installed."""
    module, name = _DECODERS[kind]
    try:
        return getattr(import_module(module), name)  # type: ignore[no-any-return]
    except ImportError:
        return None


def _check_least(least_px: int | None, side_px: int | None = None) -> None:
    if least_px is None:
        return
    if isinstance(least_px, bool) or not isinstance(least_px, int) or least_px < 1:
        raise ValueError(f"least_px is {least_px!r}; a whole number from 1 or None was expected.")
    if side_px is not None:
        raise ValueError("side_px is for small copies and least_px for networks; give one of them.")


def _check_size(size_bytes: int, max_bytes: int, name: str) -> None:
    if size_bytes == 0:
        raise ImageError("empty", f"{name!r} is empty (0 bytes). Copy or download it again.")
    if size_bytes > max_bytes:
        raise ImageError("too_many_bytes", f"{name!r} has {size_bytes / 2**20:.0f} MB; the limit is "
                         f"{max_bytes / 2**20:.0f} MB. Make it smaller and try again.")


def _from_array(array: np.ndarray[Any, Any]) -> Image.Image:
    right_shape = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not right_shape or array.size == 0:
        raise ImageError("not_an_image", "An array was expected with dtype uint8 and shape (H, W), (H, W, 3) or "
                         f"(H, W, 4); {array.dtype} {array.shape} came.")
    return Image.fromarray(np.ascontiguousarray(array))


def _unknown_kind(data: bytes, kind: str | None, name: str) -> ImageError:
    if kind == "HEIF":
        return ImageError("unsupported_format", f"{name!r} is a HEIC photo, and pillow-heif, which opens those, is not "
                          "installed. Run: pip install \"shoebox[heic]\" - or save the photo as JPEG.")
    words = kind_in_words(data)
    if words is not None:
        return ImageError("unsupported_format", f"{name!r} is {words}, which cannot be opened here. "
                          "Save it as JPEG or PNG and try again.")
    return ImageError("not_an_image", f"{name!r} is not a picture. Choose a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or "
                      "HEIC.")


def _broken(error: Exception, data: bytes, kind: str, name: str) -> ImageError:
    if "truncated" in str(error).lower() or ends_early(data, kind):
        return ImageError("truncated", f"{name!r} ends too early: part of the file is missing. "
                          "Copy or download it again.")
    return ImageError("damaged", f"{name!r} is damaged and cannot be opened. Copy or download it again.")
