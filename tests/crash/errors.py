"""A full, forbidden, failing or read-only disk at every call of apply and undo: once, and from there on."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from shoebox.data import ApplyResult, Dataset
from shoebox.errors import DatasetError
from tests.crash._hooks import file_system, hooked
from tests.crash._world import World, census, tree

FAULTS = {errno.ENOSPC: "database or disk is full", errno.EACCES: "unable to open database file",
          errno.EIO: "disk I/O error", errno.EROFS: "attempt to write a readonly database"}


class Failing:
    """Lets the call with number `at` fail, and with `on` all that follow."""

    def __init__(self, at: int, code: int, on: bool) -> None:
        self.at, self.code, self.on = at, code, on
        self.count = 0

    def __call__(self, name: str, args: tuple[Any, ...], when: str, result: Any) -> None:
        if when != ("after" if name == "close" else "before"):  # a failing close has closed all the same
            return
        self.count += 1
        if self.count == self.at or (self.on and self.count > self.at):
            if name == "sql":
                raise sqlite3.OperationalError(FAULTS[self.code])
            raise OSError(self.code, os.strerror(self.code))


def errors(folder: Path, *, direction: str = "apply", mode: str = "link", step: int = 1) -> dict[str, object]:
    """Every call times every fault; then the disk is well again, and the data set is opened anew."""
    found, tried, stopped = Counter[str](), 0, 0
    with file_system(mode):
        world = World(folder, direction)
        for on in (False, True):
            for code in FAULTS:
                for at in range(1, 10_000, step):
                    failing = Failing(at, code, on)
                    outcome, faults = _try(world, failing)
                    if failing.count < at:
                        break
                    tried += 1
                    stopped += isinstance(outcome, DatasetError)
                    found.update(set(faults))
    return {"faults": tried, "stopped_with_a_sentence": stopped, "found": dict(found)}


def _try(world: World, failing: Failing) -> tuple[object, list[str]]:
    root = world.copy()
    ds = Dataset(root)
    outcome: object
    try:
        with hooked(failing):
            outcome = world.act(ds)
    except Exception as error:
        outcome = error
    faults = [f"{fault} at once" for fault in world.broken_now(root)] + _unreported(world, outcome, root)
    faults += world.broken_after(root, whole=False)
    return outcome, faults + _tried_again(world, root)


def _unreported(world: World, outcome: object, root: Path) -> list[str]:
    """Every file is moved or named with a sentence, or the whole was stopped with one."""
    if isinstance(outcome, DatasetError):
        return ["no sentence"] * (len(str(outcome)) < 30)
    if not isinstance(outcome, ApplyResult):
        return [f"raised {type(outcome).__name__}"]
    want = world.after if world.direction == "apply" else world.before
    arrived = len(want.items() & tree(root).items()) - len(world.before.items() & world.after.items())
    if world.direction == "apply":  # one of the three goes to the trash
        arrived += len(world.before) - len(tree(root))
    faults = ["miscounted"] * (outcome.moved + len(outcome.failed) != 3 or outcome.moved != arrived)
    return faults + ["no sentence"] * any(item.path not in item.sentence for item in outcome.failed)


def _tried_again(world: World, root: Path) -> list[str]:
    """What failed can be done now: the same pictures end in the same classes."""
    ds = Dataset(root)
    if world.direction == "apply":
        ds.apply()
        want = world.after
    else:
        while tree(root) != world.before:
            try:
                ds.undo_apply()
            except DatasetError:
                break
        want = world.before
    return ["not repeatable"] * (_classes(tree(root)) != _classes(want) or census(root) != world.known)


def _classes(files: dict[str, str]) -> Counter[tuple[str, str]]:
    return Counter((path.split("/")[0], image_id) for path, image_id in files.items())
