"""The app a visitor sees, and the one way to serve it.

`app` builds the page of a bundle (notebooks/app.ipynb shows it), `serve` starts Voila on that notebook.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoebox.apps._serve import serve
    from shoebox.apps.classify import app, classifier_app

__all__ = ["app", "classifier_app", "serve"]

_HOMES = {
    "app": "shoebox.apps.classify",
    "classifier_app": "shoebox.apps.classify",
    "serve": "shoebox.apps._serve",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
