"""Power cuts over the first opening, deciding, apply, undo and recovery: what was not forced to disk is forgotten."""

from __future__ import annotations

import random
import shutil
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from shoebox.data import Dataset
from tests.crash._bugs import seeded
from tests.crash._disk import Disk
from tests.crash._hooks import file_system, hooked
from tests.crash._world import DECISIONS, census, leftovers, pictures, unfinished


class StoppedError(BaseException):
    """Stands for SIGKILL where the disk's model has to live on."""


class Cutter:
    """Feeds the disk and, after each call, writes down `each` states that a power cut may leave."""

    def __init__(self, root: Path, into: Path, each: int, seed: str) -> None:
        self.disk, self.root, self.into, self.each = Disk(root), root, into, each
        self.rng = random.Random(seed)
        self.decided: list[str] = []
        self.cuts: list[tuple[Path, list[str]]] = []
        self.stop_at, self.count, self.cutting, self.busy = 0, 0, True, False

    def __call__(self, name: str, args: tuple[Any, ...], when: str, result: Any) -> None:
        if self.busy or threading.current_thread() is not threading.main_thread():  # the scan's threads: caches only
            return
        if when == "before":
            if self.stop_at and self.count >= self.stop_at and name != "close":
                raise StoppedError
            return
        self.count += 1
        self.disk.feed(name, args, result)
        self.busy = True
        for _ in range(self.each if self.cutting else 0):
            self._write()
        self.busy = False

    def _write(self) -> None:
        place = self.into / str(len(self.cuts))
        place.mkdir(parents=True)
        for path, data in self.disk.survivors(self.rng).items():
            if data is None:
                (place / path).mkdir()
            elif not path.startswith(".shoebox/catalog"):
                (place / path).write_bytes(data)
        for file in self.root.glob(".shoebox/catalog*"):
            if (place / ".shoebox").is_dir():
                shutil.copyfile(file, place / ".shoebox" / file.name)
        self.cuts.append((place, list(self.decided)))


def cuts(folder: Path, *, mode: str = "link", bug: str = "", each: int = 1, stride: int = 11,
         first: int = 0) -> dict[str, object]:
    """One run without a crash, then runs that are stopped on the way and recover; cuts at every call of each.

    With `first` no further run is made once something was found.
    """
    found, number = Counter[str](), 0
    with seeded(bug), file_system(mode):
        calls = _run(folder / "whole", each, 0, found)
        number += calls.pop("cuts")
        for stop_at in range(calls["before"] + 8, calls["after"], stride):
            if first and found:
                break
            number += _run(folder / f"stopped-{stop_at}", each, stop_at, found)["cuts"]
    return {"cuts": number, "found": dict(found)}


def _run(folder: Path, each: int, stop_at: int, found: Counter[str]) -> dict[str, int]:
    root = pictures(folder / "root")
    known = census(root)
    cutter = Cutter(root, folder / "cuts", each, f"cut {stop_at}")
    cutter.cutting = not stop_at
    with hooked(cutter):
        ds = Dataset(root)
        for path, (kind, label) in DECISIONS.items():
            ds.decide(path, kind, label)
            cutter.decided.append(path)
        before = cutter.count
        cutter.stop_at = stop_at
        try:
            ds.apply()
        except StoppedError:
            cutter.stop_at, cutter.cutting = 0, True
            ds = Dataset(root)
        after = cutter.count
        if not stop_at:
            ds.undo_apply()
    for place, decided in cutter.cuts:
        found.update(set(_broken(place, known, decided)))
    total = len(cutter.cuts)
    shutil.rmtree(folder)
    return {"cuts": total, "before": before, "after": after}


def _broken(root: Path, known: Counter[str], decided: list[str]) -> list[str]:
    here = census(root)
    faults = ["lost"] * len(known.keys() - here.keys()) + ["half-written"] * len(here.keys() - known.keys())
    ds = Dataset(root)
    here = census(root)
    faults += ["lost"] * (known - here).total() + ["duplicated"] * (here - known).total()
    faults += ["leftover"] * len(leftovers(root)) + ["unfinished"] * unfinished(root)
    written = {entry.decision.path for entry in ds._catalog.journal() if entry.decision}
    return faults + ["decision"] * len(set(decided) - written)
