"""What became of every address: sentence, table, CSV, and a small picture of classes and sites."""

from __future__ import annotations

import csv
import html
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from shoebox.data import Dataset, SourceRecord, atomic_write_bytes

__all__ = ["WEB_WARNING", "Collected", "sites", "summary_of"]

WEB_WARNING = (
    "A web search shows what the web likes to show, not what your app will meet. The fastai book's example: "
    "a search for “healthy skin” brings mostly photos of young white women touching their faces, and a model "
    "trained on that learns just this. A search can also bring wrong, copyrighted and unpleasant pictures. Look at the "
    "balance below, at the sheet of pictures, and clean before you train.")
_WORDS = {
    "bad_url": "no web address", "blocked_address": "blocked addresses", "robots": "refused by robots.txt",
    "noai": "marked as not for learning", "not_found": "not found", "http_error": "HTTP errors",
    "rate_limited": "rate limited", "timeout": "time-outs", "unreachable": "unreachable", "interrupted": "interrupted",
    "too_many_redirects": "redirected too often", "too_large": "too large", "too_small": "too small",
    "html_instead_of_image": "web pages instead of pictures", "unsupported_format": "of a kind not opened here",
    "not_an_image": "no pictures", "damaged": "damaged", "not_stored": "not stored",
}
_SHOWN_ROWS = 200
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Collected:
    """The report of a collection; a notebook draws it.

    Attributes
    ----------
    ds : Dataset
        With the new pictures, scanned.
    records : tuple of SourceRecord
        One per address, in the order of finding: `state` added, duplicate, refused, or waiting when it was stopped.
    notes : tuple of str
        What sources said that could not go on.
    stopped : bool
        Whether a person stopped it; collecting again goes on where it ended.
    searched : bool
        Whether any source was a web search.
    earlier : int
        How many of the pictures were added by a collection before this one.
    """

    ds: Dataset
    records: tuple[SourceRecord, ...]
    notes: tuple[str, ...] = ()
    stopped: bool = False
    searched: bool = True
    earlier: int = 0

    def summary(self) -> str:
        """In one sentence: asked 150, saved 131 (120 of them earlier), …"""
        return summary_of(self.records, self.earlier)

    def counts(self) -> dict[str, dict[str, int]]:
        """Per class, how many addresses were asked, and how many ended in each state."""
        states = ("added", "duplicate", "refused", "waiting")
        labels = dict.fromkeys(record.label for record in self.records)
        counted: Counter[tuple[str, str]] = Counter((record.label, record.state) for record in self.records)
        return {label: {"asked": sum(counted[label, state] for state in states),
                        **{state: counted[label, state] for state in states}} for label in labels}

    def sites(self) -> dict[str, int]:
        """How many pictures were added from which site, most first."""
        return sites(self.records)

    def to_csv(self, file: str | os.PathLike[str] | None = None) -> str:
        """One row per address, all of them, as CSV; written to `file` if one is given.

        A cell that a spreadsheet would take for a formula gets an apostrophe in front.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([field.name for field in fields(SourceRecord)])
        writer.writerows([[_cell(value) for value in astuple(record)] for record in self.records])
        if file is not None:
            atomic_write_bytes(Path(file), out.getvalue().encode())
        return out.getvalue()

    def __len__(self) -> int:
        return len(self.records)

    def __str__(self) -> str:
        lines = [self.summary(), *(f"  note: {note}" for note in self.notes)]
        if self.stopped:
            lines.append("  Stopped. Collect again with the same words, and it goes on where it ended.")
        refused = [record for record in self.records if record.state == "refused"]
        lines += [f"  refused ({record.cause}): {record.sentence}" for record in refused[:5]]
        if len(refused) > 5:
            lines.append(f"  … and {len(refused) - 5} more in `report.records`, and in "
                         "report.to_csv(\"collected.csv\")")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [f"<p><strong>{html.escape(self.summary())}</strong></p>"]
        parts += [f"<p>{html.escape(WEB_WARNING)}</p>"] if self.searched else []
        parts += [f"<p>{html.escape(note)}</p>" for note in self.notes]
        counts = self.counts()
        parts.append(_bars("Pictures added per class", {label: n["added"] for label, n in counts.items()}))
        parts.append(_bars("Sites they came from", dict(list(self.sites().items())[:10])))
        return "".join(parts) + _table(self.records)


def summary_of(records: Sequence[SourceRecord], earlier: int = 0) -> str:
    """How a collection went, in one sentence; `earlier` of the pictures had been saved before it."""
    states = Counter(record.state for record in records)
    causes = Counter(record.cause for record in records if record.state == "refused")
    before = f" ({'all' if earlier == states['added'] else earlier} of them earlier)" if earlier else ""
    parts = [f"asked {len(records)}", f"saved {states['added']}{before}"]
    parts += [f"{n} {words}" for cause, words in sorted(_WORDS.items(), key=lambda item: -causes[item[0]])
              if (n := causes[cause])]
    parts += [f"{states['duplicate']} duplicates"] if states["duplicate"] else []
    parts += [f"{states['waiting']} still waiting"] if states["waiting"] else []
    return ", ".join(parts)


def sites(records: Sequence[SourceRecord]) -> dict[str, int]:
    """How many pictures were added from which site (or folder, archive, inbox), most first."""
    return dict(Counter(_site(record) for record in records if record.state == "added").most_common())


def _site(record: SourceRecord) -> str:
    host = urlsplit(record.page_url or record.url).hostname or record.engine or record.source
    return host.removeprefix("www.")


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _bars(title: str, counts: Mapping[str, int]) -> str:
    """Horizontal bars as HTML; names are text, never markup."""
    if not counts:
        return ""
    most = max(1, *counts.values())
    rows = "".join(
        f"<tr><th style='text-align:right;font-weight:normal'>{html.escape(name)}</th><td style='text-align:left'>"
        f"<span style='display:inline-block;height:.8em;width:{160 * n / most:.0f}px;background:#2a7f78'></span> {n}"
        "</td></tr>" for name, n in counts.items())
    return f"<table><caption style='text-align:left'>{html.escape(title)}</caption><tbody>{rows}</tbody></table>"


def _table(records: Sequence[SourceRecord]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("class", "address", "outcome", "why or where"))
    rows = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{html.escape(text)}</td>" for text in
                         (record.label, record.url if len(record.url) <= 90 else record.url[:87] + "...",
                          record.cause or record.state, record.sentence or record.path)) + "</tr>"
        for record in records[:_SHOWN_ROWS])
    more = f"<p>… and {len(records) - _SHOWN_ROWS} more in <code>report.records</code></p>" \
        if len(records) > _SHOWN_ROWS else ""
    return (f"<details><summary>What became of each of the {len(records)} addresses</summary><table><thead><tr>{head}"
            f"</tr></thead><tbody>{rows}</tbody></table>{more}</details>")
