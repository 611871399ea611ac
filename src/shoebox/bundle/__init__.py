"""The bundle: a model as data, not as code.

A bundle is a folder: `manifest.json` (what it is, and the SHA-256 of every file), `model.onnx` (from the pixels of a
picture of any size to probabilities, with resizing and normalisation inside) and `MODEL_CARD.md` (for people).

Here is the app's half: `inspect` reads what a bundle says of itself, `load_classifier` checks and loads it. The
studio's half, which writes bundles and needs torch, fastai and onnx, is `shoebox.bundle._export`; `shoebox.export`
calls it.
"""

from shoebox.bundle._classifier import Classifier, load_classifier
from shoebox.bundle._manifest import Manifest, inspect

__all__ = ["Classifier", "Manifest", "inspect", "load_classifier"]
