"""Has what visitors bring changed? Pure functions on the p-values of the none-of-these score.

Under no change a conformal p-value is uniform, and `e * p ** (e - 1)` has the mean 1: a fair bet. The Shiryaev-Roberts
sum of such bets stays small for long; when strange pictures come more often it grows fast, wherever the change began.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shoebox.errors import ShoeboxError

__all__ = ["ALARM_AT", "EXPONENTS", "alarm_index", "rate_change", "shiryaev_roberts"]

EXPONENTS = (0.3, 0.5, 0.7)
ALARM_AT = 5000.0
_LEAST_P = 1e-6
_CEILING = 1e300  # far beyond any alarm; a sum that has once overflowed says nothing more
_LEAST_ANSWERS = 20
_LEAST_ALERTS = 5


def shiryaev_roberts(p_values: Sequence[float] | NDArray[Any], exponents: Sequence[float] = EXPONENTS,
                     ) -> NDArray[np.float64]:
    """The sum after each picture: (N,) float, at least 0, larger is more suspicious.

    Parameters
    ----------
    p_values : (N,), each 0 to 1
        In the order of the visits; lower is stranger. From pictures that the calibration has not seen.
    exponents : each above 0 and below 1
        Of the bets. Each is summed apart, then the sums are averaged: small ones find few very strange pictures,
        large ones many that are a little strange.

    Raises
    ------
    ShoeboxError
        A p-value outside of 0 to 1, or NaN.

    Notes
    -----
    `SR = (1 + SR) * e * p ** (e - 1)`; Vovk, Nouretdinov and Gammerman, "Conformal testing".
    """
    p = np.asarray(p_values, np.float64).reshape(-1)
    if not np.isfinite(p).all() or (p < 0).any() or (p > 1).any():
        raise ShoeboxError("p-values are shares from 0 to 1. Give them as the classifier does.")
    e = np.asarray(exponents, np.float64)
    bets = e * np.maximum(p, _LEAST_P)[:, None] ** (e - 1)
    sums, sr = np.empty((len(p), len(e))), np.zeros(len(e))
    for row, bet in enumerate(bets):
        sr = np.minimum((1 + sr) * bet, _CEILING)
        sums[row] = sr
    return np.asarray(sums.mean(axis=1), np.float64)


def alarm_index(p_values: Sequence[float] | NDArray[Any], threshold: float = ALARM_AT) -> int | None:
    """The first picture, counted from 0, at which the sum reaches `threshold`; None when it never does.

    Examples
    --------
    >>> alarm_index([0.5] * 100) is None
    True
    >>> alarm_index([0.5] * 100 + [0.004] * 20)
    107
    """
    reached = np.flatnonzero(shiryaev_roberts(p_values) >= threshold)
    return int(reached[0]) if len(reached) else None


def rate_change(before: tuple[int, int], now: tuple[int, int]) -> Literal["doubled", "halved"] | None:
    """Whether the rate of alerts has doubled or halved between two periods.

    Parameters
    ----------
    before, now : (alerts, answers)
        Of two periods of the same length. With under 20 answers in one of them, or under 5 alerts in the larger, the
        answer is None: too few to say.

    Examples
    --------
    >>> rate_change((5, 100), (12, 100))
    'doubled'
    """
    if min(before[1], now[1]) < _LEAST_ANSWERS or max(before[0], now[0]) < _LEAST_ALERTS:
        return None
    earlier, later = before[0] / before[1], now[0] / now[1]
    if later >= 2 * earlier:
        return "doubled"
    return "halved" if later <= earlier / 2 else None
