"""The widgets: what a person sees and touches. Python owns the state, the page owns focus and zoom.

`Collector` brings pictures in, `Cleaner` pages through a ranking and takes decisions (studio); `Uploader` takes a
picture and shows an answer (app).
They come on first use, so that the app never imports the cleaner.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoebox.widgets.cleaner import Cleaner
    from shoebox.widgets.collector import Collector
    from shoebox.widgets.uploader import Uploader

__all__ = ["Cleaner", "Collector", "Uploader"]

_HOMES = {"Cleaner": "shoebox.widgets.cleaner", "Collector": "shoebox.widgets.collector",
          "Uploader": "shoebox.widgets.uploader"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
