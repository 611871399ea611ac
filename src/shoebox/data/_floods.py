"""Files of a million tiny pieces, which are told before a decoder steps through them one by one.

Pillow walks what stands before the pixels in Python, a piece at a time: a JPEG of 20 MB that is nothing but empty
segments took it 8 s, a PNG of empty chunks 4 s. Real files have a few hundred pieces; those here that are counted are
the ones that cost a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

__all__ = ["is_flood"]

_MOST = 50_000  # steps, of 0.3 to 3 µs each in Pillow
_EXIF_STEPS = 500  # every further EXIF segment copies all those before it
_NO_LENGTH = {0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)}  # as Pillow reads them
_SOS = 0xDA


def is_flood(data: bytes, kind: str) -> bool:
    """Whether a file of this kind has over 50,000 pieces before its pixels (PNG: in all)."""
    steps = _STEPS.get(kind)
    return steps is not None and any(True for _ in islice(steps(data), _MOST, None))


def _jpeg(data: bytes) -> Iterator[None]:
    """Segments up to the first scan; fill bytes and junk between them are a step each."""
    position, end = 2, len(data) - 1
    while position < end:
        code = data[position + 1]
        yield
        if data[position] != 0xFF or code in (0x00, 0xFF):
            position += 1
        elif code == _SOS:
            return
        elif code in _NO_LENGTH:
            position += 2
        else:
            if code == 0xE1:
                yield from (None for _ in range(_EXIF_STEPS))
            position += 2 + max(2, int.from_bytes(data[position + 2:position + 4], "big"))


def _png(data: bytes) -> Iterator[None]:
    """Chunks, those of the pixels included."""
    position = 8
    while position + 8 <= len(data):
        yield
        position += 12 + int.from_bytes(data[position:position + 4], "big")


def _gif(data: bytes) -> Iterator[None]:
    """Extensions, their blocks, and junk between them, up to the first frame."""
    position, end = 13, len(data)
    if end > 10 and data[10] & 0x80:
        position += 3 << ((data[10] & 7) + 1)
    while position < end and data[position] not in b",;":
        yield
        if data[position] != 0x21:
            position += 1
            continue
        position += 2
        while position < end and (length := data[position]):
            yield
            position += 1 + length
        position += 1


def _tiff(data: bytes) -> Iterator[None]:
    """Tags of the first directory: at most 65,535, but for BigTIFF."""
    if data[2:4] in (b"+\0", b"\0+"):
        order = "little" if data[:2] == b"II" else "big"
        start = int.from_bytes(data[8:16], order)  # type: ignore[arg-type]
        yield from (None for _ in range(int.from_bytes(data[start:start + 8], order) >> 1))  # type: ignore[arg-type]


_STEPS: dict[str, Callable[[bytes], Iterator[None]]] = {"JPEG": _jpeg, "PNG": _png, "GIF": _gif, "TIFF": _tiff}
