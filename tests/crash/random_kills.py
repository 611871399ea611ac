"""SIGKILL at random instants of a real process that scans, decides, undoes, applies, takes back and restores."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

from shoebox.data import Dataset, sha256_file
from shoebox.errors import DatasetError
from tests._pictures import CYRILLIC, draw, save
from tests.crash._world import census, leftovers, pictures, tree, unfinished


def random_kills(folder: Path, *, kills: int = 300, seed: int = 0) -> dict[str, object]:
    """One data set lives through all of them; new pictures come while the process runs."""
    root, rng, found, number = pictures(folder / "root"), random.Random(seed), Counter[str](), 100
    known, acknowledged, effective, added = census(root), 0, 0, 0
    during = Counter[str]()
    for _ in range(kills * 2):
        if effective == kills:
            break
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            with contextlib.suppress(BaseException):
                _live(root, writer, rng.randrange(2**32))
            os._exit(1)
        os.close(writer)
        os.read(reader, 6)  # it is open
        if number < 130 and rng.random() < 0.3:
            number += 1
            new = save(folder / "new.png", draw(number, (16, 12)))
            known[sha256_file(new)] += 1
            new.rename(root / "black" / f"new-{number}.png")
            added += 1
        time.sleep(rng.random() * 0.06)
        os.kill(child, signal.SIGKILL)
        effective += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        told = _all(reader).decode().split("\n")[:-1]
        during[next((line for line in reversed(told) if not line[0].isdigit()), "open")] += 1
        decided = [line.split("\t") for line in told if line[0].isdigit()]
        acknowledged += len(decided)
        found.update(set(_broken(root, known, decided)))
    return {"kills": effective, "decisions_acknowledged": acknowledged, "pictures_added": added,
            "killed_during": dict(during), "found": dict(found)}


def _live(root: Path, writer: int, seed: int) -> None:
    """Work for ever; say what is done, and each decision once it is written down."""
    rng, ds = random.Random(seed), Dataset(root)
    os.write(writer, b"open..")
    while True:
        name = rng.choice(("scan", "decide", "decide", "undo_decision", "redo_decision", "apply", "undo_apply",
                           "restore"))
        os.write(writer, f"{name}\n".encode())
        with contextlib.suppress(DatasetError):  # nothing to undo, nothing to restore
            if name == "decide":
                path = rng.choice([record.path for record in ds.images])
                kind, label = rng.choice((("remove", None), ("keep", None), ("relabel", "black"),
                                          ("relabel", "grizzly"), ("relabel", CYRILLIC)))
                decision = ds.decide(path, kind, label)
                os.write(writer, f"{decision.seq}\t{path}\t{kind}\n".encode())
            else:
                getattr(ds, name)()


def _broken(root: Path, known: Counter[str], decided: list[list[str]]) -> list[str]:
    now = census(root)
    faults = ["lost"] * len(known.keys() - now.keys()) + ["half-written"] * len(now.keys() - known.keys())
    ds, here = Dataset(root), census(root)
    faults += ["lost"] * (known - here).total() + ["duplicated"] * (here - known).total()
    faults += ["leftover"] * len(leftovers(root)) + ["unfinished"] * unfinished(root)
    faults += ["catalog"] * ({record.path: record.image_id for record in ds.images} != tree(root))
    written = {entry.seq: entry.decision for entry in ds._catalog.journal()}
    for seq, path, kind in decided:
        entry = written.get(int(seq))
        faults += ["decision"] * (entry is None or (entry.path, entry.kind) != (path, kind))
    return faults


def _all(reader: int) -> bytes:
    with os.fdopen(reader, "rb") as pipe:
        return pipe.read()
