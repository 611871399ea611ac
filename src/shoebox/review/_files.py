"""What the files behind a ranking are like now, and where they came from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shoebox.data import Dataset
from shoebox.types import Issue

__all__ = ["absent", "site_of"]


def absent(ds: Dataset, issues: Sequence[Issue]) -> frozenset[str]:
    """Paths whose picture is no longer what the ranking saw: moved, removed, or other bytes since the last scan.

    One listing per folder instead of one look per file, which is what a network drive can stand.
    """
    known = {record.path: record.image_id for record in ds.images}
    names = {folder: _names(ds.root / folder) for folder in {issue.path.rpartition("/")[0] for issue in issues}}

    def stands(issue: Issue) -> bool:
        folder, _, name = issue.path.rpartition("/")
        return known.get(issue.path) == issue.image_id and name in names[folder]

    return frozenset(issue.path for issue in issues if not stands(issue))


def site_of(records: Iterable[Any]) -> str:
    """The host that a picture came from, by the records of its sources; else the name of what named it."""
    for record in records:
        address = getattr(record, "page_url", "") or getattr(record, "url", "")
        name = urlsplit(address).hostname or getattr(record, "source", "")
        if name:
            return str(name).removeprefix("www.")
    return ""


def _names(folder: Path) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries)
    except OSError:
        return frozenset()
