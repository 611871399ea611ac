"""Where pictures came from: one record per address that was asked, and the credits that travel with a model.

A record is keyed by address and class; the picture it brought is known by its image id, so that the record holds
wherever a relabelling, an apply, the trash or a restore has moved the file.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Attribution", "Credit", "SourceRecord", "SourceState", "credits_of"]

SourceState = Literal["waiting", "added", "duplicate", "refused"]
_WEB = re.compile(r"https?://[^\s<>\"]+\Z")


@dataclass(frozen=True)
class SourceRecord:
    """What became of one address (or one file of a folder, an archive or the feedback inbox).

    Attributes
    ----------
    url : str
        As it was found, query and all.
    label, query : str
        The class it was collected for, and what was asked.
    source, engine, rank
        Which source named it (`ddgs`, `openverse`, …), which engine behind that, and at which place (from 1).
    page_url, title, licence, licence_url, author, note : str
        What the source says of the picture; empty where it says nothing. `note` is for what has no field of its own,
        such as what a visitor was told by which model.
    state : str
        `waiting` (found, not asked for yet), `added`, `duplicate` (of `path`) or `refused` (with `cause`).
    cause, sentence : str
        Of a refusal: one of a few words for counting, and what happened, what was expected, what to do next.
    path : str
        Where the picture was put, relative to the data set; of a duplicate, where its twin stands or stood.
    image_id, sha256 : str
        SHA-256 of the stored bytes, and of the bytes as they came; they differ when the picture was made smaller.
    final_url, http_status, robots : str, int, str
        After redirects; what the host's robots.txt said.
    size_bytes, width_px, height_px : int
        Of the picture as it came.
    found_at, fetched_at : str
        ISO 8601, UTC.
    """

    url: str
    label: str
    query: str = ""
    source: str = ""
    engine: str = ""
    rank: int = 0
    page_url: str = ""
    title: str = ""
    licence: str = ""
    licence_url: str = ""
    author: str = ""
    found_at: str = ""
    state: SourceState = "waiting"
    cause: str = ""
    sentence: str = ""
    path: str = ""
    image_id: str = ""
    sha256: str = ""
    final_url: str = ""
    http_status: int = 0
    robots: str = ""
    size_bytes: int = 0
    width_px: int = 0
    height_px: int = 0
    fetched_at: str = ""
    note: str = ""


@dataclass(frozen=True)
class Credit:
    """One picture of the data set and whom to thank for it."""

    path: str
    image_id: str
    title: str
    author: str
    licence: str
    licence_url: str
    page_url: str
    url: str
    source: str


@dataclass(frozen=True)
class Attribution:
    """The credits list: `rows`, one per picture whose origin is known, ordered by path, and `markdown()`.

    `unknown` counts the pictures of the data set whose origin is not on record.
    """

    rows: tuple[Credit, ...]
    unknown: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def markdown(self) -> str:
        """The list as Markdown. Titles and names are data: whatever they hold is shown, never rendered."""
        lines = ["## Pictures", "", *[f"- {_line(credit)}" for credit in self.rows]]
        if self.unknown:
            lines += ["", f"{self.unknown} further pictures have no origin on record."]
        if any(not credit.licence for credit in self.rows):
            lines += ["", "Where no licence is named, none is known: a search result carries no right to publish."]
        return "\n".join(lines) + "\n"

    __str__ = markdown

    def __repr__(self) -> str:
        return f"Attribution({len(self.rows)} pictures with their origin, {self.unknown} without)"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("picture", "title", "author", "licence", "page"))
        rows = ["".join(f"<td>{html.escape(text)}</td>" for text in
                        (c.path, c.title, c.author, c.licence or "not known", c.page_url or c.url)) for c in self.rows]
        body = "".join(f"<tr>{row}</tr>" for row in rows[:200])
        more = f"<p>… and {len(rows) - 200} more in <code>.rows</code></p>" if len(rows) > 200 else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def credits_of(paths: Iterable[tuple[str, str]], records: Iterable[SourceRecord]) -> Attribution:
    """The credits of pictures, given as (path, image id); of several records of a picture the fullest is taken."""
    best: dict[str, SourceRecord] = {}
    for record in records:
        before = best.get(record.image_id)
        if before is None or _fullness(record) > _fullness(before):
            best[record.image_id] = record
    rows, unknown = [], 0
    for path, image_id in paths:
        record_of = best.get(image_id)
        if record_of is None:
            unknown += 1
        else:
            rows.append(Credit(path, image_id, record_of.title, record_of.author, record_of.licence,
                               record_of.licence_url, record_of.page_url, record_of.url, record_of.source))
    return Attribution(tuple(rows), unknown)


def _fullness(record: SourceRecord) -> tuple[bool, bool, bool, bool]:
    return bool(record.licence), bool(record.author), bool(record.page_url), record.state == "added"


def _line(credit: Credit) -> str:
    title = _plain(credit.title or credit.path.rpartition("/")[2])
    parts = [f"{title} by {_plain(credit.author)}" if credit.author else title]
    parts.append(_linked(credit.licence, credit.licence_url) if credit.licence else "licence not known")
    parts.append(_linked(credit.source or "page", credit.page_url or credit.url))
    return ", ".join(parts) + f" ({_plain(credit.path)})"


def _linked(text: str, url: str) -> str:
    """A Markdown link where the address is a web address without tricks, else the text alone."""
    return f"[{_plain(text)}](<{url}>)" if _WEB.match(url) and "\\" not in url else _plain(text)


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~&:@^$=\"'])", r"\\\1", " ".join(text.split()))
