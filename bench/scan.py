"""Scanning photographs: ours (hash, pHash, quality numbers, thumbnail, catalog) against fastai's verify_images.

fastai only checks that the files open. Both run on the same files, in turn, each in a fresh process. It adds a
table to bench/RESULTS.md. Run it with `python bench/scan.py [number of photographs]`.
"""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS = 5
OURS = "import sys, time; from shoebox import Dataset; t = time.perf_counter(); Dataset(sys.argv[1])"
AGAIN = OURS
THEIRS = """
import warnings; warnings.simplefilter("ignore")
import sys, time
from fastai.vision.all import get_image_files, verify_images
t = time.perf_counter(); assert not verify_images(get_image_files(sys.argv[1]))
"""
END = "\nprint(time.perf_counter() - t)"


def draw(folder: Path, n: int) -> None:
    """Photographs of 1600 x 1200: enlarged crops of scikit-learn's two, each another one."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_image

    rng = np.random.default_rng(0)
    images = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    for number in range(n):
        image = images[number % 2]
        x, y = int(rng.integers(0, image.width - 320)), int(rng.integers(0, image.height - 240))
        path = folder / ("china", "flower")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.crop((x, y, x + 320, y + 240)).resize((1600, 1200), Image.Resampling.BICUBIC).save(path, quality=88)


def seconds(code: str, folder: Path) -> float:
    """One fresh process."""
    done = subprocess.run([sys.executable, "-c", code + END, str(folder)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Take turns, print medians with their spread and the ratio, and add the table to RESULTS.md."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photos"
        draw(folder, n)
        ours, again, theirs = [], [], []
        for number in range(ROUNDS + 1):
            shutil.rmtree(folder / ".shoebox", ignore_errors=True)
            row = seconds(OURS, folder), seconds(AGAIN, folder), seconds(THEIRS, folder)
            if number:  # the first round warms the disk's cache
                for values, value in zip((ours, again, theirs), row, strict=True):
                    values.append(value)
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))

    def cell(values: list[float]) -> str:
        return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"

    text = (f"\n## Scan of {n} photographs of 1600 x 1200 ({datetime.date.today()})\n\n{ROUNDS} rounds in turn, fresh "
            f"processes; {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}. "
            f"`python bench/scan.py {n}`\n\n"
            "| figure | seconds, median (min to max) |\n|---|---|\n"
            f"| whole scan | {cell(ours)} |\n| scan again, nothing changed | {cell(again)} |\n"
            f"| fastai verify_images | {cell(theirs)} |\n\nWhole scan / verify_images, median of pairs: {ratio:.2f}\n")
    print(text)
    results = Path(__file__).parent / "RESULTS.md"
    results.write_text((results.read_text("utf-8") if results.exists() else "# Measured\n") + text, "utf-8")


if __name__ == "__main__":
    main()
