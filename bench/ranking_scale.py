"""Ranking many pictures whose features are kept: seconds and peak memory, each size in a fresh process.

Random clusters of d = 512 in 20 classes with 5 % flips; neighbours, regression, both scores, the issues and their
order. It rewrites its table in bench/RESULTS.md. Run it with `python bench/ranking_scale.py [sizes]`.
"""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import hashlib, resource, sys, time
import numpy as np
from shoebox.data import ImageRecord
from shoebox.quality import rank_pictures
from shoebox.evaluation import out_of_fold_probabilities
n, d, n_classes = int(sys.argv[1]), 512, 20
rng = np.random.default_rng(0)
truth = rng.integers(0, n_classes, n)
centres = rng.normal(size=(n_classes, d)).astype(np.float32)
features = rng.standard_normal((n, d), np.float32)
features *= 2.5
features += centres[truth]
wrong = rng.random(n) < .05
labels = np.where(wrong, rng.integers(0, n_classes, n), truth)
wrong = labels != truth
records = []
for i, label in enumerate(labels):
    name = hashlib.sha256(str(i).encode()).hexdigest()
    records.append(ImageRecord(f"{label}/{i}.jpg", name, str(label), "valid" if i % 5 == 0 else "train", name, 640, 480,
                               50_000, 0, "JPEG", .9, .1, 90.0, 7.0))
spent = []
def regress(*arguments):
    start = time.perf_counter()
    found = out_of_fold_probabilities(*arguments)
    spent.append(time.perf_counter() - start)
    return found
import sklearn.linear_model
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, cpu = time.perf_counter(), time.process_time()
ranking = rank_pictures(records, features, regress, features_reason="random")
seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
order = [int(i.path.partition("/")[2][:-4]) for i in ranking.only(kind="label")]
hits = wrong[order]
precision = np.cumsum(hits) / np.arange(1, n + 1)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(seconds, cpu, spent[0], peak / 1024, before / 1024, (precision * hits).sum() / hits.sum())
"""


def main() -> None:
    from results import write_section

    sizes = [int(text) for text in sys.argv[1:]] or [10_000, 100_000]
    rows = []
    for n in sizes:
        done = subprocess.run([sys.executable, "-c", CODE, str(n)], capture_output=True, text=True, check=True)
        seconds, cpu, regression, peak_mb, before_mb, ap = (float(text) for text in done.stdout.split())
        rows.append(f"| {n:,} | {seconds:.1f} | {cpu:.1f} | {regression:.1f} | {peak_mb:.0f} | {before_mb:.0f} "
                    f"| {ap:.3f} |")
        print(rows[-1], flush=True)
    write_section("Ranking many pictures", (
        f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}. Features kept, d = 512, 20 classes, 5 % "
        f"flips. `python bench/ranking_scale.py {' '.join(map(str, sizes))}`\n\n"
        "| pictures | seconds | CPU seconds | regression, seconds | peak memory, MB | before the ranking, MB | AP |\n"
        "|---|---|---|---|---|---|---|\n" + "\n".join(rows)))


if __name__ == "__main__":
    main()
