"""Which pictures of a data set the learner has learned from, by the learner's own record of its training items."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from shoebox.bundle._draft import Pictures
from shoebox.data import sha256_file

__all__ = ["UNKNOWN", "trained_on", "why_none"]

UNKNOWN = ("Left off: this learner has no record of its training pictures that fits the data set (learn.export() "
           "leaves it out), so no picture is sure to be new to it.")
_NONE = "Left off: the data set has no validation pictures."


def trained_on(learn: Any, ds: Pictures) -> frozenset[str] | None:
    """Paths in `ds` of the pictures that `learn` was trained on; None when that is not known.

    Looked up are the items of its training loader and what `shoebox.Recorder` wrote down. A file that stands elsewhere
    is found again by its content; one that has gone, by its folder and name, or by its name alone: rather one picture
    too many is taken for learned. Nothing is known of a learner without such a record, as `learn.export()` writes it,
    of one whose items are no files, and of one whose files have gone and fit no picture of `ds`.
    """
    loaded, recorded = _files_of(learn.dls.train.dataset), _recorded(learn)
    if loaded is None or not (files := list(dict.fromkeys([*loaded, *recorded]))):
        return None
    known = _Known(ds, _files_of(learn.dls.valid.dataset) or ())
    found = frozenset(path for file in files for path in known.paths_of(file))
    return None if known.gone and not found else found


def why_none(n_valid: int, seen: frozenset[str] | None) -> str:
    """Why nothing is fitted or measured, for a data set with `n_valid` validation pictures of which none is new."""
    if not n_valid:
        return _NONE
    if seen is None:
        return UNKNOWN
    return (f"Left off: the learner was trained on all {n_valid} validation pictures of the data set. Train with the "
            "data set's own split, as shoebox.dataloaders does.")


class _Known:
    """The pictures of a data set by place, by folder and name, by name, and by content."""

    def __init__(self, ds: Pictures, held_out: Iterable[Path]) -> None:
        paths = [picture.path for picture in ds.images]
        self.gone = 0
        self._ds = ds
        self._places = {_place(root / path): path for root in {ds.root, ds.root.resolve()} for path in paths}
        own = {self._places.get(_place(file)) for file in held_out}
        self._tails = _grouped(paths, lambda path: tuple(path.split("/")[-2:]))
        self._names = _grouped((path for path in paths if path not in own), lambda path: path.rpartition("/")[2])
        self._contents: dict[str, list[str]] | None = None

    def paths_of(self, file: Path) -> Sequence[str]:
        """Those that the training file may be; counts in `gone` the files that are nowhere."""
        found = self._places.get(_place(file))
        if found is not None:
            return [found]
        if file.is_file():
            return self._by_content().get(sha256_file(file), [])
        self.gone += 1
        parts = file.as_posix().replace("\\", "/").split("/")
        return self._tails.get(tuple(parts[-2:])) or self._names.get(parts[-1], [])

    def _by_content(self) -> dict[str, list[str]]:
        if self._contents is None:
            self._contents = defaultdict(list)
            for picture in self._ds.images:
                self._contents[picture.image_id].append(picture.path)
        return self._contents


def _place(file: Path) -> str:
    return os.path.normpath(file.absolute())


def _grouped(paths: Iterable[str], key: Callable[[str], Any]) -> dict[Any, list[str]]:
    groups: dict[Any, list[str]] = defaultdict(list)
    for path in paths:
        groups[key(path)].append(path)
    return groups


def _recorded(learn: Any) -> list[Path]:
    """What `shoebox.Recorder` was shown in training; it stays with a learner that was exported."""
    sides: Any = getattr(getattr(learn, "shoebox_recorder", None), "_files", None)
    return [Path(file) for file in sides[0]] if sides else []


def _files_of(dataset: Any) -> list[Path] | None:
    """A fastai data set's items as files; None when they are none, and cannot be turned into some."""
    lists: Any = getattr(dataset, "tls", ())
    if not len(lists):
        return None
    steps = list(lists[0].tfms.fs)
    files = []
    for place in range(len(lists[0])):
        file = _file_of(lists[0]._get(place), steps)
        if file is None:
            return None
        files.append(file)
    return files


def _file_of(item: Any, steps: Sequence[Any]) -> Path | None:
    """The item itself, or what the first step makes of it: the row of a table holds a name."""
    try:
        value = item if isinstance(item, (str, os.PathLike)) or not steps else steps[0](item)
    except Exception:  # a step of anybody's, on an item of any kind
        return None
    return Path(value) if isinstance(value, (str, os.PathLike)) else None
