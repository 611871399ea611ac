"""Our scores on published out-of-fold probabilities with known real errors.

    python bench/real_noise.py labels.npy pred_probs.npy errors.npy

labels (N,) are the given labels, 0 to K - 1; pred_probs (N, K) out-of-sample probabilities; errors either a boolean
(N,) that says which given labels are wrong, or the true labels (N,). Average precision and precision among the first
pictures, for our scores, the log-odds margin and two of cleanlab's scores on the same probabilities. Rows that do not
add up to 1 by more than rounding are refused, as are NaN and other shapes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def known_errors(labels: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Which given labels are wrong, from booleans or from true labels."""
    from shoebox.errors import PredictionsError

    if errors.shape != labels.shape:
        raise PredictionsError(f"errors has shape {errors.shape}, labels {labels.shape}; the same was expected.")
    wrong = errors if errors.dtype == bool else errors != labels
    if not wrong.any() or wrong.all():
        raise PredictionsError(f"{wrong.sum()} of {len(wrong)} labels are marked as wrong; some, but not all, were "
                               "expected. Give a boolean array, or the true labels.")
    return np.asarray(wrong, bool)


def score(labels: np.ndarray, pred_probs: np.ndarray, errors: np.ndarray) -> dict[str, dict[str, float]]:
    """Per score: average precision (ap), precision among the first 50, 100 and as many as there are errors."""
    from sklearn.metrics import average_precision_score

    from shoebox.errors import PredictionsError
    from shoebox.quality import checked_probabilities, label_quality_scores, log_odds_margin

    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or pred_probs.ndim != 2:
        raise PredictionsError(f"labels {labels.dtype} {labels.shape} and pred_probs {pred_probs.shape} came; integers "
                               "(N,) and numbers (N, K) were expected.")
    given = labels.astype(np.int64)
    wrong = known_errors(labels, errors)
    table = checked_probabilities(given, pred_probs, pred_probs.shape[1])
    rows = np.arange(len(given))
    others = table.copy()
    others[rows, given] = -1
    suspicion = {"label_quality_scores": -label_quality_scores(given, table),
                 "log_odds_margin": -log_odds_margin(given, table), "self_confidence": -table[rows, given],
                 "normalized_margin": others.max(axis=1) - table[rows, given]}
    found = {}
    for name, values in suspicion.items():
        hits = wrong[np.argsort(-values, kind="stable")]
        found[name] = {"ap": float(average_precision_score(wrong, values))} | {
            f"first {n}": float(hits[:n].mean()) for n in (50, 100, int(wrong.sum()))}
    return found


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    labels, pred_probs, errors = (np.load(Path(name), allow_pickle=False) for name in sys.argv[1:])
    print(f"{len(labels)} pictures, {pred_probs.shape[1]} classes, {known_errors(labels, errors).sum()} known errors")
    for name, figures in score(labels, pred_probs, errors).items():
        print(f"{name:18}" + "".join(f"  {key}: {value:.3f}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
