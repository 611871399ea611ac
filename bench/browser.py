"""The same model.onnx in a browser: onnxruntime-web in Chromium against the classifier in Python.

Pixels that Python decoded go through both, so that only the graph and its runtime differ; then the files themselves, as
the browser decodes them. Needs npm, which fetches onnxruntime-web, and Chromium on the PATH; adds a table to
bench/RESULTS.md. `python bench/browser.py [pictures]`.
"""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from results import cell, write_section  # noqa: E402

VERSION = "1.30.0"
PARTS = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
SETS = {"full": "model.onnx", "8 bits": "model.int8.onnx"}
PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
import * as ort from "./ort.wasm.min.mjs";
ort.env.wasm.wasmPaths = `${location.origin}/`;
ort.env.wasm.numThreads = 1;
let session;
window.open_model = async (name) => {
  const start = performance.now();
  session = await ort.InferenceSession.create(name);
  return performance.now() - start;
};
const run = async (pixels, width, height) => {
  const start = performance.now();
  const { probabilities } = await session.run({ image: new ort.Tensor("uint8", pixels, [1, height, width, 3]) });
  return { probabilities: [...probabilities.data], ms: performance.now() - start };
};
window.answer_pixels = async (name, width, height) => (
  run(new Uint8Array(await (await fetch(name)).arrayBuffer()), width, height));
window.answer_file = async (name) => {
  const picture = await createImageBitmap(await (await fetch(name)).blob());
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, picture.width, picture.height);
  const pixels = new Uint8Array(picture.width * picture.height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    pixels[to++] = data[from];
    pixels[to++] = data[from + 1];
    pixels[to++] = data[from + 2];
  }
  return run(pixels, picture.width, picture.height);
};
window.is_there = true;
</script>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def guess_type(self, path: Any) -> str:
        """As browsers want them, whatever this machine's tables say."""
        types = {".mjs": "text/javascript", ".wasm": "application/wasm"}
        return types.get(Path(path).suffix) or super().guess_type(path)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder at an address of this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def fetch_runtime(folder: Path) -> None:
    """The three files of onnxruntime-web that a page needs, by npm."""
    subprocess.run(["npm", "pack", "--silent", f"onnxruntime-web@{VERSION}"], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    with tarfile.open(next(folder.glob("onnxruntime-web-*.tgz"))) as archive:
        for part in PARTS:
            member = archive.extractfile(f"package/dist/{part}")
            assert member is not None
            (folder / part).write_bytes(member.read())


def draw_pictures(folder: Path, n: int) -> list[str]:
    """Cuts of two photographs, of many sizes and shapes, upright, lying and tiny, as JPEG."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    rng, names = np.random.default_rng(0), []
    photographs = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    for number in range(n):
        photograph = photographs[number % 2]
        width, height = int(rng.integers(60, 640)), int(rng.integers(60, 427))
        left, top = int(rng.integers(0, 641 - width)), int(rng.integers(0, 428 - height))
        scale = float(rng.uniform(0.5, 3))
        cut = photograph.crop((left, top, left + width, top + height))
        cut = cut.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BICUBIC)
        names.append(f"{number:03}.jpg")
        cut.save(folder / names[-1], quality=90)
    return names


def make_bundle(folder: Path) -> Path:
    """A ResNet-18 that has learned a little from cuts of the two photographs."""
    import warnings

    import shoebox

    for label, first in (("china", 0), ("flower", 1)):
        (folder / "pictures" / label).mkdir(parents=True)
        (folder / "drawn").mkdir(exist_ok=True)
        for name in draw_pictures(folder / "drawn", 120)[first::2]:
            shutil.copy(folder / "drawn" / name, folder / "pictures" / label / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastai.vision.all import resnet18

        shoebox.seed_everything(0)
        ds = shoebox.Dataset(folder / "pictures")
        learn = shoebox.vision_learner(shoebox.dataloaders(ds), resnet18, pretrained=False)
        with learn.no_bar():
            learn.fit_one_cycle(1, 1e-4)  # less sure than larger steps make it, so that differences can be seen
        shoebox.export(learn, ds, folder / "bundle", name="bench", int8=True)
    return folder / "bundle"


def compare(page: Page, site: Path, names: list[str], bundle: Path, precision: str) -> dict[str, Any]:
    """Answers of both for every picture, and how long they took."""
    from shoebox import load_classifier, open_image

    classifier = load_classifier(bundle, precision="full" if precision == "full" else "int8",
                                 threads=1)
    shutil.copy(bundle / SETS[precision], site / SETS[precision])
    found: dict[str, Any] = {"open": page.evaluate("(name) => window.open_model(name)", SETS[precision]), "pixels": [],
                             "file": [], "labels": [0, 0], "ms": [], "ours": [], "sure": []}
    for name in names:
        picture = open_image(site / name)
        (site / "pixels.bin").write_bytes(np.asarray(picture, np.uint8).tobytes())
        start = time.perf_counter()
        own = classifier.raw(picture)["probabilities"]
        found["ours"].append((time.perf_counter() - start) * 1000)
        found["sure"].append(float(own.max()))
        told = page.evaluate("([name, width, height]) => window.answer_pixels(name, width, height)",
                             [f"pixels.bin?{name}", *picture.size])
        drawn = page.evaluate("(name) => window.answer_file(name)", name)
        found["ms"].append(told["ms"])
        for place, (way, reply) in enumerate((("pixels", told), ("file", drawn))):
            there = np.asarray(reply["probabilities"])
            found[way].append(float(np.abs(there - own).max()))
            found["labels"][place] += int(there.argmax() != own.argmax())
    return found


def main() -> None:
    """Make everything, compare, print, and keep the table."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder, site = Path(name), Path(name) / "site"
        site.mkdir()
        fetch_runtime(site)
        (site / "index.html").write_text(PAGE, "utf-8")
        bundle, names = make_bundle(folder), draw_pictures(site, n)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        with served(site) as url:
            page = browser.new_page()
            page.goto(url)
            page.wait_for_function("window.is_there === true")
            shutil.copy(bundle / SETS["8 bits"], site / "first.onnx")
            page.evaluate("() => window.open_model('first.onnx')")  # the runtime itself is loaded with it
            rows = {precision: compare(page, site, names, bundle, precision) for precision in SETS}
            size_mb = sum((site / part).stat().st_size for part in PARTS) / 1e6
        browser.close()
    lines = [f"onnxruntime-web {VERSION} ({size_mb:.1f} MB of files) in Chromium against onnxruntime in Python, one "
             f"thread each and all outputs; ResNet-18 at 224 of a moment's training; {n} JPEGs of many sizes. Resize, "
             f"crop and normalisation are the graph's own on both sides. `python bench/browser.py {n}`\n",
             "| figure | full | 8 bits |", "|---|---|---|"]
    figures = {
        "probability of the answer in Python, median (min to max)": lambda row: cell(row["sure"], 3),
        "same pixels: largest difference of a probability": lambda row: f"{max(row['pixels']):.2g}",
        "same pixels: other labels": lambda row: f"{row['labels'][0]}",
        "decoded by the browser: largest difference": lambda row: f"{max(row['file']):.2g}",
        "decoded by the browser: other labels": lambda row: f"{row['labels'][1]}",
        "opening the model in the browser, its runtime loaded, ms": lambda row: f"{row['open']:,.0f}",
        "an answer in the browser, ms": lambda row: cell(row["ms"], 0),
        "the same graph in Python, ms": lambda row: cell(row["ours"], 0)}
    lines += [f"| {words} | {' | '.join(told(rows[precision]) for precision in SETS)} |"
              for words, told in figures.items()]
    write_section("A bundle's graph in a browser", "\n".join(lines))


if __name__ == "__main__":
    main()
