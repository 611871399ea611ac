"""Whether bytes are a picture for the data set: through the image door, then laid down in the staging folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from shoebox.collect._outcome import Cause, RefusedError
from shoebox.collect._wire import looks_like_html
from shoebox.data import check_image, decode_image, jpeg_bytes, sha256_bytes
from shoebox.errors import ImageError

__all__ = ["Checked", "Checker"]

_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif",
             "AVIF": ".avif", "MPO": ".jpg", "HEIF": ".heic"}
_QUALITY = 92
_CAUSES: dict[str, Cause] = {
    "too_many_bytes": "too_large", "too_many_pixels": "too_large", "too_many_scans": "too_large",
    "truncated": "damaged", "damaged": "damaged", "empty": "damaged", "unsupported_format": "unsupported_format",
}
BINARY = getattr(os, "O_BINARY", 0)  # Windows
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY


@dataclass(frozen=True)
class Checked:
    """A picture that went through the door and lies in the staging folder."""

    file: Path
    image_id: str
    sha256: str
    suffix: str
    size_bytes: int
    width_px: int
    height_px: int


@dataclass(frozen=True)
class Checker:
    """What a picture must be: at most `max_bytes`, at least `min_px` a side; over `max_px` it is made smaller."""

    staging: Path
    max_bytes: int
    min_px: int
    max_px: int | None = None

    def check(self, data: bytes, name: str) -> Checked:
        """Look at the bytes through the image door and lay the picture down; `RefusedError` when they are none.

        Neither the address nor what the server called it matters. Runs in any thread.
        """
        if looks_like_html(data):
            raise RefusedError("html_instead_of_image", f"{name!r} is a web page instead of a picture. Leave it out, "
                               "or look for the picture's own address.")
        try:
            kind, width_px, height_px = check_image(data, name=name, max_bytes=self.max_bytes)
            if min(width_px, height_px) < self.min_px:
                raise RefusedError("too_small", f"{name!r} is {width_px} x {height_px} pixels; at "
                                   f"least {self.min_px} a side were asked for.")
            stored, suffix = data, _SUFFIXES.get(kind, f".{kind.lower()}")
            if self.max_px is not None and max(width_px, height_px) > self.max_px:
                whole = decode_image(data, name=name, max_bytes=self.max_bytes).image
                stored, suffix = jpeg_bytes(whole, side_px=self.max_px, quality=_QUALITY), ".jpg"
        except ImageError as error:
            raise RefusedError(_CAUSES.get(error.cause, "not_an_image"), str(error)) from None
        sha256 = sha256_bytes(data)
        image_id = sha256 if stored is data else sha256_bytes(stored)
        return Checked(self._lay_down(stored, image_id), image_id, sha256, suffix, len(data), width_px, height_px)

    def _lay_down(self, data: bytes, image_id: str) -> Path:
        part = self.staging / f"{image_id}.{os.urandom(4).hex()}.part"
        try:
            handle = os.open(part, _NEW_FILE, 0o666)  # a file object asks the system four questions more about each
            try:
                left = memoryview(data)
                while left:
                    left = left[os.write(handle, left):]
            finally:
                os.close(handle)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise RefusedError("not_stored", f"The picture cannot be written ({error}). Check the disk's free space, "
                               "then collect again.") from None
        return part
