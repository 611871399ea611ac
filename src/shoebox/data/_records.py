"""The rows of the catalog: small frozen records that know nothing of SQLite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shoebox.types import Side

__all__ = ["CUT_OFF", "ApplyRecord", "ImageRecord", "Known", "Move", "Skipped"]

CUT_OFF = ", cut off"  # follows the format of a truncated file that was kept


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One readable picture.

    `path` is relative to the data set, with forward slashes; `image_id` is its SHA-256; `group_id` names its group
    of near-duplicates. `fixed_side` is true when a train/, valid/ or test/ folder decides the side.
    The four fields before it are those of `Measures`. `format` is the file's, and says so when part of it is missing.
    """

    path: str
    image_id: str
    label: str
    side: Side
    group_id: str
    width_px: int
    height_px: int
    size_bytes: int
    mtime_ns: int
    format: str
    dark: float = 0.0
    light: float = 0.0
    sharpness: float = 0.0
    information: float = 0.0
    fixed_side: bool = False

    @property
    def partly_there(self) -> bool:
        """Whether this is a truncated file that was kept: the rest of the picture is grey or black."""
        return self.format.endswith(CUT_OFF)


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalog knows of a file, as far as a scan needs it to see whether the file has changed.

    `cut_off` is `kept` or `left out` for a truncated file, else empty.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    label: str
    is_picture: bool
    cut_off: Literal["", "kept", "left out"]


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, with the named cause and a sentence."""

    path: str
    cause: str
    sentence: str
    size_bytes: int = 0
    mtime_ns: int = 0


@dataclass(frozen=True)
class Move:
    """One picture that moves to `target`: into the folder of `new_label`, or to the trash when that is None."""

    record: ImageRecord
    target: str
    new_label: str | None
    decision: int

    @property
    def path(self) -> str:
        """Where the picture stands before the move."""
        return self.record.path

    @property
    def kind(self) -> Literal["relabel", "remove"]:
        """What the decision was."""
        return "remove" if self.new_label is None else "relabel"


@dataclass(frozen=True)
class ApplyRecord:
    """An apply as the catalog remembers it; `state` is `todo`, `done`, `undoing` or `undone`."""

    id: int
    at: str
    state: str
    moves: tuple[Move, ...]
