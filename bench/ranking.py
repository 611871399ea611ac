"""Our ranking against fastai's order and cleanlab's scores and sets: same pictures, seeds and trainings.

Every run plants faults, trains a small network for 40 epochs and is kept below a folder outside the repository, so
that a bench that was stopped goes on. fastai's order is what ImageClassifierCleaner sorts by after those epochs;
cleanlab scores the very probabilities that our ranking uses. It rewrites its tables in bench/RESULTS.md and draws
bench/ranking.png. Run it with `python bench/ranking.py [--runs FOLDER] [--seeds 5] [--sizes 100 300 1000 1797]
[--kept-only]`; ten runs of 1,797 pictures take about half an hour on one quiet core.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import ranking_runs
from results import write_section

SCORES = ("before training", "after training", "fastai's order", "self_confidence", "normalized_margin",
          "confidence_weighted_entropy")
LANES = ("neighbours", "regression", "recorder", "mean of all three")


def judged(data: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Probabilities of every lane, and the seconds each needs."""
    from shoebox import quality
    from shoebox.evaluation import out_of_fold_probabilities
    from shoebox.quality._lanes import without_opinion

    labels, groups, n_classes = data["labels"], data["groups"], data["recorder"].shape[1]
    start = time.perf_counter()
    directions = quality.unit_directions(data["features"])
    near = quality.find_neighbours(directions, groups, quality.neighbours_wanted(len(labels), n_classes))
    votes = quality.neighbour_probabilities(labels, near, n_classes)
    between = time.perf_counter()
    fitted = out_of_fold_probabilities(directions, labels, groups, n_classes)
    end = time.perf_counter()
    frozen = (votes + fitted) / 2
    frozen[without_opinion(labels, groups)] = 1 / n_classes
    recorded = data["recorder"].astype(np.float64)
    filled = np.where(np.isnan(recorded), frozen, recorded)
    probabilities = {
        "neighbours": votes, "regression": fitted, "recorder": filled, "before training": frozen,
        "mean of all three": (votes + fitted + filled) / 3,
        "after training": quality.combine_lanes(labels, frozen, recorded, data["valid"]),
        "distance": quality.neighbour_distances(data["features"], near)}
    return probabilities, {"neighbours": between - start, "regression": end - between}


def suspicions(data: dict[str, Any], probabilities: dict[str, np.ndarray],
               seconds: dict[str, float] | None = None) -> dict[str, np.ndarray]:
    """One number per picture and method; higher is more suspicious. `seconds` gets those of cleanlab's three scores."""
    from cleanlab.rank import get_label_quality_scores

    from shoebox.quality import label_quality_scores

    labels, after = data["labels"], probabilities["after training"]
    found = {name: -label_quality_scores(labels, probabilities[name])
             for name in (*LANES, "before training", "after training")}
    found["fastai's order"] = data["losses"]
    start = time.perf_counter()
    for method in SCORES[3:]:
        found[method] = -get_label_quality_scores(
            labels, after, method=method, adjust_pred_probs=False)
    if seconds is not None:
        seconds["cleanlab's scores"] = time.perf_counter() - start
    found["self_confidence before training"] = -get_label_quality_scores(
        labels, probabilities["before training"], method="self_confidence", adjust_pred_probs=False)
    return found


def cleanlab_set(data: dict[str, Any], probabilities: dict[str, np.ndarray],
                 seconds: dict[str, float]) -> tuple[float, float, float]:
    """Pictures that cleanlab flags, as a share of the planted ones; its precision and its recall."""
    from cleanlab.filter import find_label_issues

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        flagged = find_label_issues(data["labels"], probabilities["after training"], n_jobs=1)
        seconds["cleanlab's set"] = time.perf_counter() - start
    hits = (flagged & data["planted"]).sum()
    planted = max(1, data["planted"].sum())
    return flagged.sum() / planted, hits / max(1, flagged.sum()), hits / planted


def strangers(data: dict[str, Any], probabilities: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """For planted pictures of no class; higher is stranger."""
    from cleanlab.outlier import OutOfDistribution

    theirs = OutOfDistribution().fit_score(features=data["features"], verbose=False)
    return {"our distance": probabilities["distance"], "cleanlab OutOfDistribution": -theirs,
            "label ranking after training": suspicions(data, probabilities)["after training"],
            "fastai's order": data["losses"]}


def sides(data: dict[str, Any], suspicion: np.ndarray) -> tuple[float, float]:
    """Of the planted ones of each side, the share that stands among as many first pictures as were planted."""
    first = np.zeros(len(suspicion), bool)
    first[np.argsort(-suspicion, kind="stable")[:data["planted"].sum()]] = True
    found = []
    for side in (~data["valid"], data["valid"]):
        wanted = data["planted"] & side
        found.append((first & wanted).sum() / wanted.sum() if wanted.any() else np.nan)
    return found[0], found[1]


def cell(values: list[float], digits: int = 3) -> str:
    """Mean with the range."""
    return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def measure(runs: list[ranking_runs.Run], folder: Path) -> dict[str, dict[Any, list[Any]]]:
    """All figures of all runs."""
    from sklearn.metrics import average_precision_score

    out: dict[str, dict[Any, list[Any]]] = {name: defaultdict(list) for name in
                                            ("ap", "gains", "lanes", "sets", "outliers", "seconds", "sides", "curves")}
    for run in runs:
        data = ranking_runs.load(run, folder)
        probabilities, seconds = judged(data)
        key = (run.pictures, run.n, f"{run.fault} {run.rate:.0%}")
        if run.fault == "outliers":
            for name, values in strangers(data, probabilities).items():
                out["outliers"][*key[:2], name].append(average_precision_score(data["planted"], values))
            continue
        found = suspicions(data, probabilities, seconds)
        aps = {name: average_precision_score(data["planted"], values) for name, values in found.items()}
        out["ap"][key].append([aps[name] for name in SCORES])
        out["gains"]["before"].append(aps["before training"] - aps["self_confidence before training"])
        out["gains"]["after"].append(aps["after training"] - aps["self_confidence"])
        out["lanes"][key].append([aps[name] for name in LANES])
        out["sets"][run.pictures, run.n].append(cleanlab_set(data, probabilities, seconds))
        out["sides"][run.pictures, run.n].append(sides(data, found["after training"]))
        out["seconds"][run.pictures, run.n].append([*data["seconds"], *seconds.values()])
        out["curves"][key].append({name: np.cumsum(data["planted"][np.argsort(-found[name], kind="stable")])
                                   for name in ("before training", "after training", "fastai's order")})
        print(f"{run.name}: " + ", ".join(f"{name} {value:.3f}" for name, value in aps.items()), flush=True)
    return out


def tables(out: dict[str, dict[Any, list[Any]]]) -> str:
    """Everything as Markdown."""
    def table(head: tuple[str, ...], rows: list[str]) -> str:
        return f"| {' | '.join(head)} |\n|{'---|' * len(head)}\n" + "\n".join(rows) + "\n"

    def rows(name: str, columns: int) -> list[str]:
        return [f"| {' | '.join(map(str, key))} | " + " | ".join(
            cell([values[column] for values in found]) for column in range(columns)) + f" | {len(found)} |"
            for key, found in sorted(out[name].items(), key=str)]

    both = np.asarray([pair for found in out["sides"].values() for pair in found], float)
    key = ("pictures", "N", "fault")
    return "\n".join([
        "Average precision of finding the planted labels, mean (least to most) over seeds:\n",
        table((*key, *SCORES, "seeds"), rows("ap", len(SCORES))),
        "Ours minus cleanlab's self_confidence on the same probabilities: " + "; ".join(
            f"{when} training mean {np.mean(gain):+.4f}, worst {min(gain):+.3f} over {len(gain)} runs"
            for when, gain in out["gains"].items()) + ".\n\nEach lane alone, and their plain mean:\n",
        table((*key, *LANES, "seeds"), rows("lanes", len(LANES))),
        "cleanlab's flagged set on the same probabilities (its size over the number planted, precision, recall):\n",
        table(("pictures", "N", "size", "precision", "recall", "runs"), rows("sets", 3)),
        f"Planted labels found among as many first pictures as were planted: {np.nanmean(both[:, 0]):.3f} of those "
        f"on the training side, {np.nanmean(both[:, 1]):.3f} of those on the validation side.\n\nSeconds; cleanlab's "
        "are on probabilities that are there already:\n",
        table(("pictures", "N", "training (fastai needs it too)", "fastai's order", "features", "neighbours",
               "regression", "cleanlab's three scores", "cleanlab's set", "runs"), rows("seconds", 7)),
        "Average precision of finding planted pictures of no class (5 %):\n",
        table(("pictures", "N", "method", "AP", "seeds"),
              [f"| {' | '.join(map(str, name))} | {cell(values)} | {len(values)} |"
               for name, values in sorted(out["outliers"].items(), key=str)])])


def plot(out: dict[str, dict[Any, list[Any]]]) -> None:
    """Problems found against pictures looked at, for the largest sets with 10 % look-alike flips."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    found = {pictures: max((key for key in out["curves"] if key[0] == pictures and key[2] == "look-alike 10%"),
                           key=lambda key: key[1], default=None) for pictures in ("digits", "photos")}
    keys = [key for key in found.values() if key]
    figure, axes = plt.subplots(1, len(keys), figsize=(4 * len(keys), 3), squeeze=False)
    for ax, key in zip(axes[0], keys, strict=True):
        for name, style in (("after training", "-"), ("before training", "--"), ("fastai's order", "-.")):
            ax.plot(np.mean([curve[name] for curve in out["curves"][key]], axis=0), style, label=name)
        total = out["curves"][key][0]["after training"][-1]
        ax.plot([0, key[1]], [0, total], ":", color="grey", label="at random")
        ax.set(xlim=(0, key[1] / 2), xlabel="pictures looked at", ylabel="wrong labels found",
               title=f"{key[0]}, {key[1]} pictures, {total} wrong")
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=Path, default=Path.home() / ".cache" / "shoebox-bench" / "ranking")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(ranking_runs.SIZES))
    parser.add_argument("--kept-only", action="store_true", help="train nothing; report what is there")
    options = parser.parse_args()
    runs = [run for run in ranking_runs.all_runs(tuple(options.sizes), options.seeds)
            if not options.kept_only or (options.runs / f"{run.name}.npz").is_file()]
    out = measure(runs, options.runs)
    plot(out)
    write_section("Ranking wrong labels", (
        f"{ranking_runs.EPOCHS} epochs of a small network on 32 x 32 pictures, one thread; {len(runs)} runs. Planted "
        "faults flatter every method.\n\n" + tables(out)))


if __name__ == "__main__":
    main()
