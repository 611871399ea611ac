"""The crash harness in full: kills at every call, random kills, power cuts, failing disks, races, and seeded bugs.

It prints each count and writes a table into bench/RESULTS.md. Run it with `python bench/crash.py`, or with the
names of experiments (kills, cuts, errors, random_kills, races, bugs) to run and print only those.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results import write_section

ROOT = Path(__file__).resolve().parents[1]
MEMORY = Path("/dev/shm")
RUNS = (
    *(("kills", {"mode": mode, "direction": way}) for mode in ("link", "exdev", "nolink") for way in ("apply", "undo")),
    ("random_kills", {"kills": 300}),
    *(("cuts", {"mode": mode}) for mode in ("link", "exdev")),
    *(("errors", {"mode": mode, "direction": way}) for mode in ("link", "exdev") for way in ("apply", "undo")),
    ("races", {"rounds": 100}),
    *(("kills", {"bug": bug}) for bug in ("unlink first", "replay makes a second copy", "copy to the final name")),
    *(("cuts", {"bug": bug}) for bug in ("names not forced to the disk", "new folders not forced to the disk",
                                         "recovery unlinks before the new name is on the disk")),
    ("cuts", {"bug": "copies not forced to the disk", "mode": "exdev"}),
)


def run(name: str, settings: dict[str, object]) -> tuple[dict[str, object], float]:
    """One experiment in a process of its own; its counts and its seconds."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as folder:
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "tests.crash", name, folder,
                               *(f"{key}={value}" for key, value in settings.items())],
                              capture_output=True, text=True, check=True, cwd=ROOT)
        return json.loads(done.stdout), time.perf_counter() - start


def main() -> None:
    """Run them one after the other; the table is written when all have run."""
    wanted, lines = sys.argv[1:], []
    for name, settings in RUNS:
        if wanted and ("bugs" if "bug" in settings else name) not in wanted:
            continue
        counts, seconds = run(name, settings)
        found = ", ".join(f"{kind}: {count}" for kind, count in counts.pop("found").items()) or "nothing"
        what = " ".join((name.replace("_", " "), *(str(value) for value in settings.values())))
        how = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in counts.items()
                        if not isinstance(value, dict))
        lines.append(f"| {'bug put in: ' * ('bug' in settings)}{what} | {how} | {found} | {seconds:.0f} |")
        print(lines[-1], flush=True)
    if not wanted:
        write_section("Crash harness: what was lost", (
            "Seven pictures, three moves, one process per row. `python bench/crash.py`\n\n"
            "| experiment | how much | found | seconds |\n|---|---|---|---|\n" + "\n".join(lines)))


if __name__ == "__main__":
    main()
