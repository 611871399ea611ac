"""Copy a folder of class folders into a data set; the originals are only read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shoebox.data import Dataset, Skipped, atomic_write_bytes, check_label, find_files, read_bytes, sha256_bytes
from shoebox.errors import DatasetError, ImageError

__all__ = ["CollectReport", "collect_folder"]


@dataclass(frozen=True)
class CollectReport:
    """What was copied: `skipped` names every file that was not, and why; `empty` the folders without a file."""

    added: int
    already_there: int
    skipped: tuple[Skipped, ...]
    empty: tuple[str, ...] = ()

    def __str__(self) -> str:
        files = "1 file" if self.added == 1 else f"{self.added} files"
        lines = [f"{files} copied, {self.already_there} were there already, {len(self.skipped)} left out."]
        lines += [f"  nothing in the folder {name!r}: no class of that name was made" for name in self.empty[:10]]
        lines += [f"  left out: {item.sentence}" for item in self.skipped[:10]]
        if len(self.skipped) > 10:
            lines.append(f"  … and {len(self.skipped) - 10} more in `report.skipped`")
        return "\n".join(lines)

    __repr__ = __str__


def collect_folder(source: str | os.PathLike[str], target: str | os.PathLike[str], *,
                   progress: Callable[[int, int], None] | None = None) -> tuple[Dataset, CollectReport]:
    """Copy `source/<class>/…` to `target/<class>/…` and open the result as a data set.

    A file whose bytes the data set has already, wherever a relabelling or a removal has moved them, is not copied
    again, so an interrupted copy can be repeated and mended labels stay mended. One with the same name and other
    bytes is left out with a sentence, never overwritten. What is no picture is copied too: the data set's scan says
    what is wrong with it. A train/, valid/, test/ layout is kept.

    Raises
    ------
    DatasetError
        `source` is no folder, or the two are inside one another.
    """
    origin, root = Path(source).expanduser().resolve(), Path(target).expanduser().resolve()
    if not origin.is_dir():
        raise DatasetError(f"There is no folder {str(source)!r}. Give the folder that holds one folder per class.")
    if origin == root or origin in root.parents or root in origin.parents:
        raise DatasetError(f"{str(source)!r} and {str(target)!r} lie inside one another. Choose another target.")
    root.mkdir(parents=True, exist_ok=True)
    known = _known_bytes(Dataset(root))
    found = find_files(origin)
    added, skipped = 0, []
    for number, item in enumerate(found, start=1):
        try:
            if item.fault is not None:
                raise ImageError(*item.fault)
            check_label(item.label)
            added += _copy(Path(item.file), root / item.path, known)
        except (ImageError, DatasetError, OSError) as error:
            skipped.append(Skipped(item.path, getattr(error, "cause", "not_copied"), str(error)))
        if progress:
            progress(number, len(found))
    full = {item.path.partition("/")[0] for item in found}
    empty = sorted(entry.name for entry in os.scandir(origin)
                   if entry.is_dir(follow_symlinks=False) and entry.name[0] != "." and entry.name not in full)
    return Dataset(root), CollectReport(added, len(found) - added - len(skipped), tuple(skipped), tuple(empty))


def _known_bytes(ds: Dataset) -> set[str]:
    """Image ids that the data set has, or had and moved to the trash or the quarantine."""
    return {record.image_id for record in ds.images} | {item.record.image_id for item in ds.trash()}


def _copy(file: Path, target: Path, known: set[str]) -> bool:
    data = file.read_bytes() if file.stat().st_size == 0 else read_bytes(file)
    if sha256_bytes(data) in known:
        return False
    if target.exists():
        if sha256_bytes(target.read_bytes()) == sha256_bytes(data):
            return False
        raise DatasetError(f"{target.name!r} stands in {target.parent.name!r} already with other content; it was left "
                           "as it is. Rename one of the two.")
    atomic_write_bytes(target, data)
    return True
