"""What is known of one picture: pixels, file, source, and everything that was decided about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from shoebox.data import Dataset
from shoebox.errors import ShoeboxError
from shoebox.types import Issue

__all__ = ["CloseLook", "close_look"]

_LARGEST_PX = 1600
_SOURCE_FIELDS = ("url", "page_url", "title", "author", "licence", "source", "engine", "query", "note")


@dataclass(frozen=True)
class CloseLook:
    """One picture in full. `jpeg` has at most 1600 pixels a side; empty when the file cannot be opened.

    `sources` are the addresses and credits that are known of it, `history` every decision with what became of it,
    oldest first, `reasons` a sentence for each issue.
    """

    path: str
    width_px: int
    height_px: int
    size_bytes: int
    format: str
    jpeg: bytes
    reasons: tuple[str, ...]
    sources: tuple[dict[str, str], ...]
    history: tuple[dict[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        """All but the picture, as plain dicts, lists and numbers."""
        fields = asdict(self)
        del fields["jpeg"]
        return {**fields, "reasons": list(self.reasons), "sources": list(self.sources), "history": list(self.history)}


def close_look(ds: Dataset, path: str, issues: tuple[Issue, ...] = ()) -> CloseLook:
    """Look at one picture of a data set; `DatasetError` when it has none by that path."""
    record = ds.record(path)
    try:
        jpeg = ds.thumbnail(path, side_px=_LARGEST_PX)
    except (ShoeboxError, OSError):
        jpeg = b""
    known = getattr(ds, "sources", {}).get(record.image_id, ())
    sources = tuple({name: str(getattr(source, name)) for name in _SOURCE_FIELDS if getattr(source, name, "")}
                    for source in known)
    history = tuple({"kind": past.decision.kind, "label": past.decision.label, "who": past.decision.who,
                     "at": past.decision.at, "reason": past.decision.reason, "undone": past.undone,
                     "applied": past.applied} for past in ds.history(path))
    return CloseLook(path, record.width_px, record.height_px, record.size_bytes, record.format, jpeg,
                     tuple(issue.reason for issue in issues), sources, history)
