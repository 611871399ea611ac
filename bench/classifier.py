"""The bundle's classifier against fastai's load_learner and against a bare ONNX session, for the same ResNet-18 at 224.

Every measurement of a start is a fresh process, in turns, so that a change of the machine's speed hits both; per
picture the two take turns within one process. Ratios are medians of pairs. `python bench/classifier.py [--rounds 7]`
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

from app_start import FASTAI, FRAME, SHOEBOX
from books_learner import books_learner
from results import cell, write_section

INT8 = SHOEBOX.replace("load_classifier(sys.argv[1])", 'load_classifier(sys.argv[1], precision="int8")')
SIZES = {"1600 x 1200": (1600, 1200), "4000 x 3000": (4000, 3000)}
N_PARITY = 500
BATCH = 32
LABELS = (("black", (40, 40, 50)), ("grizzly", (140, 90, 40)), ("teddy", (230, 190, 150)))


def make(folder):
    """A ResNet-18 trained for a moment on tinted noise: as a bundle with 8-bit weights and as export.pkl."""
    import numpy as np
    from PIL import Image

    import shoebox

    rng = np.random.default_rng(0)

    def photo(path, size, grain=(120, 160), colour=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 255, (*grain, 3), dtype=np.uint8)
        tint = Image.new("RGB", size, tuple(rng.integers(0, 255, 3).tolist()) if colour is None else colour)
        Image.blend(Image.fromarray(noise).resize(size), tint, 0.6).save(path, quality=85)
        return path

    for number in range(150):
        label, colour = LABELS[number % 3]
        photo(folder / "pictures" / label / f"{number}.jpg", (400, 300), colour=colour)
    for number in range(N_PARITY):
        photo(folder / "parity" / f"{number}.jpg", tuple(rng.integers(200, 900, 2).tolist()), (30, 40))
    photos = {name: photo(folder / f"{size[0]}.jpg", size) for name, size in SIZES.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learn = books_learner(folder / "pictures", batch_size=16)
        with learn.no_bar(), learn.no_logging():
            learn.fit(3, 1e-3)  # random weights that nothing was learned with are no match for 8 bits
        learn.export("export.pkl")
        report = shoebox.export(learn, shoebox.Dataset(folder / "pictures"), folder / "bundle", int8=True)
    print(report, file=sys.stderr)
    return folder / "bundle", folder / "export.pkl", photos


def start(body, model, photo):
    """One fresh process; both sides find their bytecode, as after an install."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run([sys.executable, "-c", FRAME.format(body=body), str(model), str(photo)], capture_output=True,
                          text=True, check=True)
    return json.loads(done.stdout.split("RESULT")[1])


def in_kernel(body, model, photo):
    """Peak MB of a Jupyter kernel in which the same cell ran."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    try:
        cell = f"import sys; sys.argv = ['', {str(model)!r}, {str(photo)!r}]\n{body}\nprint('label', label)"
        said = []
        client.execute_interactive(cell, timeout=300, output_hook=lambda m: said.append(m["content"].get("text", "")))
        assert any("label" in text for text in said), said
        text = Path(f"/proc/{manager.provisioner.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) / 1024
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def timed(ask, *args):
    """Milliseconds."""
    begin = time.perf_counter()
    ask(*args)
    return (time.perf_counter() - begin) * 1000


def per_picture(bundle, pickle, photos, rounds):
    """Ratios per size: to fastai's predict, and to a bare decode with a bare session; and batches to single ones."""
    import numpy as np
    import onnxruntime
    from PIL import Image

    import shoebox
    from shoebox.bundle._shape import shaped

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastai.vision.all import load_learner

        learn = load_learner(pickle)
    classifier, small = (shoebox.load_classifier(bundle, precision=p) for p in ("full", "int8"))
    session = onnxruntime.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])

    def bare(photo):
        with Image.open(photo) as image:
            pixels = np.asarray(image.convert("RGB"))[None]
        session.run(["probabilities"], {"image": pixels})

    def barest(photo):
        with Image.open(photo) as image:
            pixels = np.asarray(shaped(image.convert("RGB"), classifier.manifest.preprocessing))[None]
        session.run(["probabilities"], {"image": pixels})

    rows = []
    for name, photo in photos.items():
        found = []
        with learn.no_bar(), learn.no_logging():
            for number in range(3 * rounds + 1):
                pair = [timed(ask, photo) for ask in (classifier.predict, learn.predict, bare, small.predict, barest)]
                if number:
                    found.append(pair)
        for words, a, b in (("against learn.predict", 0, 1), ("against a bare decode and run", 0, 2),
                            ("against a bare decode, Pillow's resize and a bare run", 0, 4),
                            ("8-bit against learn.predict", 3, 1)):
            rows.append((f"a picture of {name}, {words}, ms", [r[a] for r in found], [r[b] for r in found]))
        rows += parts(classifier, learn, name, photo, 3 * rounds)
    def one_by_one(photos):
        for photo in photos:
            classifier.predict(photo)

    many, pairs = [photos["1600 x 1200"]] * BATCH, []
    for turn in range(rounds + 1):
        pair = BATCH / timed(classifier.predict_many, many) * 1000, BATCH / timed(one_by_one, many) * 1000
        pairs += [pair] if turn else []
    rows.append((f"{BATCH} pictures of 1600 x 1200 at once against one by one, pictures/s", [p[0] for p in pairs],
                 [p[1] for p in pairs]))
    return rows, parity(learn, classifier, small, photos["1600 x 1200"].parent / "parity")


def parts(classifier, learn, name, photo, rounds):
    """What each side spends on decoding, on resizing and on the network: no answer can take less than these."""
    import numpy as np
    import torch
    from fastai.vision.all import PILImage, Resize

    from shoebox.bundle._shape import shaped
    from shoebox.data import open_image

    opened, theirs, resize = open_image(photo), PILImage.create(photo), Resize(224)
    steps, threads = classifier.manifest.preprocessing, classifier.threads
    pixels = np.asarray(shaped(opened, steps))[None]
    planes = torch.zeros(1, 3, 224, 224)
    learn.model.eval()

    def network():
        with torch.inference_mode():
            learn.model(planes)

    both = {"decoding": (lambda: open_image(photo), lambda: PILImage.create(photo)),
            "crop and resize": (lambda: shaped(opened, steps, threads=threads), lambda: resize(theirs, split_idx=1)),
            "the network": (lambda: classifier._run(pixels), network)}
    rows = []
    for words, pair in both.items():
        found = [[timed(ask) for ask in pair] for _ in range(rounds + 1)][1:]
        rows.append((f"of it {words}, {name}, ms", [r[0] for r in found], [r[1] for r in found]))
    return rows


def parity(learn, classifier, small, folder):
    """Largest difference of a probability, and labels that differ, over 500 pictures from file to probability."""
    files = sorted(folder.iterdir())
    with learn.no_bar(), learn.no_logging():
        expected = [learn.predict(file)[2].numpy() for file in files]
    vocab = list(learn.dls.vocab)
    lines = []
    for name, asked in (("full precision", classifier), ("8-bit weights", small)):
        answers = asked.predict_many(files)
        worst = max(abs(a.probabilities[c] - float(e[vocab.index(c)])) for a, e in zip(answers, expected, strict=True)
                    for c in vocab)
        other = sum(a.label != vocab[int(e.argmax())] for a, e in zip(answers, expected, strict=True))
        lines.append(f"Parity of {name} with `learn.predict` on {len(files)} pictures: largest difference of a "
                     f"probability {worst:.2g}, {other} labels differ.")
    return lines


def main():
    """Run everything and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dry", action="store_true", help="leave RESULTS.md alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bundle, pickle, photos = make(Path(name))
        photo, rows = photos["1600 x 1200"], []
        starts = [[start(SHOEBOX, bundle, photo), start(FASTAI, pickle, photo), start(INT8, bundle, photo)]
                  for _ in range(options.rounds + 1)][1:]
        rows += [("import to first answer, s", *([r[i]["first_s"] for r in starts] for i in (0, 1))),
                 ("import to first answer, 8-bit, s", *([r[i]["first_s"] for r in starts] for i in (2, 1))),
                 ("peak memory, MB", *([r[i]["peak_mb"] for r in starts] for i in (0, 1))),
                 ("peak memory, 8-bit, MB", *([r[i]["peak_mb"] for r in starts] for i in (2, 1)))]
        kernels = [[in_kernel(body, model, photo) for body, model in ((SHOEBOX, bundle), (FASTAI, pickle),
                                                                      (INT8, bundle))] for _ in range(3)]
        rows += [("peak memory of a Jupyter kernel, MB", *([r[i] for r in kernels] for i in (0, 1))),
                 ("peak memory of a Jupyter kernel, 8-bit, MB", *([r[i] for r in kernels] for i in (2, 1)))]
        more, same = per_picture(bundle, pickle, photos, options.rounds)
    lines = ["| figure | ours, median (min to max) | other, median (min to max) | ratio, median of pairs |",
             "|---|---|---|---|"]
    for words, a, b in rows + more:
        ratio = statistics.median(x / y for x, y in zip(a, b, strict=True))
        lines.append(f"| {words} | {cell(a)} | {cell(b)} | {ratio:.3f} |")
    write_section("The classifier against load_learner", (
        f"ResNet-18 at 224, trained for a moment; {options.rounds} rounds in turn. `python bench/classifier.py`\n\n"
        + "\n".join(lines) + "\n\n" + "\n".join(same)), keep=not options.dry)


if __name__ == "__main__":
    main()
