"""Of an ordinary JPEG, a short stand-in that can be opened if and only if the whole can.

Nearly all of the time that a JPEG takes to open goes into its compressed pixels, and of them only their end can keep it
from being opened: libjpeg stops for want of data, not for wrong data, of which it makes wrong pixels and a warning. So
a file with one scan of all components that runs on to the mark of its end opens just as its head with the first few
bytes of that scan does. What its pixels are is another matter.
"""

from __future__ import annotations

import numpy as np

__all__ = ["stand_in"]

_SOS, _EOI = 0xDA, b"\xff\xd9"
_BASELINE = (0xC0, 0xC1)  # Huffman-coded, in one go or in several; others may fail in later scans
_PLAIN = {0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}  # tables, restarts, comments and what programs add
_KEPT_BYTES = 512
_MAX_SEGMENTS = 1000


def stand_in(data: bytes) -> bytes | None:
    """The head of a JPEG, some of its pixels and the mark of its end; None where that would not do for the whole."""
    start = _start_of_pixels(data)
    if start is None:
        return None
    end = _first_marker(data, start)
    if end is None or data[end:end + 2] != _EOI or end - start <= _KEPT_BYTES:
        return None
    return data[:start + _KEPT_BYTES] + _EOI


def _first_marker(data: bytes, start: int) -> int | None:
    """Where, after an FF within compressed pixels, neither a stuffed zero nor a restart nor a fill byte follows."""
    values = np.frombuffer(data, np.uint8, offset=start)
    marks = np.flatnonzero(values[:-1] == 0xFF)
    follow = values[marks + 1]
    ends = marks[(follow != 0x00) & (follow != 0xFF) & ((follow & 0xF8) != 0xD0)]
    return start + int(ends[0]) if len(ends) else None


def _start_of_pixels(data: bytes) -> int | None:
    """Where the only scan of a plain baseline JPEG begins; None for any other file."""
    position, components = 2, 0
    for _ in range(_MAX_SEGMENTS):
        code = data[position + 1] if data[position:position + 1] == b"\xff" and position + 1 < len(data) else 0
        after = position + 2 + int.from_bytes(data[position + 2:position + 4], "big")
        if after < position + 4 or after > len(data):
            return None
        if code in _BASELINE and not components and after >= position + 10:
            components = data[position + 9]
        elif code == _SOS:
            return after if components and data[position + 4] == components else None
        elif code not in _PLAIN:
            return None
        position = after
    return None
