"""Two processes on one data set: both apply at once, both decide at once."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path

from shoebox.data import Dataset
from shoebox.errors import DatasetError
from tests.crash._world import World, census, leftovers, tree, unfinished


def races(folder: Path, *, rounds: int = 100, decisions: int = 25) -> dict[str, object]:
    """In every round each picture moves once; whoever comes second gets a sentence, or finds nothing to do."""
    world, found, told, slowest = World(folder, "apply"), Counter[str](), 0, 0.0
    for _ in range(rounds):
        root = world.copy()
        answers = _at_once(root, "apply", 2)
        moved = sum(int(answer["moved"]) for answer in answers)
        refused = [answer for answer in answers if answer["sentence"]]
        told += len(refused)
        slowest = max([slowest, *(float(answer["seconds"]) for answer in refused)])
        Dataset(root)
        found.update({fault for fault, wrong in {
            "double apply": moved != 3, "state": tree(root) != world.after, "unfinished": unfinished(root),
            "files": census(root) != world.known, "leftover": bool(leftovers(root)),
            "no sentence": any("Another notebook" not in str(answer["sentence"]) for answer in refused),
        }.items() if wrong})
    root = world.copy()
    before = len(Dataset(root)._catalog.journal())
    answers = _at_once(root, f"decide {decisions}", 2)
    written = len(Dataset(root)._catalog.journal()) - before
    return {"rounds": rounds, "second_told": told, "slowest_refusal_s": round(slowest, 3), "found": dict(found),
            "decisions": sum(int(answer["moved"]) for answer in answers), "decisions_written": written}


def _at_once(root: Path, work: str, processes: int) -> list[dict[str, object]]:
    """Each opens the data set, waits for the word, and answers in JSON."""
    go_read, go_write = os.pipe()
    pipes = []
    for number in range(processes):
        reader, writer = os.pipe()
        if not os.fork():
            os.close(go_write)
            ds = Dataset(root)
            os.write(writer, b".")
            os.read(go_read, 1)
            os.write(writer, json.dumps(_work(ds, work, number)).encode())
            os._exit(0)
        os.close(writer)
        os.read(reader, 1)
        pipes.append(reader)
    os.close(go_read)
    os.close(go_write)  # the word
    answers = []
    for reader in pipes:
        with os.fdopen(reader, "rb") as pipe:
            answers.append(json.loads(pipe.read()))
        os.wait()
    return answers


def _work(ds: Dataset, work: str, number: int) -> dict[str, object]:
    start, moved, sentence = time.perf_counter(), 0, ""
    try:
        if work == "apply":
            moved = ds.apply().moved
        else:
            for count in range(int(work.split()[1])):
                ds.decide(ds.images[(count + number) % 7].path, "keep", who=str(number))
                moved += 1
    except DatasetError as error:
        sentence = str(error)
    return {"moved": moved, "sentence": sentence, "seconds": time.perf_counter() - start}
