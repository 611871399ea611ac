"""How a data set looks in a notebook."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from PIL import Image

from shoebox.data._images import open_image

__all__ = ["contact_sheet", "counts_table", "text_table"]


def contact_sheet(rows: Sequence[Sequence[bytes]], columns: int, side_px: int) -> Image.Image:
    """Thumbnails in rows, each at most `side_px` a side, on white."""
    sheet = Image.new("RGB", (max(1, columns) * side_px, max(1, len(rows)) * side_px), "white")
    for row, thumbnails in enumerate(rows):
        for column, data in enumerate(thumbnails):
            sheet.paste(open_image(data), (column * side_px, row * side_px))
    return sheet


def counts_table(counts: Mapping[str, Mapping[str, int]], *, notes: Sequence[str] = ()) -> str:
    """HTML of pictures per class and side, with notes under it; class names are text, never markup."""
    sides = list(next(iter(counts.values()), {}))
    head = "".join(f"<th>{name}</th>" for name in ("class", *sides))
    rows = "".join(f"<tr><td>{html.escape(label)}</td>" + "".join(f"<td>{n[side]}</td>" for side in sides) + "</tr>"
                   for label, n in counts.items())
    below = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{below}"


def text_table(counts: Mapping[str, Mapping[str, int]]) -> str:
    """The same as plain text, a line for each class."""
    head = ["class", *next(iter(counts.values()), {})]
    rows = [head, *([label, *map(str, n.values())] for label, n in counts.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in
                                                           zip(row[1:], widths[1:], strict=True))]) for row in rows)
