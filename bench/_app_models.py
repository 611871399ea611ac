"""What bench/app.py measures with: a network as a bundle and as export.pkl, a photo, notebooks, memory, tables."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]

OURS = "import shoebox\nshoebox.app({model!r})"
SMALL = "import shoebox\nshoebox.app({model!r}, precision='int8')"
# As in the book's chapter 2, with what ipywidgets 8 needs to run it: `value[0].content` in place of `data[-1]`.
THEIRS = """
from fastai.vision.all import *
from fastai.vision.widgets import *
learn_inf = load_learner({model!r})
btn_upload = widgets.FileUpload(accept='image/*')
btn_run = widgets.Button(description='Classify')
out_pl = widgets.Output()
lbl_pred = widgets.Label()
def on_click_classify(change):
    img = PILImage.create(btn_upload.value[0].content.tobytes())
    out_pl.clear_output()
    with out_pl: display(img.to_thumb(128, 128))
    with learn_inf.no_bar(): pred, pred_idx, probs = learn_inf.predict(img)
    lbl_pred.value = f'Prediction: {{pred}}; Probability: {{probs[pred_idx]:.04f}}'
btn_run.on_click(on_click_classify)
VBox([widgets.Label('Select your bear!'), btn_upload, btn_run, out_pl, lbl_pred])
"""


@dataclass(frozen=True)
class Models:
    """Where everything lies."""

    folder: Path
    bundle: Path
    ours: Path
    theirs: Path
    photo: Path


def make_models(folder: Path) -> Models:
    """A ResNet-18 of random weights both ways, and a photo of 4032 x 3024 with the detail of a real one."""
    import numpy as np
    from app_start import make_models as both
    from PIL import Image
    from sklearn.datasets import load_sample_image

    bundle, pickle, _ = both(folder, int8=True)
    photo = folder / "IMG_0001.jpg"
    picture = Image.fromarray(load_sample_image("china.jpg")).resize((4032, 3024), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, 6, (3024, 4032, 1))
    Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)).save(photo, quality=90)
    return Models(folder, bundle, write_notebook(folder / "ours", OURS.format(model=str(bundle))),
                  write_notebook(folder / "theirs", THEIRS.format(model=str(pickle))), photo)


def write_notebook(folder: Path, source: str) -> Path:
    """A notebook of one cell in a folder of its own."""
    folder.mkdir()
    cell = {"cell_type": "code", "execution_count": None, "id": "one", "metadata": {}, "outputs": [], "source": source}
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (folder / "app.ipynb").write_text(json.dumps({
        "cells": [cell], "metadata": {"kernelspec": spec, "title": "Bears"}, "nbformat": 4, "nbformat_minor": 5}))
    return folder / "app.ipynb"


def kernels(pid: int) -> list[psutil.Process]:
    """The kernels below a server."""
    family = psutil.Process(pid).children(recursive=True)
    return [process for process in family if "ipykernel_launcher" in " ".join(process.cmdline())]


def memory_mb(process: psutil.Process) -> float:
    """Proportional memory, shared pages divided by those who share them, in MB."""
    return float(process.memory_full_info().pss) / 1e6
