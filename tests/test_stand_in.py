"""A check by a stand-in answers as opening the whole file does: on whole, cut, mangled and odd JPEGs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from shoebox.data import _images, check_image, decode_image
from shoebox.data._kinds import kind_of
from shoebox.data._stand_in import stand_in
from shoebox.errors import ImageError
from tests._hostile import encoded
from tests._pictures import draw


def jpegs() -> dict[str, bytes]:
    """Real JPEGs of every kind that Pillow writes, with over 512 bytes of pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    picture = Image.blend(draw(3, (120, 90)), Image.fromarray(noise), 0.3)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a comment of the camera's"
    return {
        "plain": encoded(picture, "JPEG"),
        "grey": encoded(picture.convert("L"), "JPEG"),
        "cmyk": encoded(picture.convert("CMYK"), "JPEG"),
        "all colours": encoded(picture, "JPEG", subsampling=0, quality=95),
        "own tables": encoded(picture, "JPEG", optimize=True),
        "restarts": encoded(picture, "JPEG", restart_marker_blocks=4),
        "turned": encoded(picture, "JPEG", exif=exif, comment=b"\xff\xda\xff\xd9"),
        "progressive": encoded(picture, "JPEG", progressive=True),
    }


def mangled(n: int) -> Iterator[bytes]:
    """Some bytes changed, inserted or removed, half of them in the head; every fifth cut off."""
    rng, files = np.random.default_rng(1), list(jpegs().values())
    for number in range(n):
        data = bytearray(files[number % len(files)])
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(2, 640 if rng.random() < 0.5 else len(data)))
            kind = rng.integers(0, 6)
            if kind < 4:
                data[at] = 0xFF if kind == 3 else rng.integers(0, 256)
            elif kind == 4:
                data[at:at] = b"\xff" + bytes([rng.integers(0xC0, 0xFF)])
            else:
                del data[at:at + int(rng.integers(1, 9))]
        yield bytes(data[:rng.integers(20, len(data))] if number % 5 == 0 else data)


def outcome(run, data):
    try:
        found = run(data)
    except ImageError as error:
        return error.cause, str(error)
    return found if isinstance(found, tuple) else (found.format, found.width_px, found.height_px)


@pytest.mark.parametrize("name", jpegs())
def test_ordinary_jpegs_have_a_stand_in_and_others_have_none(name):
    data = jpegs()[name]
    short = stand_in(data)
    if name == "progressive":
        assert short is None
    else:
        assert short is not None and len(short) < len(data)
        assert check_image(short) == check_image(data) == outcome(decode_image, data)


def test_the_whole_file_is_not_decoded(monkeypatch):
    opened = []
    monkeypatch.setattr(_images, "kind_of", lambda data: opened.append(len(data)) or kind_of(data))
    data = jpegs()["plain"]
    assert check_image(data) == ("JPEG", 120, 90)
    assert opened == [len(stand_in(data))] and opened[0] < len(data) / 2


def test_mangled_jpegs_are_judged_as_opening_them_judges_them():
    told, short = Counter(), Counter()
    for data in mangled(4000):
        found = outcome(check_image, data)
        assert found == outcome(decode_image, data)
        told[found[0]] += 1
        short[stand_in(data) is not None] += 1
    assert told["JPEG"] > 1000 and told["truncated"] > 500 and told["damaged"] > 100
    assert short[True] > 1000 and short[False] > 1000


@pytest.mark.parametrize("put_in", [
    b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00", b"\xff\xc4\x00\x05\x00\x01\x02",
    b"\xff\xdc\x00\x04\x00\x05", b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00"])
def test_a_marker_within_the_pixels_has_no_stand_in(put_in):
    data = jpegs()["plain"]
    assert stand_in(data[:-200] + put_in + data[-200:]) is None


def test_without_its_end_there_is_no_stand_in():
    data = jpegs()["plain"]
    assert stand_in(data[:-2]) is None and stand_in(data[:-2] + b"\xff") is None and stand_in(data[:700]) is None
    assert stand_in(data + b"and what was put behind it") is not None
    assert stand_in(b"\xff\xd8") is None and stand_in(b"") is None
