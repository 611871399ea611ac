"""The drawing of a log, for the notebook; needs matplotlib, which the app itself does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from shoebox.apps._alarm import ALARM_AT
from shoebox.apps._watch import name_of
from shoebox.data._figures import new_figure

if TYPE_CHECKING:
    from shoebox.apps._watch import Watch

__all__ = ["plot"]

_NAMED_CLASSES = 8
_NAME_CHARS = 30
_REST = "#8a8f8e"


def plot(seen: Watch, classes: Sequence[str] | None = None) -> Any:
    """A matplotlib figure: answers by class, their mean probability, "none of these" and time to the answer over the
    days, the alarm's sum over the pictures. A day without a value is a gap.
    """
    from matplotlib.dates import date2num
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(9, 10)
    answers, probability, none, times, alarm = figure.subplots(5, 1)
    dates = [day.date for day in seen.days]
    below = [0] * len(dates)
    for name, counts, options in _stacks(seen, classes):
        answers.bar(dates, counts, bottom=below, label=name, **options)
        below = [low + n for low, n in zip(below, counts, strict=True)]
    answers.set_ylabel("answers a day")
    if dates:
        legend = answers.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
        for text in legend.get_texts():
            text.set_parse_math(False)  # a class may be called $x
    probability.plot(dates, [_number(day.mean_probability) for day in seen.days], "o-", color="#1c6b64", markersize=3)
    probability.set(ylabel="mean probability", ylim=(0, 1))
    none.plot(dates, [_number(day.none_rate) for day in seen.days], "o-", color="#a3261b", markersize=3)
    none.set(ylabel="none of these", ylim=(0, 1))
    times.plot(dates, [_number(day.median_ms) for day in seen.days], "o-", label="median", markersize=3)
    times.plot(dates, [_number(day.p95_ms) for day in seen.days], "o--", label="95 %", markersize=3)
    times.set(ylabel="ms to the answer", ylim=(0, None))
    times.legend()
    for axes in (probability, none, times):
        axes.sharex(answers)
    if dates:
        first, last = date2num([dates[0], dates[-1]])
        answers.set_xlim(first - 0.6, last + 0.6)  # with one day alone there would be hours of the day before, too
        answers.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))  # a day is 1 on matplotlib's axis
    for axes in (answers, probability, none):
        axes.tick_params(labelbottom=False)  # the days stand below the last of them
    suspicion = seen.suspicion
    alarm.plot(range(1, len(suspicion) + 1), suspicion, color="#1c6b64")
    alarm.axhline(ALARM_AT, color="#a3261b", linestyle=":", label="alarm")
    alarm.set(yscale="symlog", xlabel="pictures", ylabel="Shiryaev-Roberts sum", ylim=(0, None))
    alarm.legend()
    return figure


def _stacks(seen: Watch, classes: Sequence[str] | None) -> Iterator[tuple[str, list[int], dict[str, str]]]:
    """Name, answers a day and look of what is stacked: the most frequent classes, the rest of them, none of these."""
    totals = sum((Counter(day.labels) for day in seen.days), Counter[int | None]())
    places = [place for place, _ in totals.most_common() if place is not None]
    for place in places[:_NAMED_CLASSES]:
        name = name_of(place, classes)[:_NAME_CHARS].lstrip("_")  # with _ in front matplotlib leaves it out
        yield name or "_", [day.labels.get(place, 0) for day in seen.days], {}
    rest = frozenset(places[_NAMED_CLASSES:])
    if rest:
        yield "others", [sum(day.labels.get(place, 0) for place in rest) for day in seen.days], {"color": _REST}
    if None in totals:
        yield "none of these", [day.labels.get(None, 0) for day in seen.days], {"color": "#a3261b"}


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
