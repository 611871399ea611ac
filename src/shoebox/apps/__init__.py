"""The app a visitor sees, and the one way to serve it.

`app` builds the page of a bundle (notebooks/app.ipynb shows it), `serve` starts Voila on that notebook, `Inbox` holds
the pictures that visitors agreed to leave, `watch` reads what the app has counted.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoebox.apps._app import app
    from shoebox.apps._inbox import Inbox
    from shoebox.apps._rehearse import rehearse
    from shoebox.apps._serve import serve
    from shoebox.apps._watch import watch
    from shoebox.apps.classify import classifier_app

__all__ = ["Inbox", "app", "classifier_app", "rehearse", "serve", "watch"]

_HOMES = {
    "Inbox": "shoebox.apps._inbox",
    "app": "shoebox.apps._app",
    "classifier_app": "shoebox.apps.classify",
    "rehearse": "shoebox.apps._rehearse",
    "serve": "shoebox.apps._serve",
    "watch": "shoebox.apps._watch",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
