"""What training opens and what the app opens are the same pixels: 500 pictures of all formats, modes and turns."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

import shoebox
from shoebox.apps.classify import classifier_app
from shoebox.data import Dataset
from tests._models import tiny_bundle
from tests._pictures import draw

N = 500


def saved(kind: str, mode: str = "RGB", **kwargs: Any) -> Callable[[int], tuple[str, bytes]]:
    """A maker of files: number -> (suffix, bytes); formats with EXIF get each orientation in turn."""
    def make(number: int) -> tuple[str, bytes]:
        image, out, options = draw(number, (48 + number % 5, 36)).convert(mode), io.BytesIO(), dict(kwargs)
        if kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "MPO", "HEIC"):
            exif = Image.Exif()
            exif[0x0112] = number // 7 % 8 + 1
            options["exif"] = exif.tobytes() if kind == "HEIC" else exif
        if kind == "HEIC":
            pillow_heif.from_pillow(image).save(out, **options)
        else:
            image.save(out, kind, **options)
        return kind.lower(), out.getvalue()
    return make


def deep(kind: str, dtype: type) -> Callable[[int], tuple[str, bytes]]:
    def make(number: int) -> tuple[str, bytes]:
        values = np.asarray(draw(number).convert("L")).astype(np.float64) / 255 * (1 if dtype is np.float32 else 65535)
        out = io.BytesIO()
        Image.fromarray(values.astype(dtype)).save(out, kind)
        return kind.lower(), out.getvalue()
    return make


MAKERS = [
    saved("JPEG", quality=85), saved("JPEG", progressive=True), saved("JPEG", "L"), saved("JPEG", "CMYK"),
    saved("PNG"), saved("PNG", "RGBA"), saved("PNG", "LA"), saved("PNG", "P"), saved("PNG", "1"), saved("PNG", "L"),
    saved("PNG", "P", transparency=3), saved("WEBP"), saved("WEBP", "RGBA", lossless=True), saved("GIF", "P"),
    saved("GIF", "P", transparency=0), saved("BMP"), saved("BMP", "1"), saved("TIFF"), saved("TIFF", "CMYK"),
    saved("TIFF", "YCbCr"), saved("TIFF", "LAB"), saved("TIFF", "RGBA", compression="tiff_lzw"), saved("AVIF"),
    saved("AVIF", "RGBA"), saved("HEIC"), saved("MPO"), deep("PNG", np.uint16), deep("TIFF", np.uint16),
    deep("TIFF", np.int32), deep("TIFF", np.float32),
]


def large(turn: int, size: tuple[int, int]) -> bytes:
    """A photo over the limits, which both sides must read at the same fraction of its size."""
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = turn
    draw(turn, (80, 60)).resize(size).save(out, "JPEG", exif=exif)
    return out.getvalue()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("mixed")
    for label in ("cat", "dog"):
        (root / label).mkdir()
    for number in range(N - 2):
        suffix, data = MAKERS[number % len(MAKERS)](number)
        (root / ("cat", "dog")[number % 2] / f"{number:03}.{suffix}").write_bytes(data)
    (root / "cat" / "large.jpg").write_bytes(large(1, (9000, 6500)))  # 58 megapixels
    (root / "dog" / "turned.jpg").write_bytes(large(6, (7000, 6000)))  # 42, and twice the memory
    return Dataset(root)


@pytest.mark.parametrize("full_decode", [False, True], ids=["at a fraction", "in full"])
def test_500_pictures_are_the_same_in_training_and_in_the_app(mixed: Dataset, tmp_path: Path, full_decode: bool,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(mixed.images) == N and not mixed.report.skipped
    assert {record.format for record in mixed.images} == {"JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"}
    dls = shoebox.dataloaders(mixed, size_px=32, full_decode=full_decode)
    least_px = None if full_decode else 448
    classifier = shoebox.load_classifier(tiny_bundle(tmp_path / "bundle", least_px=least_px))
    page = classifier_app(classifier)
    answer, seen = classifier._run, []

    def watched(pixels: np.ndarray[Any, Any], more: tuple[str, ...] = ()) -> Any:
        seen.append(pixels[0])
        return answer(pixels, more)

    monkeypatch.setattr(classifier, "_run", watched)
    monkeypatch.setattr(classifier, "_shapes", False)  # the whole picture goes into the graph
    compared, sizes = 0, {}
    for side in (dls.train_ds, dls.valid_ds):
        for number, file in enumerate(side.items):
            trained_on = np.asarray(side[number][0])
            classifier.predict(file)
            page._on_picture(file.read_bytes(), file.name)
            predicted, uploaded = seen
            seen.clear()
            assert trained_on.shape == predicted.shape == uploaded.shape, file
            assert (trained_on == predicted).all() and (trained_on == uploaded).all(), file
            compared, sizes[file.name] = compared + 1, trained_on.shape
    assert compared == N
    whole = {"large.jpg": (3250, 4500, 3), "turned.jpg": (3500, 3000, 3)}  # at a half, for the limits' sake
    small = {"large.jpg": (813, 1125, 3), "turned.jpg": (875, 750, 3)}
    assert whole.items() <= sizes.items() if full_decode else small.items() <= sizes.items()


def test_the_comparison_would_notice(mixed: Dataset) -> None:
    """Pillow's plain way, which fastai takes, differs for a good part of the same files."""
    differing = 0
    for record in [record for record in mixed.images if record.format != "HEIF"][:200]:
        with Image.open(mixed.file(record.path)) as image:
            plain = np.asarray(image.convert("RGB"))
        ours = np.asarray(mixed.open_image(record.path))
        differing += plain.shape != ours.shape or bool((plain != ours).any())
    assert differing > 50
