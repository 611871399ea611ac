"""The image door against hostile and mutated files: time and memory of each, in a process of its own.

The corpus is that of tests/_hostile.py, the mutants are those of tests/_mutants.py; fastai's own `PILImage.create` sees
the first 2,000 of them for comparison. It adds a table to bench/RESULTS.md. Run it with
`python bench/hostile.py [number of mutants]`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from results import write_section

sys.path.insert(0, str(Path(__file__).parent.parent))

# `opened` and the causes are counted; what is no ImageError would be a leak.
OURS = r"""
import json, re, sys, time, warnings
from collections import Counter
from tests._mutants import mutants
from shoebox.data import decode_image
from shoebox.errors import ImageError
warnings.simplefilter("ignore")
def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
answers, slowest = Counter(), 0.0
files = list(mutants(int(sys.argv[1])))
before = peak()
for data in files:
    start = time.perf_counter()
    try:
        decode_image(data); answer = "opened"
    except ImageError as error:
        answer = error.cause if str(error) else "no sentence"
    except Exception as error:
        answer = "leak: " + type(error).__name__
    slowest = max(slowest, time.perf_counter() - start)
    answers[answer] += 1
print(json.dumps([answers, slowest, (peak() - before) * 1024 / 1e6]))
"""
THEIRS = OURS.replace("from shoebox.data import decode_image", "from fastai.vision.all import PILImage").replace(
    "decode_image(data)", "PILImage.create(data)").replace('"leak: " + ', "")


def mutants(code: str, n: int) -> tuple[Counter[str], float, float]:
    """All mutants in one fresh process: answers, the slowest in seconds, the peak above the beginning in MB."""
    done = subprocess.run([sys.executable, "-c", code, str(n)], capture_output=True, text=True, check=False,
                          cwd=Path(__file__).parent.parent)
    if done.returncode:
        raise SystemExit(f"crashed with {done.returncode}: {done.stderr[-2000:]}")
    answers, slowest, peak = json.loads(done.stdout.splitlines()[-1])
    return Counter(answers), slowest, peak


def corpus_lines() -> list[str]:
    """The corpus: how many had the right outcome, and the largest figures with their files."""
    from tests._hostile import corpus
    from tests._measured import measured

    with tempfile.TemporaryDirectory() as name:
        cases = []
        for number, case in enumerate(corpus()):
            (Path(name) / f"{number:03}").write_bytes(case.data)
            cases.append((case.name, case.expected, case.bomb))
        found = measured(Path(name))
    rows = [(*case, found[f"{number:03}"]) for number, case in enumerate(cases)]
    lines = ["| files | right outcome | slowest, s | largest memory above base, MB | median s |",
             "|---|---|---|---|---|"]
    for words, chosen in (("bombs (row 3 and 4)", [row for row in rows if row[2]]), ("the whole corpus", rows)):
        right = sum(not done.crash and (done.cause or done.size) == expected for _, expected, _, done in chosen)
        slow = max(chosen, key=lambda row: row[3].seconds)
        heavy = max(chosen, key=lambda row: row[3].peak_mb)
        lines.append(f"| {words} | {right} of {len(chosen)} | {slow[3].seconds:.2f} ({slow[0]}) | "
                     f"{heavy[3].peak_mb:.0f} ({heavy[0]}) | "
                     f"{statistics.median(row[3].seconds for row in chosen):.4f} |")
    return lines


def main() -> None:
    """Measure, print, and add the table to RESULTS.md."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    lines = corpus_lines()
    answers, slowest, peak = mutants(OURS, n)
    theirs, their_slowest, their_peak = mutants(THEIRS, min(n, 2_000))
    lines += ["", "| mutated files | answers | slowest, s | peak, MB |", "|---|---|---|---|"]
    for words, total, row in ((f"Shoebox, {n:,}", n, (answers, slowest, peak)),
                              (f"PILImage.create, the first {min(n, 2_000):,}", min(n, 2_000),
                               (theirs, their_slowest, their_peak))):
        assert row[0].total() == total
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in row[0].most_common())
        lines.append(f"| {words} | {kinds} | {row[1]:.2f} | {row[2]:.0f} |")
    write_section("Hostile and mutated files",
                  f"Each file of the corpus in a process of its own. `python bench/hostile.py {n}`\n\n" +
                  "\n".join(lines))


if __name__ == "__main__":
    main()
