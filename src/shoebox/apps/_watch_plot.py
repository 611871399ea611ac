"""The drawing of a log, for the notebook; needs matplotlib, which the app itself does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoebox.apps._alarm import ALARM_AT

if TYPE_CHECKING:
    from shoebox.apps._watch import Watch

__all__ = ["plot"]


def plot(seen: Watch) -> Any:
    """A matplotlib figure: answers, "none of these" and time to the answer over the days, the alarm's sum over the
    pictures. A day without a value is a gap.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8), layout="constrained")
    answers, none, times, alarm = figure.subplots(4, 1)
    dates = [day.date for day in seen.days]
    answers.bar(dates, [day.answers for day in seen.days], color="#1c6b64")
    answers.set_ylabel("answers a day")
    none.plot(dates, [_number(day.none_rate) for day in seen.days], "o-", color="#a3261b", markersize=3)
    none.set(ylabel="none of these", ylim=(0, 1))
    times.plot(dates, [_number(day.median_ms) for day in seen.days], "o-", label="median", markersize=3)
    times.plot(dates, [_number(day.p95_ms) for day in seen.days], "o--", label="95 %", markersize=3)
    times.set(ylabel="ms to the answer", ylim=(0, None))
    times.legend()
    suspicion = seen.suspicion
    alarm.plot(range(1, len(suspicion) + 1), suspicion, color="#1c6b64")
    alarm.axhline(ALARM_AT, color="#a3261b", linestyle=":", label="alarm")
    alarm.set(yscale="symlog", xlabel="pictures", ylabel="Shiryaev-Roberts sum", ylim=(0, None))
    alarm.legend()
    return figure


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
