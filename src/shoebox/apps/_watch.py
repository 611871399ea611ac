"""The app's own log, without pictures and without who asked, and what it says over time.

One file of JSON lines a day, `visits-2026-11-21.jsonl`; several kernels write to it at once. A log that cannot be
written never stops an answer.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from shoebox.apps._alarm import ALARM_AT, alarm_index, rate_change, shiryaev_roberts
from shoebox.errors import ShoeboxError

__all__ = ["Day", "VisitLog", "Watch", "name_of", "watch"]

_LOG = logging.getLogger("shoebox")
_NAME = re.compile(r"visits-(\d{4}-\d{2}-\d{2})\.jsonl")
_MAX_BYTES_A_DAY = 16 * 2**20
_PERIOD_DAYS = 7


class VisitLog:
    """Writes what happened, a line at a time.

    Parameters
    ----------
    folder : path
        Made on first use. Keep it outside of any folder that is served.
    model, stage : str
        Written into each line.
    keep_days : int
        Files of older days are deleted when a new day begins.
    """

    def __init__(self, folder: str | os.PathLike[str], *, model: str = "", stage: str = "live",
                 keep_days: int = 400) -> None:
        self.folder = Path(folder)
        self._about = {"model": model, "stage": stage}
        self._keep_days = keep_days
        self._failed = False

    def answered(self, label: int | None, probability: float, elapsed_ms: float, *, p_value: float | None = None,
                 known: bool | None = None, now: datetime | None = None) -> None:
        """An answer: the place of its class (None: none of these), its probability, and how long it took."""
        self._write({"kind": "answer", "label": label, "p": round(float(probability), 4), "ms": round(elapsed_ms, 1),
                     "p_value": p_value, "known": known}, now)

    def refused(self, cause: str, now: datetime | None = None) -> None:
        """A file that was no picture; `cause` as in `ImageError`."""
        self._write({"kind": "refused", "cause": cause}, now)

    def verdict(self, answer: int | None, said: int | None, now: datetime | None = None) -> None:
        """What a person said, beside what the app had answered: places of classes, None is none of these."""
        self._write({"kind": "verdict", "answer": answer, "said": said}, now)

    def _write(self, event: dict[str, Any], now: datetime | None) -> None:
        moment = (now or datetime.now(UTC)).astimezone(UTC)
        path = self.folder / f"visits-{moment.date().isoformat()}.jsonl"
        line = json.dumps({"hour": moment.strftime("%Y-%m-%dT%HZ"), **event, **self._about}) + "\n"
        try:
            self._append(path, line.encode("utf-8"), moment.date())
        except OSError as error:
            if not self._failed:  # once is enough; the answers go on
                _LOG.warning("The visits cannot be logged in %s: %s", self.folder, error)
            self._failed = True

    def _append(self, path: Path, line: bytes, today: date) -> None:
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._forget_before(today - timedelta(days=self._keep_days))
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.fstat(handle).st_size + len(line) <= _MAX_BYTES_A_DAY:
                os.write(handle, line)  # one write, so that lines of several kernels never mix
        finally:
            os.close(handle)

    def _forget_before(self, day: date) -> None:
        for path, written in _files(self.folder):
            if written < day:
                path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Day:
    """One day of visits. Shares are 0 to 1, times in milliseconds; None where there was nothing to count.

    `none` counts answers "none of these" among the `answers`; `agreed` counts, among the `verdicts` of persons, those
    that said what the app had said; `labels` counts the answers by the place of their class, None for none of these.
    """

    date: date
    answers: int
    refused: int
    none: int
    mean_probability: float | None
    median_ms: float | None
    p95_ms: float | None
    verdicts: int
    agreed: int
    labels: Mapping[int | None, int]

    @property
    def none_rate(self) -> float | None:
        """Share of answers that were "none of these"."""
        return self.none / self.answers if self.answers else None


@dataclass(frozen=True)
class Watch:
    """What a log says. `events` are its lines, the oldest first.

    Examples
    --------
    >>> shoebox.watch("work/watch").plot()  # doctest: +SKIP
    """

    events: tuple[dict[str, Any], ...]

    @cached_property
    def days(self) -> tuple[Day, ...]:
        """Each day with a visit, the oldest first."""
        by_day: dict[str, list[dict[str, Any]]] = {}
        for event in self.events:
            by_day.setdefault(event["day"], []).append(event)
        return tuple(_day(day, events) for day, events in sorted(by_day.items()))

    @cached_property
    def p_values(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(N,) of the answers that have one, in their order; lower is stranger."""
        values = [event["p_value"] for event in _of(self.events, "answer") if event.get("p_value") is not None]
        return np.asarray(values, np.float64)

    @property
    def suspicion(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(N,) the sum after each of `p_values`; an alarm is due at 5,000."""
        return shiryaev_roberts(self.p_values)

    @property
    def alarm(self) -> int | None:
        """After how many pictures, from 1, the alarm was due; None when it was not."""
        index = alarm_index(self.p_values)
        return None if index is None else index + 1

    def change(self, period_days: int = _PERIOD_DAYS) -> str | None:
        """ "doubled" or "halved": the rate of "none of these" in the last days against as many before; else None."""
        if not self.days:
            return None
        end = self.days[-1].date
        first_now, first_before = end - timedelta(days=period_days - 1), end - timedelta(days=2 * period_days - 1)
        now = [day for day in self.days if day.date >= first_now]
        before = [day for day in self.days if first_before <= day.date < first_now]
        return rate_change(_alerts(before), _alerts(now))

    def mix(self, classes: Sequence[str] | None = None) -> dict[str, int]:
        """How many answers named each class, most first: an estimate of what visitors bring.

        Parameters
        ----------
        classes : sequence of str, optional
            The model's, in its order: `classifier.classes`. The log has only their places, and without the names a
            class is called by its place, "class 0". What is none of them counts as "none of these".
        """
        counts = sum((Counter(day.labels) for day in self.days), Counter[int | None]())
        return {name_of(place, classes): n for place, n in counts.most_common()}

    def plot(self, classes: Sequence[str] | None = None) -> Any:
        """Drawings over the days: answers by class, mean probability, "none of these", time to the answer, alarm's sum.

        `classes` as in `mix`.
        """
        from shoebox.apps._watch_plot import plot

        return plot(self, classes)

    def __str__(self) -> str:
        return "\n".join(_sentences(self))

    __repr__ = __str__


def watch(folder: str | os.PathLike[str], *, last_days: int | None = None) -> Watch:
    """Read the log that `shoebox.app(..., watch=folder)` wrote.

    Parameters
    ----------
    folder : path
        Lines that cannot be read, such as a last one after a power cut, are left out.
    last_days : int, optional
        Only the last so many days that have a file.

    Raises
    ------
    ShoeboxError
        There is no such folder.
    """
    if not Path(folder).is_dir():
        raise ShoeboxError(f"There is no folder {str(folder)!r}. Give the one that shoebox.app(..., watch=...) writes "
                           "to; it is made with the first picture.")
    files = _files(Path(folder))[-last_days if last_days else 0:]
    return Watch(tuple(event for path, day in files for event in _events(path, day)))


def _files(folder: Path) -> list[tuple[Path, date]]:
    named = [(path, _NAME.fullmatch(path.name)) for path in folder.iterdir()]
    return sorted((path, date.fromisoformat(match[1])) for path, match in named if match)


def _events(path: Path, day: date) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("kind") in ("answer", "refused", "verdict"):
            yield {**event, "day": day.isoformat()}


def _of(events: Sequence[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] == kind]


def _day(day: str, events: Sequence[dict[str, Any]]) -> Day:
    answers, verdicts = _of(events, "answer"), _of(events, "verdict")
    times = [event["ms"] for event in answers]
    return Day(
        date.fromisoformat(day), len(answers), len(_of(events, "refused")),
        sum(map(_is_none, answers)),
        float(np.mean([event["p"] for event in answers])) if answers else None,
        float(np.median(times)) if times else None, float(np.quantile(times, 0.95)) if times else None,
        len(verdicts), sum(event["answer"] == event["said"] for event in verdicts),
        Counter(None if _is_none(event) else event["label"] for event in answers))


def name_of(place: int | None, classes: Sequence[str] | None = None) -> str:
    """What a place in the log is called; places beyond the classes are those of another model."""
    if place is None:
        return "none of these"
    return classes[place] if classes is not None and 0 <= place < len(classes) else f"class {place}"


def _is_none(answer: dict[str, Any]) -> bool:
    return answer["label"] is None or answer.get("known") is False


def _alerts(days: Sequence[Day]) -> tuple[int, int]:
    return sum(day.none for day in days), sum(day.answers for day in days)


def _sentences(seen: Watch) -> list[str]:
    none, answers = _alerts(seen.days)
    verdicts, agreed = sum(day.verdicts for day in seen.days), sum(day.agreed for day in seen.days)
    days = "1 day" if len(seen.days) == 1 else f"{len(seen.days)} days"
    lines = [f"{answers:,} answer{'' if answers == 1 else 's'} on {days}, {none / max(answers, 1):.1%} of them none of "
             "these."]
    if answers:
        mean = sum(day.answers * (day.mean_probability or 0.0) for day in seen.days) / answers
        lines.append(f"Their probability is {mean:.1%} on average. Most often: "
                     + ", ".join(f"{name} ({n / answers:.1%})" for name, n in list(seen.mix().items())[:3]) + ".")
    if verdicts:
        lines.append(f"Persons agreed with {agreed} of {verdicts} answers that they looked at.")
    if len(seen.p_values) == 0:
        lines.append("The model gives no p-values, so whether the pictures have changed cannot be told.")
    elif seen.alarm is None:
        lines.append(f"No alarm: the sum stands at {seen.suspicion[-1]:,.0f}, and {ALARM_AT:,.0f} is due for one.")
    else:
        lines.append(f"Alarm at picture {seen.alarm:,}: what visitors bring is no longer what the model was made for. "
                     "Look at 20 of the latest pictures.")
    if seen.change():
        lines.append(f"The rate of none of these has {seen.change()} against the week before.")
    return lines
