"""scikit-learn's handwritten digits as class folders, with faults planted and remembered.

The 1,797 scans are the test part of the NIST set of E. Alpaydin and C. Kaynak (UCI, 1998), shipped inside
scikit-learn with two photographs. Planted faults flatter every method: real ones are harder to find.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from shoebox.data import atomic_write_bytes, open_image
from shoebox.errors import DatasetError

__all__ = ["Planted", "planted", "write"]

# The ranking never reads this file: it is hidden, as far as a scan goes.
_MEMORY = ".planted.json"
_LOOK_ALIKES = {0: 6, 1: 7, 2: 3, 3: 8, 4: 9, 5: 3, 6: 0, 7: 1, 8: 3, 9: 4}


@dataclass(frozen=True)
class Planted:
    """What was planted where; paths are relative to the data set.

    Attributes
    ----------
    wrong_labels : dict[str, str]
        Path of a mislabelled picture -> its true class.
    near_duplicates : dict[str, str]
        Path of a re-encoded, slightly brighter copy -> path of its original.
    unreadable : list[str]
        A truncated file, an empty one and a text file named `.jpg`.
    photographs : list[str]
        Two photographs that are no digits.
    """

    seed: int
    n: int
    wrong_labels: dict[str, str]
    near_duplicates: dict[str, str]
    unreadable: list[str]
    photographs: list[str]


def write(path: str | Path, *, seed: int = 42, n: int = 1797, wrong_labels: int = 80, near_duplicates: int = 12,
          size_px: int = 96, progress: Callable[[int, int], None] | None = None) -> Path:
    """Write the demo data set, or leave it as it is when it stands there already.

    Parameters
    ----------
    path : str or Path
        A folder that does not exist yet, or one that `write` made with the same `seed` and `n`.
    seed : int
        Decides which faults are planted where.
    n : int
        How many of the 1,797 digits, 50 at least.
    wrong_labels : int
        How many of them get a wrong class: half any other one, half a look-alike.
    near_duplicates : int
        How many re-encoded copies are added.
    size_px : int
        Side of the drawn pictures; 96 or more is large enough to look at.

    Returns
    -------
    Path
        The data set's folder.
    """
    root = Path(path)
    if (root / _MEMORY).is_file():
        return _same(root, seed, n)
    if root.exists():
        raise DatasetError(f"{str(root)!r} exists and is not this demo's. Choose a folder that does not exist yet.")
    if not 50 <= n <= 1797 or wrong_labels + near_duplicates > n // 2:
        raise DatasetError(f"n={n} with {wrong_labels} wrong labels came; n lies between 50 and 1797, and at most "
                           "half of the pictures may be faulty.")
    part = root.with_name(f".{root.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    plan = _draw(part, random.Random(seed), seed, n, (wrong_labels, near_duplicates), size_px, progress)
    atomic_write_bytes(part / _MEMORY, json.dumps(asdict(plan), indent=1).encode())
    part.rename(root)
    return root


def planted(path: str | Path) -> Planted:
    """What `write` planted in the data set at `path`."""
    try:
        return Planted(**json.loads((Path(path) / _MEMORY).read_text("utf-8")))
    except FileNotFoundError:
        raise DatasetError(f"{str(path)!r} was not written by shoebox.demo.write: nothing is planted there.") from None


def _same(root: Path, seed: int, n: int) -> Path:
    there = planted(root)
    if (there.seed, there.n) != (seed, n):
        raise DatasetError(f"{str(root)!r} holds the demo with seed {there.seed} and {there.n} digits; seed {seed} and "
                           f"{n} were asked for. Choose another folder.")
    return root


def _draw(root: Path, rng: random.Random, seed: int, n: int, faults: tuple[int, int], size_px: int,
          progress: Callable[[int, int], None] | None) -> Planted:
    from sklearn.datasets import load_digits

    digits = load_digits()
    chosen = rng.sample(range(len(digits.target)), n)
    wrong = _wrong_labels(rng, [int(digits.target[i]) for i in chosen], faults[0])
    plan = Planted(seed, n, {}, {}, [], [])
    paths: list[str] = []
    for number, index in enumerate(chosen):
        label = wrong.get(number, int(digits.target[index]))
        paths.append(f"{label}/scan-{number:04}.jpg")
        _save(root / paths[-1], _ink(digits.images[index], size_px))
        if number in wrong:
            plan.wrong_labels[paths[-1]] = str(int(digits.target[index]))
        if progress:
            progress(number + 1, n)
    right = [number for number in range(n) if number not in wrong]
    for number, original in enumerate(rng.sample(right, faults[1]), start=n):
        _plant_copy(root, paths[original], number, plan)
    _plant_unreadable(root, paths, rng, plan)
    _plant_photographs(root, size_px * 4, rng, plan)
    return plan


def _wrong_labels(rng: random.Random, labels: Sequence[int], count: int) -> dict[int, int]:
    """Position -> wrong label: half uniform over the other classes, half the class it is easily taken for."""
    positions = rng.sample(range(len(labels)), count)
    wrong = {}
    for turn, position in enumerate(positions):
        label = labels[position]
        others = [other for other in range(10) if other != label]
        wrong[position] = rng.choice(others) if turn % 2 else _LOOK_ALIKES[label]
    return wrong


def _ink(scan: np.ndarray[Any, Any], size_px: int) -> Image.Image:
    """Dark ink on light paper, from an 8 x 8 scan of values 0 to 16."""
    small = Image.fromarray((245 - scan * (215 / 16)).astype(np.uint8))
    return small.resize((size_px, size_px), Image.Resampling.BICUBIC).convert("RGB")


def _save(path: Path, image: Image.Image, quality: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "JPEG", quality=quality)


def _plant_copy(root: Path, original: str, number: int, plan: Planted) -> None:
    copy = f"{original.split('/')[0]}/scan-{number:04}.jpg"
    _save(root / copy, ImageEnhance.Brightness(open_image(root / original)).enhance(0.93), quality=60)
    plan.near_duplicates[copy] = original


def _plant_unreadable(root: Path, paths: Sequence[str], rng: random.Random, plan: Planted) -> None:
    whole = (root / rng.choice(paths)).read_bytes()
    contents = {"broken-1.jpg": whole[: len(whole) // 2], "broken-2.jpg": b"", "broken-3.jpg": b"not a picture\n"}
    for name, content in contents.items():
        path = f"{rng.randrange(10)}/{name}"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
        plan.unreadable.append(path)


def _plant_photographs(root: Path, side_px: int, rng: random.Random, plan: Planted) -> None:
    from sklearn.datasets import load_sample_image

    for name in ("china.jpg", "flower.jpg"):
        image = Image.fromarray(load_sample_image(name))
        image.thumbnail((side_px, side_px))
        path = f"{rng.randrange(10)}/{name}"
        _save(root / path, image)
        plan.photographs.append(path)
