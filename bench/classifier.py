"""The bundle's classifier against fastai's load_learner and against a bare ONNX session, for the same ResNet-18 at 224.

Theirs is the book's learner (`PILImage.create`, every picture decoded in full) as `export.pkl`; ours is the bundle of
a learner with the same weights whose pictures came through `shoebox.dataloaders`, large JPEGs decoded at a fraction.
Parity is between that learner and its bundle; how far the fraction moves probabilities is told beside it.

Every measurement of a start is a fresh process, in turns, so that a change of the machine's speed hits both. Per
picture each side answers in a process of its own, as it does when it is used, and they take turns with a pause between:
the threads of the one that has just answered still wait, spinning, on the processors that the next one needs. Ratios
are medians of pairs. `python bench/classifier.py [--rounds 7]`
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
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
PAUSE_S = 0.2  # before each question, so that nothing of the side that was asked last still runs
LABELS = (("black", (40, 40, 50)), ("grizzly", (140, 90, 40)), ("teddy", (230, 190, 150)))


def make(folder):
    """A ResNet-18 trained for a moment on tinted noise.

    Its bundle with 8-bit weights and its own `ours.pkl`, and the book's `export.pkl` with the same weights.
    """
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
    for number in range(N_PARITY):  # coarse and fine grain, half of them large enough for a fraction
        photo(folder / "parity" / f"{number}.jpg", tuple(rng.integers(300, 2400, 2).tolist()),
              ((30, 40), (240, 320))[number % 2])
    photos = {name: photo(folder / f"{size[0]}.jpg", size) for name, size in SIZES.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastai.vision.all import resnet18

        ds = shoebox.Dataset(folder / "pictures")
        dls = shoebox.dataloaders(ds, augment=False, batch_size=16)
        learn = shoebox.vision_learner(dls, resnet18, pretrained=False)
        with learn.no_bar(), learn.no_logging():
            learn.fit(3, 1e-3)  # random weights that nothing was learned with are no match for 8 bits
        learn.path = folder
        learn.export("ours.pkl")
        book = books_learner(folder / "pictures", batch_size=16)
        assert list(book.dls.vocab) == list(learn.dls.vocab)
        book.model.load_state_dict(learn.model.state_dict())
        book.export("export.pkl")
        report = shoebox.export(learn, ds, folder / "bundle", int8=True)
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


def opened(pickle):
    """A learner, quietly."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastai.vision.all import load_learner

        return load_learner(pickle)


def our_asks(bundle, photos, precision="full"):
    """What our side can be asked: an answer, its parts, and 32 answers at once and one by one."""
    import numpy as np

    import shoebox
    from shoebox.bundle._shape import shaped

    classifier = shoebox.load_classifier(bundle, precision=precision)
    steps, threads, least_px = classifier.manifest.preprocessing, classifier.threads, classifier.least_px
    images = {photo: shoebox.open_image(photo, least_px=least_px) for photo in photos}
    pixels = np.asarray(shaped(images[photos[0]], steps))[None]

    def one_by_one(photo):
        for _ in range(BATCH):
            classifier.predict(photo)

    return {"answer": classifier.predict, "decoding": lambda photo: shoebox.open_image(photo, least_px=least_px),
            "crop and resize": lambda photo: shaped(images[photo], steps, threads=threads),
            "the network": lambda photo: classifier._run(pixels),
            "at once": lambda photo: classifier.predict_many([photo] * BATCH), "one by one": one_by_one}


def their_asks(pickle, photos):
    """What fastai's side can be asked."""
    import torch
    from fastai.vision.all import PILImage, Resize

    learn, resize = opened(pickle), Resize(224)
    images = {photo: PILImage.create(photo) for photo in photos}
    planes = torch.zeros(1, 3, 224, 224)
    learn.model.eval()

    def answer(photo):
        with learn.no_bar(), learn.no_logging():
            learn.predict(photo)

    def network(photo):
        with torch.inference_mode():
            learn.model(planes)

    return {"answer": answer, "decoding": PILImage.create, "the network": network,
            "crop and resize": lambda photo: resize(images[photo], split_idx=1)}


def bare_asks(bundle, photos):
    """Pillow and onnxruntime as they come: whole into the graph, with Pillow's resize, at the fraction."""
    import numpy as np
    import onnxruntime
    from PIL import Image

    from shoebox.bundle import inspect
    from shoebox.bundle._shape import shaped

    session = onnxruntime.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])
    steps = inspect(bundle).preprocessing

    def run(image):
        session.run(["probabilities"], {"image": np.asarray(image)[None]})

    def whole(photo):
        with Image.open(photo) as image:
            run(image.convert("RGB"))

    def small(photo):
        with Image.open(photo) as image:
            run(shaped(image.convert("RGB"), steps))

    def fraction(photo):
        with Image.open(photo) as image:
            shrink = max(s for s in (1, 2, 4, 8) if s == 1 or min(image.size) / s >= steps.least_px)
            image.draft("RGB", (image.width // shrink, image.height // shrink))
            run(shaped(image.convert("RGB"), steps))

    return {"whole": whole, "small": small, "fraction": fraction}


def serve(pipe, make_asks, *args):
    """A process of one side: answers (what, photo) with milliseconds until it hears None."""
    asks = make_asks(*args)
    pipe.send("ready")
    while (asked := pipe.recv()) is not None:
        pipe.send(timed(asks[asked[0]], asked[1]))


class Side:
    """One side in a process of its own."""

    def __init__(self, make_asks, *args):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, make_asks, *args), daemon=True)
        self._process.start()
        self._pipe.recv()

    def __call__(self, what, photo):
        """Milliseconds, after a pause."""
        time.sleep(PAUSE_S)
        self._pipe.send((what, photo))
        return self._pipe.recv()

    def close(self):
        """Let it end."""
        self._pipe.send(None)
        self._process.join()


def per_picture(bundle, pickle, photos, rounds):
    """Ratios per size: to fastai's predict, and to a bare decode with a bare session; and batches to single ones."""
    files = list(photos.values())
    ours, theirs, bare, small = (Side(*args) for args in (
        (our_asks, bundle, files), (their_asks, pickle, files), (bare_asks, bundle, files),
        (our_asks, bundle, files, "int8")))
    rows = []
    for name, photo in photos.items():
        found = []
        for number in range(3 * rounds + 1):
            turn = {"ours": ours("answer", photo), "theirs": theirs("answer", photo), "8-bit": small("answer", photo),
                    **{what: bare(what, photo) for what in ("whole", "small", "fraction")}}
            found += [turn] if number else []
        for words, a, b in (("against learn.predict", "ours", "theirs"),
                            ("against a bare decode and run", "ours", "whole"),
                            ("against a bare decode, Pillow's resize and a bare run", "ours", "small"),
                            ("the same at the same fraction", "ours", "fraction"),
                            ("8-bit against learn.predict", "8-bit", "theirs")):
            rows.append((f"a picture of {name}, {words}, ms", [r[a] for r in found], [r[b] for r in found]))
        for words in ("decoding", "crop and resize", "the network"):
            pairs = [(ours(words, photo), theirs(words, photo)) for _ in range(3 * rounds + 1)][1:]
            rows.append((f"of it {words}, {name}, ms", [p[0] for p in pairs], [p[1] for p in pairs]))
    photo = photos["1600 x 1200"]
    pairs = [(BATCH / ours("at once", photo) * 1000, BATCH / ours("one by one", photo) * 1000)
             for _ in range(rounds + 1)][1:]
    rows.append((f"{BATCH} pictures of 1600 x 1200 at once against one by one, pictures/s", [p[0] for p in pairs],
                 [p[1] for p in pairs]))
    for side in (ours, theirs, bare, small):
        side.close()
    return rows


def parity(bundle, pickle):
    """Largest difference of a probability, and labels that differ, over 500 pictures from file to probability.

    To the learner that the bundle was made of, and to the book's, which decodes in full.
    """
    import numpy as np

    import shoebox

    files = sorted((bundle.parent / "parity").iterdir())
    classifier, small = (shoebox.load_classifier(bundle, precision=p) for p in ("full", "int8"))
    said = {}
    for name, path in (("learner", bundle.parent / "ours.pkl"), ("book", pickle)):
        learn = opened(path)
        assert tuple(learn.dls.vocab) == classifier.classes
        with learn.no_bar(), learn.no_logging():
            said[name] = np.stack([learn.predict(file)[2].numpy() for file in files])
    for name, asked in (("full", classifier), ("8-bit", small)):
        said[name] = np.asarray([[a.probabilities[c] for c in classifier.classes] for a in asked.predict_many(files)])
    smaller = sum(min(shoebox.open_image(file, least_px=classifier.least_px).size) * 1.5
                  < min(shoebox.open_image(file).size) for file in files)

    def differ(a, b):
        worst, mean = np.abs(said[a] - said[b]).max(), np.abs(said[a] - said[b]).mean()
        other = int((said[a].argmax(axis=1) != said[b].argmax(axis=1)).sum())
        return f"largest difference of a probability {worst:.2g} (mean {mean:.2g}), {other} labels differ."

    return [f"Parity of the bundle with its learner on {len(files)} pictures, {smaller} of them decoded at a fraction: "
            + differ("full", "learner"),
            f"Parity of 8-bit weights with the learner on the same pictures: {differ('8-bit', 'learner')}",
            "What the fraction does, the learner's own answers against those of the book's with the same weights, "
            f"which decodes in full: {differ('learner', 'book')}"]


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
        more, same = per_picture(bundle, pickle, photos, options.rounds), parity(bundle, pickle)
    lines = ["| figure | ours, median (min to max) | other, median (min to max) | ratio, median of pairs |",
             "|---|---|---|---|"]
    for words, a, b in rows + more:
        ratio = statistics.median(x / y for x, y in zip(a, b, strict=True))
        lines.append(f"| {words} | {cell(a)} | {cell(b)} | {ratio:.3f} |")
    write_section("The classifier against load_learner", (
        f"ResNet-18 at 224, trained for a moment; {options.rounds} rounds in turn, pictures three times as often. "
        "Theirs is the book's learner (`PILImage.create`, every picture decoded in full) as `export.pkl`; ours the "
        "bundle of a learner with the same weights through `shoebox.dataloaders`, which decodes a large JPEG at a "
        "fraction, as its bundle does. Each side in a process of its own, asked in turn after a pause of "
        f"{PAUSE_S} s. `python bench/classifier.py`\n\n"
        + "\n".join(lines) + "\n\n" + "\n".join(same)), keep=not options.dry)


if __name__ == "__main__":
    main()
