"""The bundle: a model as data, not as code.

A bundle is a folder: `manifest.json` (what it is, and the SHA-256 of every file), `model.onnx` (from the pixels of a
picture of any size to probabilities, with resizing and normalisation inside) and `MODEL_CARD.md` (for people).

Here is the app's half: `inspect` reads what a bundle says of itself, `load_classifier` checks and loads it, `check`
asks it again about the pictures that travel with it, `pack` makes one file of it, `fetch` gets it from an address. The
studio's half, which writes bundles and needs torch, fastai and onnx, is `shoebox.bundle._export`; `shoebox.export`
calls it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shoebox.bundle._load import load_classifier
from shoebox.bundle._manifest import Manifest, inspect

if TYPE_CHECKING:
    from shoebox.bundle._check import CheckReport, check
    from shoebox.bundle._classifier import Classifier
    from shoebox.bundle._convert import convert
    from shoebox.bundle._fetch import fetch
    from shoebox.bundle._pack import pack

__all__ = ["CheckReport", "Classifier", "Manifest", "check", "convert", "fetch", "inspect", "load_classifier", "pack"]

_LATER = {"CheckReport": "_check", "Classifier": "_classifier", "check": "_check", "convert": "_convert",
          "fetch": "_fetch", "pack": "_pack"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"shoebox.bundle has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"shoebox.bundle.{_LATER[name]}"), name)
