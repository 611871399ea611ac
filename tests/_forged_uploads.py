"""Uploads that were damaged on purpose, and the widget's own message path to send them by."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image


def seeds() -> list[bytes]:
    """Small real files of every kind that is taken, and some that are not."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8))
    files = []
    for kind, options in (("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {}), ("GIF", {}),
                          ("BMP", {}), ("TIFF", {}), ("AVIF", {})):
        out = io.BytesIO()
        image.save(out, kind, **options)
        files.append(out.getvalue())
    grey = io.BytesIO()
    image.convert("LA").save(grey, "PNG")
    others = [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7 x", b"PK\x03\x04" + bytes(60)]
    return [*files, grey.getvalue(), *others]


def mutants(n: int, *, seed: int) -> Iterator[tuple[Any, list[bytes]]]:
    """`n` messages: most carry a damaged picture in an honest request, some a damaged request."""
    rng = np.random.default_rng(seed)
    files = seeds()
    odd = [None, 7, [], "x" * 5000, True, {"a": {}}, -1, 2**70, "\ud800"]
    for number in range(n):
        content: Any = {"kind": "picture", "id": f"m{number}", "name": "a.jpg"}
        data = damaged(files[int(rng.integers(len(files)))], rng)
        buffers = [data]
        if rng.random() < 0.15:
            key = ("kind", "id", "name", "number", "label")[int(rng.integers(5))]
            content[key] = odd[int(rng.integers(len(odd)))]
        if rng.random() < 0.05:
            buffers = [[], [data, data], [b""]][int(rng.integers(3))]
        if rng.random() < 0.02:
            content = odd[int(rng.integers(len(odd)))]
        yield content, buffers


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """One of: bytes flipped, cut off, a piece doubled, a piece removed, a number made huge, left alone."""
    raw = bytearray(data)
    place = int(rng.integers(len(raw)))
    match int(rng.integers(6)):
        case 0:
            for _ in range(int(rng.integers(1, 20))):
                raw[int(rng.integers(len(raw)))] = int(rng.integers(256))
        case 1:
            del raw[place:]
        case 2:
            raw[place:place] = raw[place:place + 200]
        case 3:
            del raw[place:place + int(rng.integers(1, 50))]
        case 4:
            raw[place:place + 4] = b"\xff\xff\xff\xff"
    return bytes(raw)


def send_raw(widget: Any, content: Any, buffers: list[bytes]) -> list[dict[str, Any]]:
    """Everything that the widget sends back for a message as it comes from a page."""
    sent: list[dict[str, Any]] = []
    widget.send = lambda fields, replied=None: sent.append(fields)
    widget._handle_msg({"content": {"data": {"method": "custom", "content": content}},
                        "buffers": [memoryview(buffer) for buffer in buffers]})
    return sent
