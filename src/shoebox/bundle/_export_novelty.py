"""Fitting "none of these" and its doubts on held-out pictures. Studio only: needs scikit-learn and scipy.

Everything is fitted on pictures that the network has not learned from, and training pictures are refused: a
threshold taken on them gave 10 to 70 % false alarms in place of 5 %. Each held-out picture's own score is found from
a fit without it (20 folds), so that it is as strange to the fit as a new picture is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoebox.bundle._conformal import at_temperature
from shoebox.bundle._intervals import alarms_of
from shoebox.bundle._novelty import Gaussian, NoveltyModel, unit
from shoebox.bundle._records import Calibration, LabelSets, Novelty
from shoebox.errors import BundleError

__all__ = ["ALARM_RATE", "BAND_LEVEL", "COVERAGE", "MIN_CALIBRATION", "MIN_NOVELTY", "MIN_PER_CLASS", "Honest",
           "beta_band", "fit_honest", "fit_label_sets", "fit_novelty", "fit_temperature"]

ALARM_RATE = 0.05
BAND_LEVEL = 0.9
COVERAGE = 0.9
MIN_NOVELTY, MIN_PER_CLASS = 50, 3
MIN_CALIBRATION = 100
_FOLDS = 20
_NEIGHBOURS = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Honest:
    """What was fitted, and a sentence for what was not."""

    temperature: float
    calibration: Calibration | None
    label_sets: LabelSets | None
    novelty: Novelty | None
    model: NoveltyModel | None
    notes: dict[str, str]


def fit_honest(probabilities: Floats, features: Floats | None, labels: NDArray[np.int64],
               sides: Sequence[str]) -> Honest:
    """Temperature, label sets and "none of these" from held-out pictures, each left off where they are too few.

    Parameters
    ----------
    probabilities : array (N, K)
        Of the bundle, before any temperature.
    features : array (N, F) or None
        What stands before the last layer.
    labels : array (N,)
        Their given classes.
    sides : sequence of str
        Their sides of the split, (N,).

    Raises
    ------
    BundleError
        One of them is no validation picture.
    """
    refuse_seen(sides)
    notes: dict[str, str] = {}
    temperature, calibration = fit_temperature(probabilities, labels)
    if calibration is None:
        notes["calibration"] = (f"Left off: of {len(labels)} held-out pictures a temperature is as likely to harm as "
                                f"to help; {MIN_CALIBRATION} are needed." if len(labels) < MIN_CALIBRATION else
                                "Left off: no temperature makes the log-loss lower.")
    novelty, model = None, None
    reason = _too_few(labels, probabilities.shape[1])
    if features is None:
        reason = "Left off: the network's last layer is no plain linear one, so there are no features to measure with."
    if reason or features is None:
        notes["novelty"] = reason
    else:
        model = fit_novelty(features, probabilities, labels, sides)
        novelty = Novelty(len(labels), ALARM_RATE, beta_band(len(labels), ALARM_RATE))
    return Honest(temperature, calibration, fit_label_sets(at_temperature(probabilities, temperature), labels),
                  novelty, model, notes)


def refuse_seen(sides: Sequence[str]) -> None:
    """Raise `BundleError` unless all are validation pictures."""
    seen = sum(side != "valid" for side in sides)
    if seen:
        raise BundleError(f"{seen} of {len(sides)} pictures are no validation pictures. How sure a model may be is "
                          "fitted only on pictures it has not learned from. Give validation pictures.")


def fit_novelty(features: Floats, probabilities: Floats, labels: NDArray[np.int64],
                sides: Sequence[str]) -> NoveltyModel:
    """The three scores, their scales and the calibration of "none of these"; arguments as for `fit_honest`."""
    refuse_seen(sides)
    n_classes = probabilities.shape[1]
    raw = np.empty((len(labels), 3))
    for fold in _folds(labels):
        rest = np.setdiff1d(np.arange(len(labels)), fold)
        part = _fit(features[rest], labels[rest], n_classes)
        raw[fold] = part.raw(features[fold], probabilities[fold])
    location, scale = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-9)
    calibration = np.sort(((raw - location) / scale).mean(axis=1))
    whole = _fit(features, labels, n_classes)
    return NoveltyModel(whole.classes, whole.everything, whole.bank, whole.k, location, scale, calibration)


def fit_temperature(probabilities: Floats, labels: NDArray[np.int64]) -> tuple[float, Calibration | None]:
    """The temperature of least log-loss; 1 and None with fewer than 100 pictures, or when none is better."""
    from scipy.optimize import minimize_scalar

    if len(labels) < MIN_CALIBRATION:
        return 1.0, None

    def log_loss(log_temperature: float) -> float:
        given = at_temperature(probabilities, float(np.exp(log_temperature)))[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(given, 1e-12)).mean())

    best = minimize_scalar(log_loss, bounds=(np.log(0.2), np.log(10.0)), method="bounded")
    before, after = log_loss(0.0), float(best.fun)
    if after >= before:
        return 1.0, None
    return float(np.exp(best.x)), Calibration(len(labels), before, after)


def fit_label_sets(probabilities: Floats, labels: NDArray[np.int64]) -> LabelSets:
    """LAC (Sadinle, Lei and Wasserman, 2019): the threshold that keeps the right class for 90 % of pictures.

    With fewer than 9 pictures no threshold can promise that, so it is 0: every class is in the set.
    """
    misfit = np.sort(1 - probabilities[np.arange(len(labels)), labels])
    rank = int(np.ceil((len(labels) + 1) * COVERAGE))
    threshold = 0.0 if rank > len(labels) else float(1 - misfit[rank - 1])
    return LabelSets(len(labels), COVERAGE, max(0.0, threshold))


def beta_band(n: int, alarm_rate: float) -> tuple[float, float]:
    """Where the share of false alarms lies for 90 % of calibrations on `n` pictures: quantiles of Beta(l, n + 1 - l).

    5 % of calibrations lie below it and 5 % above. `l` is the number of p-values (of n + 1) that raise an alarm,
    floor((n + 1) * alarm_rate) (Vovk, 2012).
    """
    from scipy.stats import beta

    alarms = alarms_of(n, alarm_rate)
    if alarms == 0:
        return 0.0, 0.0
    low, high = beta.ppf([(1 - BAND_LEVEL) / 2, (1 + BAND_LEVEL) / 2], alarms, n + 1 - alarms)
    return float(low), float(high)


def _too_few(labels: NDArray[np.int64], n_classes: int) -> str:
    counts = np.bincount(labels, minlength=n_classes)
    if len(labels) < MIN_NOVELTY or counts.min() < MIN_PER_CLASS:
        return (f"Left off: {len(labels)} held-out pictures, {counts.min()} of the smallest class; {MIN_NOVELTY}, and "
                f"{MIN_PER_CLASS} of each class, are needed to say what is unlike all classes.")
    return ""


def _folds(labels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Places of the pictures in `_FOLDS` parts, each class dealt out evenly."""
    order = np.argsort(labels, kind="stable")
    return [order[start::_FOLDS] for start in range(min(_FOLDS, len(labels)))]


def _fit(features: Floats, labels: NDArray[np.int64], n_classes: int) -> NoveltyModel:
    """Without scales and calibration."""
    from sklearn.covariance import ledoit_wolf_shrinkage

    means = np.stack([features[labels == label].mean(axis=0) for label in range(n_classes)])
    everything = features.mean(axis=0, keepdims=True)
    bank = unit(features).astype(np.float32)
    offsets = features - means[labels]
    shrink = min(1.0, max(float(ledoit_wolf_shrinkage(offsets, assume_centered=True)), 1e-6))
    # one shrinkage for both: with one each, the distance to all can outgrow the one to a class, far away from both
    return NoveltyModel(_gaussian(means, offsets, shrink), _gaussian(everything, features - everything, shrink), bank,
                        min(_NEIGHBOURS, max(1, len(bank) // 10)), np.zeros(3), np.ones(3), np.zeros(0))


def _gaussian(means: Floats, offsets: Floats, shrink: float) -> Gaussian:
    """The covariance of `offsets` (N, F), shrunk as Ledoit and Wolf (2004) do, inverted, in at most N directions."""
    _, lengths, basis = np.linalg.svd(offsets, full_matrices=False)
    variances = lengths**2 / len(offsets)
    floor = max(shrink * float((offsets**2).sum()) / offsets.size, 1e-12)
    kept = variances > 1e-12 * variances.max(initial=0)
    gains = 1 / ((1 - shrink) * variances[kept] + floor)
    return Gaussian(means.astype(np.float32), basis[kept].astype(np.float32), gains.astype(np.float32), 1 / floor)
