"""Small real pictures for the tests, drawn with a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CYRILLIC = "Бурый медведь"
AWKWARD = 'it\'s "quoted" <b>'


def draw(seed: int, size: tuple[int, int] = (64, 48), colour: tuple[int, int, int] = (200, 60, 40)) -> Image.Image:
    """Noise with a filled circle: no two seeds give the same bytes."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    x, y = rng.integers(0, size[0] // 2), rng.integers(0, size[1] // 2)
    ImageDraw.Draw(image).ellipse((x, y, x + size[0] // 2, y + size[1] // 2), fill=colour)
    return image


def save(path: Path, image: Image.Image, **kwargs: object) -> Path:
    """Save, making folders on the way; the format follows the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **kwargs)  # type: ignore[arg-type]
    return path


COLOURS = ((200, 60, 40), (40, 160, 60), (50, 70, 210), (220, 200, 40))


def folders(root: Path, classes: dict[str, int], *, size: tuple[int, int] = (64, 48)) -> Path:
    """`classes` maps a name to how many pictures it gets; each class has its own colour."""
    seed = 0
    for number, (name, count) in enumerate(classes.items()):
        for index in range(count):
            save(root / name / f"picture-{index:03}.jpg", draw(seed, size, COLOURS[number % len(COLOURS)]))
            seed += 1
    return root
