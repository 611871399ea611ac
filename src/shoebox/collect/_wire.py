"""Small things of HTTP: packed bodies that may not burst, Retry-After, and what a web page looks like."""

from __future__ import annotations

import datetime
import email.utils
import zlib
from collections.abc import Callable, Iterator

from shoebox.collect._outcome import RefusedError

__all__ = ["looks_like_html", "retry_after_s", "unpacker"]

_PIECE_BYTES = 64 * 1024
_PAGE = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script")


def unpacker(encoding: str, host: str) -> Callable[[bytes], Iterator[bytes]]:
    """What turns the bytes of the wire into those of the file, piece by piece, so that a bomb never stands in memory.

    Nothing packed is asked for; gzip and deflate are understood all the same, others are refused.
    """
    kind = encoding.strip().casefold()
    if kind in ("", "identity"):
        return lambda packed: iter((packed,))
    if kind in ("gzip", "x-gzip", "deflate"):
        return _Inflate()
    raise RefusedError("unsupported_format", f"{host!r} sends its file packed as {encoding[:40]!r}, which was not "
                       "asked for. Leave it out.")


class _Inflate:
    def __init__(self) -> None:
        self._engine = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by its header

    def __call__(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            yield self._engine.decompress(packed, _PIECE_BYTES)
            packed = self._engine.unconsumed_tail


def retry_after_s(value: str) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date; None when it says nothing of use."""
    if value.strip().isdecimal():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.UTC)
    return max(0.0, (when - datetime.datetime.now(datetime.UTC)).total_seconds())


def looks_like_html(data: bytes) -> bool:
    """Whether a file begins as a web page does."""
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    while head.startswith((b"<!--", b"<?xml")):
        _, end, head = head.partition(b"-->" if head.startswith(b"<!--") else b"?>")
        head = head.lstrip()
        if not end:
            return False
    return head.startswith(_PAGE)
