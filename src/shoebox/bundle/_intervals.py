"""Intervals for shares, without a statistics library."""

from __future__ import annotations

import math

__all__ = ["alarms_of", "band_level", "beta_cdf", "wilson_interval"]


def wilson_interval(correct: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share, 95 % with z = 1.96: (low, high), each 0 to 1."""
    share = correct / n
    centre, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def alarms_of(n: int, alarm_rate: float) -> int:
    """How many of the n + 1 possible p-values raise an alarm."""
    return math.floor((n + 1) * alarm_rate + 1e-9)


def band_level(n: int, alarm_rate: float, band: tuple[float, float]) -> float:
    """How often (0 to 1) the share of false alarms lies in `band`, over calibrations on `n` pictures (Vovk, 2012)."""
    alarms = alarms_of(n, alarm_rate)
    if alarms == 0:  # never an alarm, so the share is 0
        return float(band[0] == 0)
    return beta_cdf(band[1], alarms, n + 1 - alarms) - beta_cdf(band[0], alarms, n + 1 - alarms)


def beta_cdf(share: float, a: int, b: int) -> float:
    """P(X <= `share`) of X ~ Beta(a, b) for whole a, b >= 1: that of at least a hits in a + b - 1 trials.

    Summed is the side on which the terms only get smaller, until they no longer count.
    """
    if not 0 < share < 1:
        return float(share >= 1)
    n, odds = a + b - 1, share / (1 - share)
    upwards = a >= share * n
    hits = a if upwards else a - 1
    term = math.exp(math.lgamma(n + 1) - math.lgamma(hits + 1) - math.lgamma(n - hits + 1) + hits * math.log(share)
                    + (n - hits) * math.log1p(-share))
    total = term
    while term > total * 1e-16 and (hits < n if upwards else hits > 0):
        term *= odds * (n - hits) / (hits + 1) if upwards else hits / (n - hits + 1) / odds
        hits += 1 if upwards else -1
        total += term
    return min(1.0, total) if upwards else max(0.0, 1 - total)
