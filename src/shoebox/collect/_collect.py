"""`collect`: from words to pictures in class folders, each with its origin on record."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from shoebox.collect._address import Guard
from shoebox.collect._local import Feedback, Inbox
from shoebox.collect._outcome import Limits, SourceError
from shoebox.collect._report import Collected
from shoebox.collect._run import Collecting, Event, Wish
from shoebox.collect._sources import Source, sources_of
from shoebox.collect._store import Store
from shoebox.data import Dataset, check_label
from shoebox.errors import DatasetError

__all__ = ["collect"]

_PER_CLASS = 150
_SEARCH = "ddgs"
_T = TypeVar("_T")


def collect(ds: Dataset | str | os.PathLike[str], classes: Mapping[str, str] | Sequence[str] | Inbox | None = None, *,
            per_class: int | None = None, source: str | Source | Inbox | Sequence[str | Source | Inbox] = _SEARCH,
            licence: str | None = None, max_px: int | None = None, allow_private: bool = False,
            contact: str | None = None, limits: Limits | None = None, watch: Callable[[Event], None] | None = None,
            stop: threading.Event | None = None, guard: Guard | None = None) -> Collected:
    """Bring pictures into a data set, from the web or from this machine, and write down where each came from.

    Call it again with the same words, and it goes on where it ended or was killed: what is stored is not fetched
    again, what failed in passing is tried again, and what was removed in the cleaner stays removed.

    Parameters
    ----------
    ds : Dataset or path
        Where the pictures go. A folder that does not exist yet is made.
    classes : mapping of str to str, or an Inbox
        From each class to what is asked for it: `{"grizzly": "grizzly bear"}`. A sequence asks for the class names
        themselves. May be left out for a folder, an archive, a list or feedback that names its own classes. An app's
        inbox in its place is short for `source=inbox`: what visitors left, under the class that each of them named.
    per_class : int, optional
        Addresses to ask per class. 150 for a search; of a list, a folder, an archive or feedback, all there are.
    source : str, Source, Inbox, or several of them
        `ddgs`, `openverse`, `commons`, `serpapi`, a `Folder`, `Archive` or `UrlList` of `shoebox.collect`, or the
        `Inbox` of an app. Several share the number between them; one that fails leaves a note, the others go on.
    licence : str, optional
        `open`, `commercial` or `modification`: only pictures that their source knows to allow this. A list leaves
        out those whose row does not say so, with a note; a folder, an archive or an inbox knows no licences, and
        together with them it is an error.
    max_px : int, optional
        Make larger pictures smaller, to this longer side in pixels, as JPEG; else they are stored as they came.
    allow_private : bool
        Also ask private and loopback addresses and any port, such as a server of your own.
    contact : str, optional
        An address that hosts can reach you at, sent in the user agent; else the environment's SHOEBOX_CONTACT.
    limits : Limits, optional
        On bytes, seconds and requests per host.
    watch : callable, optional
        Called with an `Event` for everything that happens, in another thread.
    stop : threading.Event, optional
        Set it to stop. Ctrl-C stops as well, leaves everything whole, and goes on to the caller.

    Returns
    -------
    Collected
        The report, with the data set as `.ds`.

    Raises
    ------
    DatasetError
        Nonsense among the parameters, or another process that is collecting into this data set.

    Examples
    --------
    >>> report = shoebox.collect("bears", {"grizzly": "grizzly bear", "teddy": "teddy bear"})  # doctest: +SKIP
    >>> report = shoebox.collect("bears", shoebox.Inbox("work/inbox"))  # doctest: +SKIP
    """
    if isinstance(classes, Inbox):
        if source != _SEARCH:
            raise DatasetError("An inbox came in place of the classes, and a source besides. Give both as the source: "
                               "source=[inbox, …].")
        source, classes = classes, None
    sources = _answering(lambda: sources_of(source, licence))
    wishes = _wishes(classes, sources, per_class)
    if max_px is not None and max_px < 32:
        raise DatasetError(f"max_px is {max_px}; at least 32 was expected, or None for pictures as they came.")
    limits = limits or Limits()
    ds = ds if isinstance(ds, Dataset) else _opened(Path(ds))
    store = Store(ds, limits, max_px=max_px)
    contact = os.environ.get("SHOEBOX_CONTACT", "") if contact is None else contact
    with store.opened():
        run = Collecting(store, sources, wishes, guard=guard or Guard(allow_private), limits=limits, contact=contact,
                         watch=watch or (lambda event: None), stop=stop or threading.Event())
        _in_a_thread(run)
    ds.scan()
    left = [item.left_out() for item in sources if isinstance(item, Feedback) and classes is None]
    return Collected(ds, tuple(run.records.values()), (*run.notes, *filter(None, left)), run.stopped,
                     any(item.searches for item in sources), run.earlier)


def _in_a_thread(run: Collecting) -> None:
    """In a loop of its own, because a notebook's thread has one already. Ctrl-C ends the run first, then goes on."""
    failure: list[BaseException] = []

    def work() -> None:
        try:
            asyncio.run(run.run())
        except BaseException as error:  # handed to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=work, name="shoebox-collect")
    thread.start()
    try:
        thread.join()
    except BaseException:
        run.end()
        thread.join()
        raise
    if failure:
        raise failure[0]


def _wishes(classes: Mapping[str, str] | Sequence[str] | None, sources: Sequence[Source],
            per_class: int | None) -> list[Wish]:
    if per_class is not None and per_class < 1:
        raise DatasetError(f"per_class is {per_class}; at least 1 was expected.")
    if classes is None:
        named = [label for item in sources if hasattr(item, "labels") for label in _answering(item.labels)]
        classes = named
    classes = queries_of(classes)
    feedback = [item for item in sources if isinstance(item, Feedback)]
    if not classes and feedback and len(feedback) == len(sources):
        raise DatasetError(" ".join(["The inbox has no picture of which a visitor said what it is.",
                                     *(item.left_out() for item in feedback)]).strip())
    if not classes:
        raise DatasetError("There is nothing to collect. Give the classes and their queries, such as "
                           "{\"grizzly\": \"grizzly bear\"}.")
    searches = any(item.searches for item in sources)
    empty = [label for label, query in classes.items() if searches and not query.strip()]
    if empty:
        raise DatasetError(f"The class {empty[0]!r} has no query. Say what to search for.")
    n = per_class if per_class is not None else _PER_CLASS if searches else None
    return [Wish(check_label(label), query.strip(), n) for label, query in classes.items()]


def queries_of(classes: Mapping[str, str] | Sequence[str]) -> Mapping[str, str]:
    """The query of each class; of a sequence each class is its own.

    Raises
    ------
    DatasetError
        One str, whose letters nobody meant.
    """
    if isinstance(classes, str):
        raise DatasetError(f"classes is {classes!r}; a mapping from each class to its query was expected, such as "
                           f"{{{classes!r}: {classes!r}}}.")
    return classes if isinstance(classes, Mapping) else {label: label for label in classes}


def _answering(ask: Callable[[], _T]) -> _T:
    try:
        return ask()
    except SourceError as error:
        raise DatasetError(str(error)) from None


def _opened(path: Path) -> Dataset:
    path = path.expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"{str(path)!r} cannot be made a data set ({error}). Choose another folder.") from None
    return Dataset(path)
