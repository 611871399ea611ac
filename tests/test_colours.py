"""Near-duplicates and colour: what differs in colour alone is another picture; a tint or a copy in grey is none."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from shoebox.data import Dataset, open_image
from shoebox.data._groups import alike
from shoebox.data._measure import looks
from shoebox.data._split import Seen, group_new
from tests._pictures import draw, save
from tests.test_groups_and_split import encode, found, photos

COLOURS = {"red": (200, 30, 30), "green": (60, 160, 40), "yellow": (220, 190, 40), "blue": (40, 60, 200)}
COPIES = {
    "half the saturation": lambda image: ImageEnhance.Color(image).enhance(0.5),
    "more saturation": lambda image: ImageEnhance.Color(image).enhance(1.5),
    "warmer": lambda image: Image.fromarray(np.clip(np.asarray(image, float) * [1.1, 1, 0.9], 0, 255).astype(np.uint8)),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "sepia": lambda image: ImageOps.colorize(image.convert("L"), "#2a1a08", "#ffe8c0"),
    "grey": lambda image: image.convert("L").convert("RGB"),
}


def apple(colour, side=76, *, left=24):
    image = Image.new("RGB", (128, 128), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((left, 36, left + side, 36 + side), fill=colour)
    pen.rectangle((left + 36, 16, left + 44, 40), fill=(90, 60, 30))
    return image


@pytest.mark.parametrize("side", [76, 40])
def test_icons_of_one_shape_and_another_colour_are_told_apart(side):
    """Shipped bug: a red and a green apple of one shape stood in one group."""
    for one, first in COLOURS.items():
        for other, second in COLOURS.items():
            same = found(apple(first, side), open_image(encode(apple(second, side))))
            assert same == (one == other), f"{one} and {other}"
    mirrored = ImageOps.mirror(apple(COLOURS["red"], side))
    assert found(apple(COLOURS["red"], side), mirrored) and not found(apple(COLOURS["green"], side), mirrored)


@pytest.mark.parametrize("name", COPIES)
def test_copies_with_changed_colours_are_found(name):
    hits = [found(crop, open_image(encode(COPIES[name](crop)))) for crop in photos()]
    assert np.mean(hits) >= 0.96


def test_photos_with_red_and_blue_exchanged_are_mostly_others():
    exchanged = [(crop, Image.merge("RGB", crop.split()[::-1])) for crop in photos()]
    assert np.mean([found(one, other) for one, other in exchanged]) <= 0.2


def test_a_signature_of_an_older_catalog_has_grey_only_and_is_compared_so():
    red, green = looks(apple(COLOURS["red"])), looks(apple(COLOURS["green"]))
    assert len(red.signature) == 256 + 2 * 64 and not alike(red.signature, green.signature)
    assert alike(red.signature[:256], green.signature) and alike(red.signature, green.signature[:256])
    old = Seen("a" * 64, "a" * 64, red.phash, red.phash_mirrored, red.signature[:256])
    assert group_new([old, Seen("b" * 64, "", green.phash, green.phash_mirrored, green.signature)]).new == {
        "b" * 64: "a" * 64}


def test_in_a_data_set_each_colour_is_a_group_and_a_copy_joins_its_own(tmp_path):
    for name, colour in COLOURS.items():
        save(tmp_path / name / "icon.png", apple(colour))
        save(tmp_path / name / "icon.jpg", apple(colour), quality=80)
    save(tmp_path / "red" / "other.jpg", draw(1))
    ds = Dataset(tmp_path)
    groups = {record.path: record.group_id for record in ds.images}
    assert len(set(groups.values())) == len(COLOURS) + 1
    assert all(groups[f"{name}/icon.png"] == groups[f"{name}/icon.jpg"] for name in COLOURS)
    assert not any("more than one label" in warning for warning in ds.report.warnings)
