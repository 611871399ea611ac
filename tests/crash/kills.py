"""SIGKILL before and after every file-system call and SQL statement of apply and undo, and again in recovery."""

from __future__ import annotations

import random
import signal
from collections import Counter
from functools import partial
from pathlib import Path

from shoebox.data import Dataset
from tests.crash._bugs import seeded
from tests.crash._hooks import Killer, file_system, hooked
from tests.crash._world import World, forked, unfinished


def kills(folder: Path, *, direction: str = "apply", mode: str = "link", bug: str = "", step: int = 1,
          first: str = "") -> dict[str, object]:
    """Every `step`-th point; per point three more kills in recovery, then the last restart and the count.

    It ends with the first fault of the kind `first`.
    """
    rng, found, recovery = random.Random(f"{direction} {mode}"), Counter[str](), 0
    points, states = 0, 0
    with seeded(bug), file_system(mode):
        world = World(folder, direction)
        for point in range(1, 10_000, step):
            root = world.copy()
            if forked(partial(_die, world, root, point)) == 0:
                break
            points += 1
            faults = world.broken_now(root)
            killed = [forked(partial(_die_reopening, root, rng.randint(1, 40))) == -signal.SIGKILL
                      for _ in range(3 if unfinished(root) else 0)]
            recovery += sum(killed)
            states += any(killed)
            faults += world.broken_now(root)
            try:
                faults += world.broken_after(root)
            except Exception as error:
                if not bug:
                    raise
                faults.append(type(error).__name__)
            found.update(set(faults))
            if first in found:
                break
    return {"points": points, "recovery_kills": recovery, "points_with_recovery": states, "found": dict(found)}


def _die(world: World, root: Path, point: int) -> None:
    ds = Dataset(root)
    with hooked(Killer(point)):
        world.act(ds)


def _die_reopening(root: Path, point: int) -> None:
    """Killed while it finishes what was cut short, and not while it scans."""
    real = Dataset._resume

    def resume(self: Dataset) -> tuple[str, ...]:
        with hooked(Killer(point)):
            return real(self)

    Dataset._resume = resume  # type: ignore[method-assign]
    Dataset(root)
