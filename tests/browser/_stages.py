"""Notebooks of the app with a classifier of the test's own, which also says where it looked and what is plausible."""

from __future__ import annotations

import json
from pathlib import Path

CLASSIFIER = '''
import numpy as np
from types import SimpleNamespace
from shoebox.apps import classifier_app
from shoebox.types import Prediction

class Colours:
    """Red, green or blue; grey is none of them; yellow is red or green, and black is not sure to be any."""

    classes = CLASSES
    manifest = SimpleNamespace(name=NAME, created="2025-11-20T10:00:00+00:00",
                               metrics={"accuracy": 0.975, "n_images": 40})

    def predict(self, image, *, explain=False):
        pixels = np.asarray(image, float)
        mean = pixels.reshape(-1, 3).mean(0)
        shares = (mean + 1) / (mean + 1).sum()
        order = np.argsort(-shares, kind="stable")
        ranked = {self.classes[n]: float(shares[n]) for n in order}
        best = self.classes[order[0]]
        grey, black = mean.max() - mean.min() < 20, mean.max() < 20
        plausible = () if black else tuple(self.classes[n] for n in order if shares[n] > 0.4)
        heatmap = (pixels.max(2) / 255).astype(np.float32) if explain else None
        answer = Prediction(best, ranked[best], ranked, known=bool(not grey or black),
                            p_value=0.004 if grey and not black else 0.5)
        return SimpleNamespace(**{**vars(answer), "top": answer.top, "label_set": plausible, "heatmap": heatmap})
'''


def write_stage(folder: Path, arguments: str, *, classes: tuple[str, ...] = ("red", "green", "blue"),
                name: str = "colours") -> Path:
    """`folder/notebooks/app.ipynb` with `classifier_app(Colours(), <arguments>)`."""
    source = CLASSIFIER.replace("CLASSES", repr(classes)).replace("NAME", repr(name))
    source += f"\nclassifier_app(Colours(), {arguments})"
    cell = {"cell_type": "code", "execution_count": None, "id": "one", "metadata": {}, "outputs": [], "source": source}
    path = folder / "notebooks" / "app.ipynb"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"cells": [cell], "metadata": {"title": "Colours"}, "nbformat": 4, "nbformat_minor": 5}))
    return path
