"""The trainings behind bench/ranking.py: pictures with planted faults, one training each, everything kept as arrays.

A run is kept in a file of its own below a folder outside the repository, so that a bench that was stopped goes on.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

SIDE_PX = 32
EPOCHS = 40
SIZES = (100, 300, 1000, 1797)
LOOK_ALIKES = {"digits": (6, 7, 3, 8, 9, 3, 0, 1, 3, 4), "photos": (1, 0, 3, 2, 5, 4, 7, 6)}
PHOTO_CLASSES = ("sky", "petal", "roof", "garden", "disc", "square", "triangle", "cross")


@dataclass(frozen=True)
class Run:
    """What is planted into which pictures. `fault`: uniform, look-alike or outliers."""

    pictures: str
    fault: str
    rate: float
    n: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.pictures}-{self.fault}-{self.rate:.2f}-{self.n}-{self.seed}"


def all_runs(sizes: tuple[int, ...] = SIZES, seeds: int = 5) -> Iterator[Run]:
    """Seed by seed, so that a bench that was stopped early has all kinds of faults."""
    for seed, n, pictures in itertools.product(range(seeds), sizes, ("digits", "photos")):
        for fault, rate in (("uniform", .05), ("uniform", .10), ("look-alike", .05), ("look-alike", .10),
                            ("outliers", .05)):
            yield Run(pictures, fault, rate, n, seed)


def load(run: Run, folder: Path) -> dict[str, Any]:
    """The arrays of a run; trained now when it is not kept yet."""
    file = folder / f"{run.name}.npz"
    if not file.is_file():
        arrays = train(run)
        folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npz")
        np.savez_compressed(part, **arrays)
        part.replace(file)
    with np.load(file) as kept:
        return {key: kept[key] for key in kept.files}


def train(run: Run) -> dict[str, Any]:
    """One training of 40 epochs, recorded; fastai's losses at its end; features of the same pictures."""
    from shoebox import Dataset, training
    from shoebox.data import open_image, outlines

    rng = np.random.default_rng([run.seed, run.n])
    images, truth, n_classes = draw(run.pictures, run.n, rng)
    labels, planted = plant(run, images, truth, n_classes, rng)
    with tempfile.TemporaryDirectory() as name:
        names = [f"class-{label}/{number:05}.png" for number, label in enumerate(labels)]
        for path, image in zip(names, images, strict=True):
            (Path(name) / path).parent.mkdir(exist_ok=True)
            image.save(Path(name) / path)
        ds = Dataset(name)
        place = {path: number for number, path in enumerate(names)}
        order = np.asarray([place[record.path] for record in ds.images])
        training.limit_threads(1)
        training.seed_everything(run.seed)
        dls = training.dataloaders(ds, size_px=SIDE_PX, method="squish", batch_size=32, num_workers=0,
                                   batch_tfms=training.augmentations(flip=False))
        for loader in dls.loaders:
            keep_items(loader)
        learn = training.vision_learner(dls, training.small_cnn, pretrained=False, lin_ftrs=[], ps=0.1)
        start = time.perf_counter()
        with learn.no_bar(), learn.no_logging():
            learn.fine_tune(EPOCHS - 1, base_lr=1e-2)
            trained = time.perf_counter()
            losses = _fastai_losses(learn, ds.images, ds.root)
            looked = time.perf_counter()
        predictions = training.predictions_of(learn, ds)
        start_outlines = time.perf_counter()
        features = outlines([open_image(ds.file(record.path)) for record in ds.images])
        return {
            "labels": np.asarray(labels)[order], "truth": np.asarray(truth)[order], "planted": planted[order],
            "valid": np.asarray([record.side == "valid" for record in ds.images]),
            "groups": np.unique([record.group_id for record in ds.images], return_inverse=True)[1],
            "features": features, "losses": losses, "recorder": _filled(predictions, ds.images, n_classes),
            "seconds": np.asarray([trained - start, looked - trained, time.perf_counter() - start_outlines]),
        }


def keep_items(loader: Any) -> None:
    """Have a loader open each picture once: nothing before the batch is drawn by chance here, and 40 epochs of opening
    take three times as long as the network does."""
    open_item, opened = loader.do_item, {}

    def do_item(place: int) -> Any:
        if place not in opened:
            opened[place] = open_item(place)
        return opened[place]

    loader.do_item = do_item


def _fastai_losses(learn: Any, records: Any, root: Path) -> np.ndarray:
    """What ImageClassifierCleaner sorts by, with its own call: augmentation is on for training pictures."""
    found = {}
    for side in (0, 1):
        dl = learn.dls[side].new(shuffle=False, drop_last=False)
        _, _, losses = learn.get_preds(dl=dl, with_loss=True)
        files = [Path(item).resolve().relative_to(root).as_posix() for item in learn.dls[side].items]
        found |= dict(zip(files, losses.tolist(), strict=True))
    return np.asarray([found[record.path] for record in records])


def _filled(predictions: Any, records: Any, n_classes: int) -> np.ndarray:
    """Rows in the order of `records`; NaN for a picture that the recorder never met."""
    rows = dict(zip(predictions.paths, predictions.pred_probs, strict=True))
    return np.stack([rows.get(record.path, np.full(n_classes, np.nan, np.float32)) for record in records])


def draw(pictures: str, n: int, rng: np.random.Generator) -> tuple[list[Image.Image], list[int], int]:
    """`n` pictures with their true classes and the number of classes."""
    if pictures == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        chosen = rng.permutation(len(digits.target))[:n]
        return [_ink(digits.images[i]) for i in chosen], [int(digits.target[i]) for i in chosen], 10
    truth = [int(number) for number in rng.permutation(np.arange(n) % len(PHOTO_CLASSES))]
    return [_photo(PHOTO_CLASSES[label], rng) for label in truth], truth, len(PHOTO_CLASSES)


def plant(run: Run, images: list[Image.Image], truth: list[int], n_classes: int,
          rng: np.random.Generator) -> tuple[list[int], np.ndarray]:
    """Given labels and which rows were tampered with; `outliers` replaces pictures by ones of no class."""
    labels, planted = list(truth), np.zeros(len(truth), bool)
    for row in rng.permutation(len(truth))[:round(run.rate * len(truth))]:
        planted[row] = True
        if run.fault == "uniform":
            labels[row] = int(rng.choice([label for label in range(n_classes) if label != truth[row]]))
        elif run.fault == "look-alike":
            labels[row] = LOOK_ALIKES[run.pictures][truth[row]]
        else:
            images[row] = _stranger(run.pictures, rng)
    return labels, planted


def _ink(scan: np.ndarray) -> Image.Image:
    small = Image.fromarray((245 - scan * (215 / 16)).astype(np.uint8))
    return small.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC).convert("RGB")


def _stranger(pictures: str, rng: np.random.Generator) -> Image.Image:
    if pictures == "digits":
        return _crop(("china.jpg", "flower.jpg")[rng.integers(2)], (0, 0, 640, 427), rng)
    from sklearn.datasets import load_digits

    return _ink(load_digits().images[rng.integers(1797)])


_PHOTOS: dict[str, Image.Image] = {}


def _crop(name: str, region: tuple[int, int, int, int], rng: np.random.Generator) -> Image.Image:
    """A square of 48 to 96 pixels from a region of a sample picture, mirrored and brightened at random."""
    from sklearn.datasets import load_sample_image

    if name not in _PHOTOS:
        _PHOTOS[name] = Image.fromarray(load_sample_image(name))
    left, top, right, bottom = region
    side = int(rng.integers(48, 97))
    x, y = int(rng.integers(left, right - side + 1)), int(rng.integers(top, bottom - side + 1))
    image = _PHOTOS[name].crop((x, y, x + side, y + side)).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
    if rng.random() < .5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return ImageEnhance.Brightness(image).enhance(float(rng.uniform(.7, 1.3)))


def _photo(label: str, rng: np.random.Generator) -> Image.Image:
    """A crop of its class's region, or a drawn shape on a crop of any."""
    regions = {"sky": ("china.jpg", (0, 0, 640, 130)), "roof": ("china.jpg", (150, 130, 550, 290)),
               "garden": ("china.jpg", (0, 290, 640, 427)), "petal": ("flower.jpg", (180, 60, 460, 330))}
    if label in regions:
        return _crop(*regions[label], rng)
    image = _crop(("china.jpg", "flower.jpg")[rng.integers(2)], (0, 0, 640, 427), rng)
    colour = tuple(int(value) for value in rng.integers(0, 256, 3))
    radius = float(rng.uniform(7, 12))
    x, y = (float(value) for value in rng.uniform(radius + 1, SIDE_PX - radius - 1, 2))
    turn = float(rng.uniform(0, 2 * np.pi))
    pen = ImageDraw.Draw(image)
    if label == "disc":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    elif label == "cross":
        for angle in (turn, turn + np.pi / 2):
            dx, dy = radius * np.cos(angle), radius * np.sin(angle)
            pen.line((x - dx, y - dy, x + dx, y + dy), fill=colour, width=5)
    else:
        corners = 4 if label == "square" else 3
        angles = turn + 2 * np.pi * np.arange(corners) / corners
        pen.polygon([(x + radius * np.cos(a), y + radius * np.sin(a)) for a in angles], fill=colour)
    return image
