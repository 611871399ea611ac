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
    """What was copied: `skipped` names every file that was not, and why."""

    added: int
    already_there: int
    skipped: tuple[Skipped, ...]

    def __str__(self) -> str:
        lines = [f"{self.added} files copied, {self.already_there} were there already, {len(self.skipped)} left out."]
        return "\n".join(lines + [f"  left out: {item.sentence}" for item in self.skipped[:10]])

    __repr__ = __str__


def collect_folder(source: str | os.PathLike[str], target: str | os.PathLike[str], *,
                   progress: Callable[[int, int], None] | None = None) -> tuple[Dataset, CollectReport]:
    """Copy `source/<class>/…` to `target/<class>/…` and open the result as a data set.

    A file that stands there already with the same bytes is not copied again, so an interrupted copy can be
    repeated; one with the same name and other bytes is left out with a sentence, never overwritten.
    What is no picture is copied too: the data set's scan says what is wrong with it.

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
    found = find_files(origin)
    added, skipped = 0, []
    for number, item in enumerate(found, start=1):
        try:
            if item.fault is not None:
                raise ImageError(*item.fault)
            added += _copy(item.file, root / check_label(item.label) / Path(item.path.partition("/")[2]))
        except (ImageError, DatasetError, OSError) as error:
            skipped.append(Skipped(item.path, getattr(error, "cause", "not_copied"), str(error)))
        if progress:
            progress(number, len(found))
    root.mkdir(parents=True, exist_ok=True)
    return Dataset(root), CollectReport(added, len(found) - added - len(skipped), tuple(skipped))


def _copy(file: Path, target: Path) -> bool:
    data = file.read_bytes() if file.stat().st_size == 0 else read_bytes(file)
    if target.exists():
        if sha256_bytes(target.read_bytes()) == sha256_bytes(data):
            return False
        raise DatasetError(f"{target.name!r} stands in {target.parent.name!r} already with other content; it was left "
                           "as it is. Rename one of the two.")
    atomic_write_bytes(target, data)
    return True
