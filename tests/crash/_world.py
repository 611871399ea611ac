"""A small data set with decisions, and what must be true of it whatever happened."""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from shoebox.data import Dataset, sha256_file
from shoebox.data._catalog import Catalog
from tests._pictures import CYRILLIC, draw, save

DECISIONS = {"black/a.png": ("relabel", "grizzly"),  # grizzly/a.png stands there already
             "black/b.png": ("remove", None),
             "grizzly/b.png": ("relabel", CYRILLIC),  # a class that has no folder yet
             "grizzly/c.png": ("keep", None)}


def pictures(root: Path) -> Path:
    """Seven pictures in two classes."""
    for number, name in enumerate("abcabcd"):
        save(root / ("grizzly" if number > 2 else "black") / f"{name}.png", draw(number, (16, 12)))
    return root


def decide(ds: Dataset) -> None:
    """Four decisions, three of which move a file."""
    for path, (kind, label) in DECISIONS.items():
        ds.decide(path, kind, label)


def census(root: Path) -> Counter[str]:
    """Every file under a visible name, in the trash or in quarantine, by its hash."""
    return Counter(sha256_file(path) for path in _files(root) if not path.name.startswith("."))


def tree(root: Path) -> dict[str, str]:
    """The class folders: path to hash."""
    return {path.relative_to(root).as_posix(): sha256_file(path) for path in root.rglob("*")
            if path.is_file() and ".shoebox" not in path.parts}


def leftovers(root: Path) -> list[str]:
    """Hidden files that a crash left behind."""
    return [path.name for path in _files(root) if path.name.startswith(".")]


def unfinished(root: Path) -> bool:
    """Whether an apply or its undo is written down that was not carried out to its end."""
    return bool(Catalog(root / ".shoebox" / "catalog.sqlite").applies("todo", "undoing"))


def _files(root: Path) -> list[Path]:
    own = root / ".shoebox"
    return [path for path in root.rglob("*") if path.is_file()
            and (own not in path.parents or path.relative_to(own).parts[0] in ("trash", "quarantine"))]


class World:
    """The data set before and after its apply, and a place for copies of it."""

    def __init__(self, folder: Path, direction: str) -> None:
        self.folder = folder
        self.direction = direction
        before, after = pictures(folder / "before"), folder / "after"
        decide(Dataset(before))
        self.before = tree(before)
        shutil.copytree(before, after)
        Dataset(after).apply()
        self.after = tree(after)
        self.ready = before if direction == "apply" else after
        self.known = census(before)

    def copy(self) -> Path:
        """A fresh copy to do harm to."""
        root = self.folder / "try"
        shutil.rmtree(root, ignore_errors=True)
        return Path(shutil.copytree(self.ready, root))

    def act(self, ds: Dataset) -> object:
        """What is interrupted."""
        return ds.apply() if self.direction == "apply" else ds.undo_apply()

    def broken_now(self, root: Path) -> list[str]:
        """Before any recovery: nothing lost, nothing half-written. Two names of one file are allowed."""
        here = census(root)
        return ["lost"] * len(self.known.keys() - here.keys()) + ["half-written"] * len(here.keys() - self.known.keys())

    def broken_after(self, root: Path, *, whole: bool = True) -> list[str]:
        """After the last restart; `whole`: the plan is fully done or fully undone, and the way back works."""
        ds, here = Dataset(root), census(root)
        faults = ["lost"] * (self.known - here).total() + ["duplicated"] * (here - self.known).total()
        faults += ["leftover"] * len(leftovers(root))
        faults += ["unfinished"] * unfinished(root)
        faults += ["catalog"] * ({r.path: r.image_id for r in ds.images} != tree(root))
        return faults + (self._outcome(ds, root) if whole and not faults else [])

    def _outcome(self, ds: Dataset, root: Path) -> list[str]:
        done = tree(root) == self.after
        if not done and tree(root) != self.before:
            return ["state"]
        wanted = {path: want for path, want in DECISIONS.items() if not done or want[0] == "keep"}
        faults = ["decision"] * ({path: (d.kind, d.label) for path, d in ds.decisions.items()} != wanted)
        ds.undo_apply() if done else ds.apply()
        return faults + ["way back"] * (tree(root) != (self.before if done else self.after))


def forked(work: Callable[[], object]) -> int:
    """Run in a forked child; its exit status, negative for a signal."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except BaseException:  # the child must never return
            traceback.print_exc(file=sys.stderr)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
