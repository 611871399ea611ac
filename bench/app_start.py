"""From nothing to the first answer: a Shoebox bundle against fastai's load_learner, for the same network and picture.

Each run is a fresh process; the two take turns, so that a change of the machine's speed hits both. Run it with
`make bench`; it adds a table to bench/RESULTS.md.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from books_learner import books_learner
from results import cell, write_section

ROUNDS = 7
SHOEBOX = """
from shoebox import load_classifier
classifier = load_classifier(sys.argv[1])
answer = classifier.predict(sys.argv[2])
label = answer.label
again = lambda: classifier.predict(sys.argv[2])
"""
FASTAI = """
import warnings; warnings.simplefilter("ignore")
from fastai.vision.all import load_learner
learn = load_learner(sys.argv[1])
with learn.no_bar(): label = learn.predict(sys.argv[2])[0]
again = lambda: learn.predict(sys.argv[2])
"""
FRAME = r"""
import time; start = time.perf_counter()
import sys
{body}
first = time.perf_counter() - start
import json, re
# not ru_maxrss, which a child inherits from its parent
peak = int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) / 1024
times = []
for _ in range(10):
    begin = time.perf_counter(); again(); times.append(time.perf_counter() - begin)
print("RESULT" + json.dumps(dict(first_s=first, peak_mb=peak, next_ms=sorted(times)[5] * 1000, label=label)))
"""


def make_models(folder: Path, *, int8: bool = False) -> tuple[Path, Path, Path]:
    """A ResNet-18 of random weights as a bundle and as export.pkl, and a 1600 x 1200 photograph."""
    import numpy as np
    from PIL import Image

    import shoebox

    rng = np.random.default_rng(0)
    for label in ("black", "grizzly", "teddy"):
        for number in range(12):
            path = folder / "pictures" / label / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).resize((400, 300)).save(path)
    photo = folder / "photo.jpg"
    Image.fromarray(rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)).resize((1600, 1200)).save(photo, quality=85)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastai.vision.all import resnet18

        ds = shoebox.Dataset(folder / "pictures")
        learn = shoebox.vision_learner(shoebox.dataloaders(ds), resnet18, pretrained=False)
        shoebox.export(learn, ds, folder / "bundle", name="bench", int8=int8)
        plain = books_learner(folder / "pictures")
        plain.model.load_state_dict(learn.model.state_dict())
        plain.export("export.pkl")
    return folder / "bundle", folder / "export.pkl", photo


def run(body: str, model: Path, photo: Path) -> dict[str, float]:
    """One fresh process."""
    done = subprocess.run([sys.executable, "-c", FRAME.format(body=body), str(model), str(photo)], capture_output=True,
                          text=True, check=True)
    return json.loads(done.stdout.split("RESULT")[1])


def main() -> None:
    """Take turns, print medians with their spread and the ratios, and add the table to RESULTS.md."""
    with tempfile.TemporaryDirectory() as name:
        bundle, pickle, photo = make_models(Path(name))
        ours, theirs = [], []
        for number in range(ROUNDS + 1):
            pair = run(SHOEBOX, bundle, photo), run(FASTAI, pickle, photo)
            assert pair[0].pop("label") == pair[1].pop("label")
            if number:  # the first round warms the disk's cache
                ours.append(pair[0])
                theirs.append(pair[1])
    lines = ["| figure | Shoebox median (min to max) | fastai median (min to max) | ratio, median of pairs |",
             "|---|---|---|---|"]
    names = {"first_s": "import to first answer, s", "peak_mb": "peak memory at the first answer, MB",
             "next_ms": "a further answer, ms"}
    for key, words in names.items():
        a, b = [r[key] for r in ours], [r[key] for r in theirs]
        ratio = statistics.median(x / y for x, y in zip(a, b, strict=True))
        lines.append(f"| {words} | {cell(a)} | {cell(b)} | {ratio:.3f} |")
    write_section("App start: a bundle against load_learner", (
        f"ResNet-18 with random weights, one 1600 x 1200 JPEG, {ROUNDS} fresh processes each in turn. "
        "`python bench/app_start.py`\n\n" + "\n".join(lines)))


if __name__ == "__main__":
    main()
