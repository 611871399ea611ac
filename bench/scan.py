"""Scanning photographs: ours (hash, pHash, quality numbers, thumbnail, catalog) against fastai's verify_images.

fastai only checks that the files open. Both run on the same files, in turn, each in a fresh process. There are two
kinds of photographs: smooth ones (enlarged crops as they are, 250 kB) and grainy ones (with the noise of a camera's
sensor, 400 kB), whose size is nearer to what cameras write. It adds a table to bench/RESULTS.md. Run it with
`python bench/scan.py [number of photographs]`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from results import cell, write_section

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


def draw(folder: Path, n: int, *, grain: float = 0.0) -> None:
    """Photographs of 1600 x 1200: enlarged crops of scikit-learn's two, each another one; `grain` of 255 as noise."""
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
        photo = image.crop((x, y, x + 320, y + 240)).resize((1600, 1200), Image.Resampling.BICUBIC)
        if grain:
            noise = rng.standard_normal((1200, 1600, 1), np.float32) * grain
            photo = Image.fromarray(np.clip(np.asarray(photo, np.float32) + noise, 0, 255).astype(np.uint8))
        photo.save(path, quality=88)


def seconds(code: str, folder: Path) -> float:
    """One fresh process."""
    done = subprocess.run([sys.executable, "-c", code + END, str(folder)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def measured(n: int, grain: float) -> list[str]:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photos"
        draw(folder, n, grain=grain)
        size_kb = sum(file.stat().st_size for file in folder.rglob("*.jpg")) / n / 1e3
        ours, again, theirs = [], [], []
        for number in range(ROUNDS + 1):
            shutil.rmtree(folder / ".shoebox", ignore_errors=True)
            row = seconds(OURS, folder), seconds(AGAIN, folder), seconds(THEIRS, folder)
            if number:  # the first round warms the disk's cache
                for values, value in zip((ours, again, theirs), row, strict=True):
                    values.append(value)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return [f"{'grainy' if grain else 'smooth'}, {size_kb:.0f} kB", *map(cell, (ours, again, theirs, ratios))]


def main() -> None:
    """Take turns, print medians with their spread and the ratio, and add the table to RESULTS.md."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rows = [measured(n, grain) for grain in (0.0, 4.0)]
    write_section("Scan of photographs of 1600 x 1200", (
        f"{n} photographs of each kind, {ROUNDS} rounds in turn, fresh processes; median (min to max), seconds. "
        f"`python bench/scan.py {n}`\n\n"
        "| photographs | whole scan | again, nothing changed | fastai verify_images | scan / verify_images |\n"
        "|---|---|---|---|---|\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)))


if __name__ == "__main__":
    main()
