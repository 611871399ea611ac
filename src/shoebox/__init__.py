"""Shoebox: from a shoebox of photos to a classifier you can share.

The map of the house. The studio makes a classifier, the app serves one; arrows only go down.

    cli, tour        the command line, and the tour that `shoebox demo` makes
    studio           the glue: one function per step
    apps/            the app a visitor sees                                   (app half)
    widgets/         the collector, the cleaner and the uploader
    collect/  demo/  quality/  review/  training/  evaluation/  bundle/       siblings
    data/            images, catalog, scan, split, predictions, files
    errors, types    the words of the house

Everything below is loaded when it is first used, so that `import shoebox` costs next to nothing and the app
half never sees torch or fastai.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Cleaner": "shoebox.widgets",
    "Collector": "shoebox.widgets",
    "Dataset": "shoebox.data",
    "Inbox": "shoebox.apps",
    "ImageClassifierCleaner": "shoebox.studio",
    "Predictions": "shoebox.data",
    "Recorder": "shoebox.training",
    "add_other": "shoebox.studio",
    "app": "shoebox.apps",
    "augmentations": "shoebox.training",
    "check": "shoebox.bundle",
    "clean": "shoebox.studio",
    "collect_folder": "shoebox.collect",
    "compare": "shoebox.evaluation",
    "convert": "shoebox.bundle",
    "dataloaders": "shoebox.training",
    "evaluate": "shoebox.studio",
    "export": "shoebox.studio",
    "fetch": "shoebox.bundle",
    "inspect": "shoebox.bundle",
    "load_classifier": "shoebox.bundle",
    "open_image": "shoebox.data",
    "pack": "shoebox.bundle",
    "rank": "shoebox.studio",
    "rehearse": "shoebox.apps",
    "seed_everything": "shoebox.training",
    "small_cnn": "shoebox.training",
    "vision_learner": "shoebox.training",
    "watch": "shoebox.apps",
}
_ROOMS = ("collect", "demo", "errors", "types")

__all__ = [*sorted(_HOMES), *_ROOMS]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"shoebox.{name}")
    if name not in _HOMES:
        raise AttributeError(f"shoebox has no {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
