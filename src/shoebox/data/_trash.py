"""The trash and the quarantine: what was taken out of the class folders, and how it comes back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from shoebox.data._files import FreeNames, safe_join, sha256_file
from shoebox.data._records import ApplyRecord, ImageRecord, Move, Skipped
from shoebox.errors import DatasetError

__all__ = ["QUARANTINE", "Trashed", "find_trashed", "quarantine_moves", "restore_moves"]

QUARANTINE = ".shoebox/quarantine"


@dataclass(frozen=True)
class Trashed:
    """A file in the trash or in quarantine: where it came from, where it is, when it went there."""

    path: str
    kept_at: str
    at: str
    size_bytes: int
    record: ImageRecord


def find_trashed(root: Path, applies: Iterable[ApplyRecord]) -> list[Trashed]:
    """Everything that applies moved out of the class folders and that is still there, newest last."""
    found = {}
    for apply in applies:
        for move in apply.moves:
            if move.new_label is None and (root / move.target).is_file():
                size = (root / move.target).stat().st_size
                found[move.target] = Trashed(move.path, move.target, apply.at, size, move.record)
    return list(found.values())


def quarantine_moves(root: Path, skipped: Iterable[Skipped]) -> list[Move]:
    """Moves that take unreadable files out of the class folders; links are left where they are."""
    moves: list[Move] = []
    names = FreeNames()
    for item in skipped:
        file = root / item.path
        if item.cause in ("link", "bad_name") or not file.is_file():
            continue
        folder = f"{QUARANTINE}/{item.path.rpartition('/')[0]}".rstrip("/")
        name = names.take(safe_join(root, folder), file.name)
        record = ImageRecord(item.path, sha256_file(file), "", "train", "", 0, 0, item.size_bytes, item.mtime_ns, "")
        moves.append(Move(record, f"{folder}/{name}", None, 0))
    return moves


def restore_moves(root: Path, trashed: Iterable[Trashed], paths: Iterable[str] | None) -> list[Move]:
    """Moves that bring files back to where they came from, beside whatever has that name now."""
    wanted = None if paths is None else set(paths)
    chosen = [item for item in trashed if wanted is None or item.path in wanted]
    missing = (wanted or set()) - {item.path for item in chosen}
    if missing:
        raise DatasetError(f"{', '.join(map(repr, sorted(missing)))} cannot be restored: nothing in the "
                           "trash or in quarantine came from there. `ds.trash()` lists what is there.")
    moves: list[Move] = []
    names = FreeNames()
    for item in chosen:
        folder, _, name = item.path.rpartition("/")
        free = names.take(safe_join(root, folder) if folder else root, name)
        record = replace(item.record, path=item.kept_at)
        moves.append(Move(record, f"{folder}/{free}".lstrip("/"), item.record.label, 0))
    return moves
