"""None of these, on handwritten digits: 0 to 6 are known, 7 to 9 are near, noise and textures are far.

For each of 20 seeds and each size a small network is trained on that many pictures a class; 15 a class (25 for 100) are
held out to fit on, and a third split that neither has seen counts the false alarms. That split is finite too, so even
a perfect fit falls outside the band now and then: how often is computed and shown beside it.
The real parts are used: `fit_honest`, `novelty.npz` written and read, and the app's scoring. `python bench/novelty.py`
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from results import cell, write_section

SEEDS = 20
SIZES = (15, 100)
KNOWN = 7
HELD_OUT = {15: 15, 100: 25}
EPOCHS = {15: 60, 100: 25}
INSIDE = "inside the 90 % band"
SHOWN = "inside the 90 % band of what a third split of that size shows"


def pictures(seed):
    """Digits as 32 x 32 grey floats in three splits per size; near and far pictures."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.kron(digits.images / 16, np.ones((4, 4))).astype(np.float32)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    images, labels = images[order], digits.target[order]
    return images, labels, far(rng)


def far(rng):
    """Noise of four kinds, stripes, checks, spots and plain pictures: 320 that are no digits."""
    found = []
    y, x = np.mgrid[:32, :32]
    for _ in range(40):
        angle, period = rng.uniform(0, np.pi), rng.uniform(3, 12)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
        coarse = np.kron(rng.random((8, 8)), np.ones((4, 4)))
        cells = np.kron(rng.integers(0, 2, (8, 8)), np.ones((4, 4)))
        spots = np.exp(-((x - rng.uniform(0, 32)) ** 2 + (y - rng.uniform(0, 32)) ** 2) / rng.uniform(20, 400))
        found += [rng.random((32, 32)), rng.normal(0.5, 0.3, (32, 32)), coarse, cells, (wave + 1) / 2, wave > 0,
                  spots, np.full((32, 32), rng.random())]
    return np.clip(np.stack(found), 0, 1).astype(np.float32)


def network(seed, images, labels, epochs):
    """A small convolutional network in torch, trained on the known classes; gives features and probabilities."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Conv2d(1, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU(), nn.Conv2d(24, 48, 3, 2, 1),
                         nn.BatchNorm2d(48), nn.ReLU(), nn.Conv2d(48, 64, 3, 2, 1), nn.BatchNorm2d(64), nn.ReLU(),
                         nn.Flatten(), nn.Dropout(0.1), nn.Linear(1024, 128), nn.ReLU())
    head = nn.Linear(128, KNOWN)
    whole = nn.Sequential(body, head)
    x, y = torch.from_numpy(images)[:, None], torch.from_numpy(labels)
    steps = torch.optim.AdamW(whole.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(steps, 4e-3, total_steps=epochs * -(-len(x) // 32))
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(32):
            if len(batch) > 1:
                shift = tuple(torch.randint(-2, 3, (2,)).tolist())
                loss = nn.functional.cross_entropy(whole(torch.roll(x[batch], shift, (2, 3))), y[batch])
                steps.zero_grad()
                loss.backward()
                steps.step()
            schedule.step()
    whole.eval()

    def answers(pictures):
        with torch.no_grad():
            features = body(torch.from_numpy(pictures)[:, None])
            return features.double().numpy(), torch.softmax(head(features), 1).double().numpy()

    return answers


def auroc(inside, outside):
    """Share of pairs in which the picture from outside scores higher."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([inside, outside]))[len(inside):]
    return (ranks.sum() - len(outside) * (len(outside) + 1) / 2) / len(inside) / len(outside)


def perfect(n, m, low, high):
    """How often the alarms of `m` new pictures lie inside the band when `n` set the threshold: beta-binomial."""
    from scipy.stats import betabinom

    alarms = int((n + 1) * 0.05 + 1e-9)  # as fit_honest has it
    return float(betabinom.cdf(np.floor(high * m), m, alarms, n + 1 - alarms)
                 - betabinom.cdf(np.ceil(low * m) - 1, m, alarms, n + 1 - alarms))


def observed(n, m):
    """The 90 % band of the alarms that `m` new pictures show: that of the rate, widened by their own chance."""
    from scipy.stats import betabinom

    alarms = int((n + 1) * 0.05 + 1e-9)
    low, high = betabinom.ppf([0.05, 0.95], m, alarms, n + 1 - alarms)
    return low / m, high / m


def one(seed, size):
    """The figures of one seed."""
    from shoebox.bundle._conformal import at_temperature
    from shoebox.bundle._export_novelty import fit_honest
    from shoebox.bundle._novelty import read_novelty

    images, labels, strange = pictures(seed)
    train, held, third = [], [], []
    for label in range(KNOWN):
        places = np.flatnonzero(labels == label)
        n_held = HELD_OUT[size]
        train += places[:size].tolist()
        held += places[size:size + n_held].tolist()
        third += places[size + n_held:].tolist()
    answers = network(seed, images[train], labels[train], EPOCHS[size])
    features, probabilities = answers(images[held])
    fitted = fit_honest(probabilities, features, labels[held], ["valid"] * len(held))
    model = read_novelty(fitted.model.to_bytes(), "novelty.npz", n_classes=KNOWN, n=len(held))
    low, high = fitted.novelty.band
    least, most = observed(len(held), len(third))
    known = model.p_values(*answers(images[third]))
    near, noise = (answers(x) for x in (images[labels >= KNOWN], strange))
    scores = [model.scores(*answers(images[third])), model.scores(*near), model.scores(*noise)]
    alarm = fitted.novelty.alarm_rate
    raw = answers(images[third])[1]
    predicted = raw.argmax(1)
    sets = at_temperature(raw, fitted.temperature)[np.arange(len(third)), labels[third]]
    return {"false alarms": np.mean(known <= alarm), INSIDE: float(low <= np.mean(known <= alarm) <= high),
            SHOWN: float(least <= np.mean(known <= alarm) <= most),
            f"{INSIDE}, a perfect fit": perfect(len(held), len(third), low, high),
            "near caught": np.mean(model.p_values(*near) <= alarm),
            "far caught": np.mean(model.p_values(*noise) <= alarm),
            "near AUROC": auroc(scores[0], scores[1]), "far AUROC": auroc(scores[0], scores[2]),
            "right label in the set": np.mean(sets >= fitted.label_sets.threshold),
            "accuracy": np.mean(predicted == labels[third]), "held-out pictures": len(held), "third split": len(third)}


def main():
    """Run, print, and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--dry", action="store_true", help="leave RESULTS.md alone")
    options = parser.parse_args()
    lines = ["| figure, median (min to max) over seeds | 15 a class | 100 a class |", "|---|---|---|"]
    columns = []
    for size in SIZES:
        rows = [one(seed, size) for seed in range(options.seeds)]
        columns.append({key: [row[key] for row in rows] for key in rows[0]})
        print(f"{size} a class: done", file=sys.stderr, flush=True)
    for key in columns[0]:
        cells = []
        for column in columns:
            values = column[key]
            if key in (INSIDE, SHOWN):
                cells.append(f"{sum(values):.0f} of {len(values)} seeds")
            else:
                cells.append(cell(values, 3))
        lines.append(f"| {key} | {' | '.join(cells)} |")
    write_section("None of these on handwritten digits", (
        f"0 to 6 known, 7 to 9 near, noise and textures far; {options.seeds} seeds; alarm at p <= 0.05; of "
        "calibrations on so many pictures, 9 of 10 have a share of false alarms inside the band. "
        "`python bench/novelty.py`\n\n" + "\n".join(lines)), keep=not options.dry)


if __name__ == "__main__":
    main()
