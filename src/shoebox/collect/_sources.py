"""Where pictures can come from: one small interface, and the sources by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

from shoebox.collect._local import Feedback, Inbox
from shoebox.collect._outcome import Found, SourceError
from shoebox.collect._services import Commons, Ddgs, Openverse, SerpApi
from shoebox.errors import DatasetError

__all__ = ["SOURCES", "Source", "sources_of"]


@runtime_checkable
class Source(Protocol):
    """Something that names pictures for a query.

    `name` stands in the catalog beside every picture. `searches` is true where the answers are a search engine's, of
    which the first few are wanted, and false for a list, a folder or an archive, of which all is. `search` yields at
    most `n` (None: all), best first, and raises `SourceError` with a sentence when it cannot go on; what it named
    before counts.

    A source that knows licences has `with_licence(licence)`, too: itself, naming only pictures that allow this.
    """

    name: str
    searches: bool

    def search(self, query: str, n: int | None) -> Iterable[Found]:
        """Pictures for a query, best first."""
        ...


SOURCES: dict[str, Callable[[str | None], Source]] = {
    "ddgs": lambda licence: Ddgs(licence=licence),
    "openverse": lambda licence: Openverse(licence=licence),
    "commons": lambda licence: Commons(licence=licence),
    "serpapi": lambda licence: SerpApi(licence=licence),
}


def sources_of(given: str | Source | Inbox | Sequence[str | Source | Inbox], licence: str | None) -> tuple[Source, ...]:
    """The sources that a name, a source, an inbox or several of them mean; `DatasetError` for an unknown name.

    `SourceError` for one that cannot keep the licence filter: none is left out in silence.
    """
    several = [given] if isinstance(given, (str, Source, Inbox)) else list(given)
    many = [Feedback(item) if isinstance(item, Inbox) else item for item in several]
    unknown = [item for item in many if isinstance(item, str) and item not in SOURCES]
    wrong = [item for item in many if not isinstance(item, (str, Source))]
    if unknown or wrong or not many:
        came = ", ".join(map(repr, [*unknown, *wrong])) or "nothing"
        raise DatasetError(f"{came} is no source. Choose among {', '.join(SOURCES)}, or give a shoebox.collect.Folder, "
                           "Archive or UrlList, or an app's Inbox.")
    return tuple(SOURCES[item](licence) if isinstance(item, str) else _filtered(item, licence) for item in many)


def _filtered(source: Source, licence: str | None) -> Source:
    """A source that names pictures of this licence only; `SourceError` when it cannot."""
    own = getattr(source, "licence", None)
    if licence is None or own == licence:
        return source
    if own is not None:
        raise SourceError(f"Two licence filters came for {source.name}: {own!r} of its own, and {licence!r}. Give one.")
    with_licence = getattr(source, "with_licence", None)
    if with_licence is None:
        raise SourceError(f"{source.name} knows no picture's licence, so the licence filter {licence!r} cannot be kept "
                          "there. Collect from it by itself, without the filter.")
    filtered: Source = with_licence(licence)
    return filtered
