"""Real pictures of every format with bytes changed, inserted, removed or cut off, by a seed."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pillow_heif

from tests._hostile import encoded
from tests._pictures import draw


def seeds() -> list[bytes]:
    """Two files of every format, and a few kinds more."""
    found = []
    for number, kind in enumerate(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]):
        found += [encoded(draw(number, (40, 30)), kind), encoded(draw(number, (40, 30)).convert("L"), kind)]
    found.append(encoded(draw(8, (40, 30)), "JPEG", progressive=True))
    found.append(encoded(draw(9, (40, 30)), "WEBP", lossless=True))
    found.append(encoded(draw(10, (40, 30)).convert("RGBA"), "PNG"))
    found.append(encoded(draw(11, (40, 30)), "TIFF", compression="tiff_lzw"))
    out = io.BytesIO()
    pillow_heif.from_pillow(draw(12, (40, 30))).save(out)
    return [*found, out.getvalue()]


def mutants(n: int, seed: int = 0) -> Iterator[bytes]:
    """`n` damaged files; the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    files = seeds()
    for number in range(n):
        data = bytearray(files[number % len(files)])
        for _ in range(rng.integers(1, 20)):
            at = int(rng.integers(0, min(len(data), 600) if rng.random() < 0.5 else len(data)))  # headers matter most
            kind = rng.integers(0, 10)
            if kind < 7:
                data[at] = rng.integers(0, 256)
            elif kind == 7:
                data[at:at] = rng.bytes(int(rng.integers(1, 9)))
            elif kind == 8:
                del data[at:at + int(rng.integers(1, 9))]
            else:
                data[at:at + 4] = [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"][rng.integers(0, 3)]
            if len(data) < 20:
                break
        yield bytes(data[:rng.integers(1, len(data) + 1)] if number % 5 == 0 else data)
