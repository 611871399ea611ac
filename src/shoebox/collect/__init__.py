"""Getting pictures into a data set, with their origin: from the web, from this machine, from visitors.

The room is itself the function: `shoebox.collect("bears", {"grizzly": "grizzly bear"})`. In order:

    _sources, _services, _local, _archive     who names pictures for a query
    _licence                                  what a licence allows
    _address, _client                         which addresses may be asked, and the client that asks no other
    _polite, _wire, _download                 turns, robots.txt, tries, limits: one picture over the network
    _check                                    through the image door, into the staging folder
    _store                                    checked, written down, moved to its place; whole at every instant
    _run, _report, _collect                   the flow, what became of each address, and the function
    _folder                                   a whole folder of class folders, copied as it is

The only room that uses the network.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from shoebox.collect._folder import CollectReport, collect_folder

if TYPE_CHECKING:
    from shoebox.collect._archive import Archive
    from shoebox.collect._collect import collect, queries_of
    from shoebox.collect._local import Entry, Feedback, Folder, Inbox, UrlList
    from shoebox.collect._outcome import CAUSES, Found, Limits, RefusedError, SourceError
    from shoebox.collect._report import WEB_WARNING, Collected, sites, summary_of
    from shoebox.collect._run import Event
    from shoebox.collect._services import Commons, Ddgs, Openverse, SerpApi
    from shoebox.collect._sources import SOURCES, Source

__all__ = [
    "CAUSES",
    "SOURCES",
    "WEB_WARNING",
    "Archive",
    "CollectReport",
    "Collected",
    "Commons",
    "Ddgs",
    "Entry",
    "Event",
    "Feedback",
    "Folder",
    "Found",
    "Inbox",
    "Limits",
    "Openverse",
    "RefusedError",
    "SerpApi",
    "Source",
    "SourceError",
    "UrlList",
    "collect",
    "collect_folder",
    "queries_of",
    "sites",
    "summary_of",
]

_PLACES = {
    "_archive": ("Archive",),
    "_collect": ("collect", "queries_of"),
    "_local": ("Entry", "Feedback", "Folder", "Inbox", "UrlList"),
    "_outcome": ("CAUSES", "Found", "Limits", "RefusedError", "SourceError"),
    "_report": ("WEB_WARNING", "Collected", "sites", "summary_of"),
    "_run": ("Event",),
    "_services": ("Commons", "Ddgs", "Openverse", "SerpApi"),
    "_sources": ("SOURCES", "Source"),
}
_HOMES = {name: place for place, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Everything that needs the network's libraries comes on first use; copying a folder does not need them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("httpx", "httpcore"):
            raise
        raise ImportError("Collecting pictures needs the library httpx. Install it: pip install \"shoebox[studio]\""
                          ) from None


def __dir__() -> list[str]:
    return sorted(__all__)


class _Room(ModuleType):
    """`shoebox.collect` names the room and the function: importing the room must not hide the function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Collected:
        return __getattr__("collect")(*args, **kwargs)  # type: ignore[no-any-return]

    @property
    def __signature__(self) -> Any:  # what `help` and IPython's `?` show
        import inspect

        return inspect.signature(__getattr__("collect"))


sys.modules[__name__].__class__ = _Room
