"""How often the estimate of what is left to find holds: reviews of planted noise, stopped at five moments.

Digits and patches of photographs, ranked before any training. A perfect person looks from the top; after 3 to 40 %
of the pictures the estimate is compared with the truth. It rewrites its table in bench/RESULTS.md. Run it with
`python bench/stopping.py [seeds]`.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections import defaultdict

import numpy as np
import ranking_runs
from results import write_section

MOMENTS = (.03, .06, .10, .20, .40)
FIRST_SEED = 100  # the prior was chosen on seeds 0 to 3


def scores_of(run: ranking_runs.Run) -> tuple[np.ndarray, np.ndarray]:
    """Scores before any training and which pictures are wrong."""
    from shoebox import quality
    from shoebox.data import outlines
    from shoebox.evaluation import out_of_fold_probabilities

    rng = np.random.default_rng([run.seed, run.n])
    images, truth, n_classes = ranking_runs.draw(run.pictures, run.n, rng)
    given, wrong = ranking_runs.plant(run, images, truth, n_classes, rng)
    labels, alone = np.asarray(given), np.arange(run.n)
    directions = quality.unit_directions(outlines(images))
    near = quality.find_neighbours(directions, alone, quality.neighbours_wanted(run.n, n_classes))
    pred_probs = (quality.neighbour_probabilities(labels, near, n_classes)
                  + out_of_fold_probabilities(directions, labels, alone, n_classes)) / 2
    return quality.label_quality_scores(labels, pred_probs), wrong


def main() -> None:
    from shoebox.quality import review_progress

    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rows = defaultdict(list)
    seconds = []
    for pictures, n, seed, fault, rate in itertools.product(
            ("digits", "photos"), (300, 1000), range(FIRST_SEED, FIRST_SEED + seeds), ("uniform", "look-alike"),
            (0.0, .02, .08, .20)):
        scores, wrong = scores_of(ranking_runs.Run(pictures, fault, rate, n, seed))
        order = np.argsort(scores, kind="stable")
        for moment in MOMENTS:
            seen = order[:max(10, round(moment * n))]
            start = time.perf_counter()
            progress = review_progress(wrong[seen], seen, scores)
            seconds.append(time.perf_counter() - start)
            left = int(wrong.sum() - wrong[seen].sum())
            held = progress.remaining_low <= left <= progress.remaining_high
            row = held, left, progress.remaining, progress.remaining_high - progress.remaining_low
            for key in ("all", f"{moment:.0%} seen", f"{rate:.0%} wrong", pictures):
                rows[key].append(row)
    table = "\n".join(f"| {key} | {len(values)} | " + " | ".join(
        f"{number:.{digits}f}" for number, digits in zip(np.mean(values, axis=0), (3, 1, 1, 1), strict=True)) + " |"
        for key, values in rows.items())
    write_section("How many wrong labels are left", (
        f"{seeds} seeds, N = 300 and 1,000, uniform and look-alike flips; one estimate takes "
        f"{1000 * float(np.median(seconds)):.1f} ms (median). Planted flips are easier than real ones. "
        f"`python bench/stopping.py {seeds}`\n\n"
        "| reviews | n | interval holds | truly left, mean | estimated, mean | width, mean |\n"
        "|---|---|---|---|---|---|\n"
        + table))


if __name__ == "__main__":
    main()
