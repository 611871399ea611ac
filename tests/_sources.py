"""Asking a source of pictures."""

from __future__ import annotations

from shoebox.collect import SourceError


def everything(source, query="bear", n=None):
    """What a source names, and how it ended."""
    found = []
    try:
        for item in source.search(query, n):
            found.append(item)  # one by one: what came before a failure counts
    except SourceError as error:
        return found, str(error)
    return found, ""
