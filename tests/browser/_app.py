"""What the browser tests of the app share: a small bundle, the page as a person sees it, pictures, and kernels."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
from _servers import Server
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from shoebox.bundle import Manifest
from shoebox.bundle._records import DatasetRecord, FileRecord, Parity, Preprocessing

BLUE = "<b onclick=window.hacked=1>blue</b>"
GREEN = "зелёный"

CLASSES = ("red", GREEN, BLUE)
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "app.ipynb"  # the one that is shipped

# A whole model, if a small one: how red, green and blue the upper half of the picture is, as three shares.
GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
colours (uint8[N, H, W, 3] image) => (float[N, 3] probabilities) {
    zero = Constant<value = int64[1] {0}>()
    one = Constant<value = int64[1] {1}>()
    two = Constant<value = int64[1] {2}>()
    sides = Constant<value = int64[2] {1, 2}>()
    faint = Constant<value = float[1] {1.0}>()
    pixels = Cast<to = 1>(image)
    height = Shape<start = 1, end = 2>(image)
    half = Div(height, two)
    end = Max(half, one)
    upper = Slice(pixels, zero, end, one)
    mean = ReduceMean<keepdims = 0>(upper, sides)
    parts = Add(mean, faint)
    total = ReduceSum<keepdims = 1>(parts, one)
    probabilities = Div(parts, total)
}
"""


def write_bundle(folder: Path, card: bytes = b"# Colours\n") -> Path:
    """A whole bundle that tells red, green and blue."""
    folder.mkdir()
    model = onnx.parser.parse_model(GRAPH).SerializeToString()
    files = {"model.onnx": model, "MODEL_CARD.md": card}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    records = {name: FileRecord(hashlib.sha256(data).hexdigest(), len(data)) for name, data in files.items()}
    manifest = Manifest(
        protocol=2, name="colours", created="2025-11-20T10:00:00+00:00", classes=CLASSES,
        preprocessing=Preprocessing("squish", (8, 8), (8, 8)), temperature=1.0,
        metrics={"accuracy": 0.975, "n_images": 40}, parity=Parity(40, 0.0, 1e-4, 40),
        dataset=DatasetRecord("0" * 64, dict.fromkeys(CLASSES, 20)), versions={"shoebox": "0.1.0"}, files=records)
    (folder / "manifest.json").write_bytes(manifest.to_json())
    return folder


class Card:
    """What a person can see and do on the page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator(".sbx-app")
        self.status = page.get_by_role("status").and_(page.locator(".sbx-status"))
        self.answer = page.get_by_role("article", name="Answer")
        self.input = page.locator("input[type=file]:not(.sbx-camera)")

    def open(self, url: str) -> Card:
        self.page.goto(url, wait_until="commit")
        self.expect_state("ready")
        return self

    def choose(self, data: bytes, name: str = "picture.jpg", kind: str = "image/jpeg") -> Card:
        self.input.set_input_files({"name": name, "mimeType": kind, "buffer": data})
        return self

    def choose_several(self, pictures: dict[str, bytes]) -> Card:
        self.input.set_input_files([{"name": name, "mimeType": "image/jpeg", "buffer": data}
                                    for name, data in pictures.items()])
        return self

    def expect_state(self, state: str, timeout_s: float = 30) -> None:
        expect(self.root).to_have_attribute("data-state", state, timeout=timeout_s * 1000)

    def expect_answer(self, label: str) -> Locator:
        self.expect_state("done")
        expect(self.answer.get_by_role("heading")).to_have_text(label)
        return self.answer

    def expect_sentence(self, words: str, timeout_s: float = 30) -> None:
        self.expect_state("error", timeout_s)
        expect(self.status).to_contain_text(words)
        expect(self.answer).to_be_hidden()


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def plain(colour: str | tuple[int, int, int] = "red", size: tuple[int, int] = (320, 240)) -> bytes:
    return encode(Image.new("RGB", size, colour))


def photo(width: int = 4300, height: int = 3225) -> bytes:
    """As large as a phone's: noise, as nothing compresses worse, with a red cast."""
    pixels = np.random.default_rng(0).integers(0, 200, (height, width, 3), np.uint8)
    pixels[..., 0] += 50
    return encode(Image.fromarray(pixels), quality=93)


def sideways(width: int, height: int) -> bytes:
    """Stored lying on its side; upright, its upper half is blue and its lower half red."""
    upright = Image.new("RGB", (width, height), "red")
    upright.paste("blue", (0, 0, width, height // 2))
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(upright.transpose(Image.Transpose.ROTATE_90), exif=exif, quality=95)


def kernel_id(page: Page) -> str:
    return str(page.evaluate("JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId"))


def kernel_process(server: Server, kernel: str) -> psutil.Process:
    family = psutil.Process(server.process.pid).children(recursive=True)
    return next(process for process in family if kernel in " ".join(process.cmdline()))
