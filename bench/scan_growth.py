"""How a scan grows: time per picture and peak memory of 1,000, 10,000 and 100,000 small pictures, and scanning again.

Each data set is read in a fresh process, with numpy and Pillow loaded before the clock starts. It adds a table to
bench/RESULTS.md. Run it with `python bench/scan_growth.py [numbers of pictures]`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from results import write_section

SIZES = (1_000, 10_000, 100_000)
ROUNDS = 3
SCAN = """
import resource, sys, time
from shoebox import Dataset
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
t = time.perf_counter(); ds = Dataset(sys.argv[1]); s = time.perf_counter() - t
print(s, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, len(ds.images))
"""


def draw(folder: Path, n: int) -> None:
    """Pictures of 48 x 36 in ten classes, each a smooth field of its own."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(n)
    for number in range(n):
        field = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8)).resize((48, 36), Image.Resampling.BICUBIC)
        path = folder / f"class-{number % 10}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        field.save(path, quality=90)


def scan(folder: Path) -> tuple[float, float]:
    """Seconds and peak memory in MB above what the imports took, in a fresh process."""
    done = subprocess.run([sys.executable, "-c", SCAN, str(folder)], capture_output=True, text=True, check=True)
    seconds, memory_mb, _ = map(float, done.stdout.split())
    return seconds, memory_mb


def main() -> None:
    """Scan each size, then again with nothing changed; print and keep the table."""
    sizes = [int(text) for text in sys.argv[1:]] or list(SIZES)
    lines = []
    for n in sizes:
        with tempfile.TemporaryDirectory() as name:
            draw(Path(name), n)
            first_s, first_mb = scan(Path(name))
            again = [scan(Path(name)) for _ in range(ROUNDS)]
        seconds = statistics.median(s for s, _ in again)
        lines.append(f"| {n:,} | {first_s:.1f} | {1e3 * first_s / n:.2f} | {first_mb:.0f} | {seconds:.2f} | "
                     f"{statistics.median(mb for _, mb in again):.0f} |")
        print(lines[-1], flush=True)
    write_section("Growth of a scan", (
        "Pictures of 48 x 36, fresh processes; memory is the peak above the imports. `python bench/scan_growth.py`\n\n"
        "| pictures | whole scan, s | per picture, ms | memory, MB | "
        f"again (median of {ROUNDS}), s | memory, MB |\n|---|---|---|---|---|---|\n" + "\n".join(lines)))


if __name__ == "__main__":
    main()
