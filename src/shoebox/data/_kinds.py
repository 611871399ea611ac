"""What bytes are, told from their first ones and their structure, before any decoder sees them."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import islice

__all__ = ["ends_early", "jpeg_scans", "kind_in_words", "kind_of", "scan_marks"]

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_AVIF = {b"avif", b"avis"}
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_EITHER = {b"mif1", b"msf1", b"mif2"}
_IN_WORDS = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"8BPS", "a Photoshop file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"qoif", "a QOI image"),
    (b"DDS ", "a DDS texture"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"icns", "a Mac icon"),
    (b"\x01\xda", "an SGI image"),
    (b"FORM", "an IFF file"),
    (b"SIMPLE  =", "a FITS image"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (b"gimp xcf", "a GIMP file"),
)
# After a marker's FF: anything but a stuffed zero, a restart or more fill bytes.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_START_OF_SCAN = re.compile(rb"\xff\xda")
_SOS, _EOI = 0xDA, 0xD9
_BARE = {0x01, _EOI, *range(0xD0, 0xD9)}  # TEM, RST0 to RST7, SOI and EOI have no length
_MAX_SEGMENTS = 50_000  # real files have a few hundred; a walk over 25 million took 15 s


def kind_of(data: bytes) -> str | None:
    """The door's name of the format that the first bytes promise, or None."""
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        brands = _brands(data)
        if brands[0] in _AVIF or (brands[0] in _EITHER and _AVIF & set(brands)):
            return "AVIF"
        if brands[0] in _HEIF | _EITHER:
            return "HEIF"
    return None


def kind_in_words(data: bytes) -> str | None:
    """What else it is, for a sentence; None when nobody knows."""
    kind = next((words for magic, words in _IN_WORDS if data.startswith(magic)), None)
    if kind is None and b"<svg" in data[:1024].lower():
        kind = "an SVG drawing"
    return kind


def scan_marks(data: bytes, most: int) -> int:
    """How often a start of scan could stand in a JPEG, counted up to `most`: never fewer than `jpeg_scans` finds.

    A third of the time that `bytes.count` takes, which tries every place where an FF stands.
    """
    return sum(1 for _ in islice(_START_OF_SCAN.finditer(data), most))


def jpeg_scans(data: bytes, stop_after: int) -> int:
    """How many scans a JPEG's own stream has; counting ends after `stop_after`.

    Walks the markers as libjpeg does, so that previews within metadata, and whatever follows the end (a second
    picture, a film), do not count. Lower than the truth never: what cannot be walked has no further scan.
    `ValueError` where there are more segments than any real file has.
    """
    return sum(1 for _ in islice((code for code in _segments(data) if code == _SOS), stop_after + 1))


def ends_early(data: bytes, kind: str) -> bool:
    """Whether the file's own structure says that more should follow. Asked only about files that failed to open."""
    return _CHECKS[kind](data)


def _brands(data: bytes) -> list[bytes]:
    end = min(int.from_bytes(data[:4], "big"), len(data), 256)
    return [data[8:12], *(data[i:i + 4] for i in range(16, end - 3, 4))]


def _jpeg_ends_early(data: bytes) -> bool:
    try:
        return _EOI not in _segments(data)
    except ValueError:
        return False  # not cut off but broken


def _segments(data: bytes) -> Iterator[int]:
    """The marker code of each segment of a JPEG, until its end."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(data, position)
        if found is None:
            return
        code, position = data[found.end() - 1], found.end()
        if code not in _BARE:
            position += max(2, int.from_bytes(data[position:position + 2], "big"))
        yield code
        if code == _EOI:
            return
    raise ValueError(f"over {_MAX_SEGMENTS} segments")


def _png_ends_early(data: bytes) -> bool:
    position = 8
    while position + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        if name == b"IEND":
            return False
        if not name.isalpha():
            return False  # not cut off but broken
        position += 12 + length
    return True


def _gif_ends_early(data: bytes) -> bool:
    return not data.rstrip(b"\0").endswith(b";")


def _riff_ends_early(data: bytes) -> bool:
    return len(data) < 12 or int.from_bytes(data[4:8], "little") + 8 > len(data)


def _bmp_ends_early(data: bytes) -> bool:
    return len(data) < 14 or int.from_bytes(data[2:6], "little") > len(data)


def _tiff_ends_early(data: bytes) -> bool:
    order = "<" if data[:2] == b"II" else ">"
    if len(data) < 16 or data[2:4] in (b"+\0", b"\0+"):
        return len(data) < 16
    start = struct.unpack_from(order + "I", data, 4)[0]
    if start + 2 > len(data):
        return True
    return bool(start + 2 + 12 * struct.unpack_from(order + "H", data, start)[0] > len(data))


def _boxes_end_early(data: bytes) -> bool:
    position = 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position:position + 4], "big")
        if size == 1:
            size = int.from_bytes(data[position + 8:position + 16], "big")
        if size == 0:
            return False  # reaches to the end, wherever that is
        if size < 8 or not data[position + 4:position + 8].isalnum():
            return False  # not cut off but broken
        position += size
    return position != len(data)


_CHECKS = {"JPEG": _jpeg_ends_early, "PNG": _png_ends_early, "GIF": _gif_ends_early, "WEBP": _riff_ends_early,
           "BMP": _bmp_ends_early, "TIFF": _tiff_ends_early, "AVIF": _boxes_end_early, "HEIF": _boxes_end_early}
