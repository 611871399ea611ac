"""The app's log and its alarm."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoebox.apps import rehearse, watch
from shoebox.apps._alarm import ALARM_AT, alarm_index, rate_change, shiryaev_roberts
from shoebox.apps._watch import VisitLog
from shoebox.errors import ShoeboxError

# --- the alarm ----------------------------------------------------------------------------------------------------


def test_the_sum_is_the_one_that_was_written_down() -> None:
    p = np.asarray([0.5, 0.01, 0.9])
    expected = []
    for last in range(1, 4):
        sums = []
        for e in (0.3, 0.5, 0.7):
            sr = 0.0
            for value in p[:last]:
                sr = (1 + sr) * e * value ** (e - 1)
            sums.append(sr)
        expected.append(sum(sums) / 3)
    assert shiryaev_roberts(p) == pytest.approx(expected)


def p_values(rng: np.random.Generator, n: int, *, calibration: int = 100, strange: float = 0.0) -> np.ndarray:
    """Conformal p-values of a stream in which a share is far from all that the calibration has seen."""
    reference, scores = rng.normal(size=calibration), rng.normal(size=n)
    scores[rng.random(n) < strange] += 8
    return (1 + (reference >= scores[:, None]).sum(1)) / (calibration + 1)


def test_false_alarms_are_as_rare_as_was_simulated() -> None:
    """METHODS: 9.5 % of streams of 1,000 uploads. 400 streams leave a standard error of 1.5 points."""
    rng = np.random.default_rng(5)
    false = np.mean([alarm_index(rng.random(1000)) is not None for _ in range(400)])
    assert 0.05 <= false <= 0.14


@pytest.mark.parametrize(("strange", "low", "high"), [(0.3, 12, 24), (0.1, 70, 140)])
def test_a_change_is_found_as_early_as_was_simulated(strange: float, low: int, high: int) -> None:
    """METHODS: the median is 17 uploads for a change of 30 %, and 109 for one of 10 %."""
    rng = np.random.default_rng(6)
    found = [alarm_index(p_values(rng, 1500, strange=strange)) for _ in range(150)]
    assert low <= np.median([1500 if index is None else index + 1 for index in found]) <= high


def test_a_late_change_is_found_as_well_as_an_early_one() -> None:
    rng = np.random.default_rng(7)
    late = [alarm_index(np.r_[p_values(rng, 300), p_values(rng, 300, strange=0.3)]) for _ in range(60)]
    delays = [index - 300 for index in late if index is not None and index >= 300]
    assert len(delays) > 50 and np.median(delays) <= 30


@given(st.lists(st.floats(0, 1), max_size=300))
def test_any_shares_give_finite_sums(p: list[float]) -> None:
    sums = shiryaev_roberts(p)
    assert sums.shape == (len(p),) and np.isfinite(sums).all() and (sums >= 0).all()


def test_ten_thousand_of_the_strangest_do_not_overflow() -> None:
    assert np.isfinite(shiryaev_roberts(np.zeros(10_000))).all()


@pytest.mark.parametrize("wrong", [[-0.1], [1.1], [float("nan")], [0.5, float("inf")]])
def test_what_is_no_share_is_refused(wrong: list[float]) -> None:
    with pytest.raises(ShoeboxError, match="from 0 to 1"):
        shiryaev_roberts(wrong)


@pytest.mark.parametrize(("before", "now", "words"), [
    ((5, 100), (10, 100), "doubled"), ((5, 100), (9, 100), None), ((10, 100), (5, 100), "halved"),
    ((10, 100), (6, 100), None), ((1, 100), (4, 100), None), ((0, 100), (5, 100), "doubled"),
    ((10, 19), (40, 100), None), ((5, 100), (0, 100), "halved"), ((0, 0), (9, 50), None),
])
def test_the_rate_doubles_or_halves(before: tuple[int, int], now: tuple[int, int], words: str | None) -> None:
    assert rate_change(before, now) == words


# --- the log ------------------------------------------------------------------------------------------------------

NOON = datetime(2026, 3, 4, 12, 34, 56, tzinfo=UTC)


def test_the_days_count_what_was_written(tmp_path: Path) -> None:
    log = VisitLog(tmp_path / "watch", model="abc", stage="supervised")
    for ms in range(1, 101):
        log.answered(1, 0.75, ms, p_value=0.5, known=True, now=NOON)
    log.answered(None, 0.25, 1000, p_value=0.001, known=False, now=NOON)
    log.refused("truncated", now=NOON)
    log.verdict(1, 1, now=NOON)
    log.verdict(None, 1, now=NOON)
    log.answered(0, 0.5, 7, now=NOON + timedelta(days=1))
    first, second = watch(tmp_path / "watch").days
    assert (first.date, first.answers, first.refused, first.none) == (date(2026, 3, 4), 101, 1, 1)
    assert first.none_rate == pytest.approx(1 / 101) and first.mean_probability == pytest.approx((75 + 0.25) / 101)
    assert (first.median_ms, first.p95_ms, first.verdicts, first.agreed) == (51, 96, 2, 1)
    assert (second.answers, second.median_ms, second.none_rate) == (1, 7, 0)
    assert len(watch(tmp_path / "watch").p_values) == 101
    assert len(watch(tmp_path / "watch", last_days=1).days) == 1


def test_it_holds_no_picture_no_name_and_no_minute(tmp_path: Path) -> None:
    VisitLog(tmp_path, model="abc").answered(1, 0.75, 33.333, p_value=0.5, known=True, now=NOON)
    (path,) = tmp_path.iterdir()
    assert path.name == "visits-2026-03-04.jsonl" and path.stat().st_mode & 0o077 == 0
    assert json.loads(path.read_text()) == {"hour": "2026-03-04T12Z", "kind": "answer", "label": 1, "p": 0.75,
                                            "ms": 33.3, "p_value": 0.5, "known": True, "model": "abc", "stage": "live"}


def test_half_a_line_after_a_power_cut_is_left_out(tmp_path: Path) -> None:
    log = VisitLog(tmp_path)
    log.answered(1, 0.75, 5, now=NOON)
    path = tmp_path / "visits-2026-03-04.jsonl"
    path.write_bytes(path.read_bytes() + b'{"kind": "answer", "la\n\xff\xfe\n[]\n{"kind": "else"}\nnull\n')
    log.answered(1, 0.75, 5, now=NOON)
    (tmp_path / "visits-notes.jsonl").write_text("mine")
    assert [day.answers for day in watch(tmp_path).days] == [2]


def test_old_days_are_forgotten_and_a_day_has_its_size(tmp_path: Path) -> None:
    log = VisitLog(tmp_path, keep_days=30)
    log.answered(1, 0.75, 5, now=NOON)
    log.answered(1, 0.75, 5, now=NOON + timedelta(days=31))
    assert [path.name for path in tmp_path.iterdir()] == ["visits-2026-04-04.jsonl"]
    full = tmp_path / "visits-2026-04-04.jsonl"
    with full.open("r+b") as file:
        file.truncate(16 * 2**20)
    log.answered(1, 0.75, 5, now=NOON + timedelta(days=31))
    assert full.stat().st_size == 16 * 2**20


def test_what_it_says_of_a_week_with_strange_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    log = VisitLog(tmp_path)
    for number in range(28):
        for p in p_values(rng, 30, strange=0.3 if number >= 21 else 0.0):
            log.answered(0, 0.9, 20, p_value=float(p), known=bool(p > 0.05), now=NOON + timedelta(days=number))
    seen = watch(tmp_path)
    assert seen.alarm is not None and 21 * 30 < seen.alarm < 24 * 30
    assert seen.change() == "doubled"
    for words in ("840 answers on 28 days", f"Alarm at picture {seen.alarm}", "has doubled against the week before"):
        assert words in str(seen)
    assert seen.suspicion.max() > ALARM_AT
    figure = seen.plot()
    assert [axes.get_ylabel() for axes in figure.axes] == ["answers a day", "mean probability", "none of these",
                                                           "ms to the answer", "Shiryaev-Roberts sum"]
    (line,) = figure.axes[1].lines
    assert line.get_ydata() == pytest.approx([day.mean_probability for day in seen.days])
    assert "probability is 90.0% on average. Most often: class 0 (" in str(seen)
    figure.savefig(tmp_path / "watch.png")


def test_what_visitors_bring_is_counted_by_class_and_drawn_day_by_day(tmp_path: Path) -> None:
    log = VisitLog(tmp_path)
    for place, n, ago in ((0, 3, 1), (2, 5, 1), (None, 2, 0), (2, 1, 0), (7, 1, 0)):
        for _ in range(n):
            log.answered(place, 0.5, 20, known=place is not None, now=NOON - timedelta(days=ago))
    seen, classes = watch(tmp_path), ("_a", "b", "$x^$")
    assert seen.mix() == {"class 2": 6, "class 0": 3, "none of these": 2, "class 7": 1}
    assert list(seen.mix(classes)) == ["$x^$", "_a", "none of these", "class 7"], "the 7th is of another model"
    assert dict(seen.days[1].labels) == {None: 2, 2: 1, 7: 1}
    figure = seen.plot(classes)
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["$x^$", "a", "class 7", "none of these"]
    heights = [[bar.get_height() for bar in bars] for bars in figure.axes[0].containers]
    assert heights == [[5, 1], [3, 0], [0, 1], [0, 2]]
    figure.savefig(tmp_path / "watch.png")


def test_of_many_classes_the_most_frequent_are_named(tmp_path: Path) -> None:
    log = VisitLog(tmp_path)
    for place in range(12):
        for _ in range(20 - place):
            log.answered(place, 0.5, 20, now=NOON)
    figure = watch(tmp_path).plot()
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == [*(f"class {place}" for place in range(8)), "others"]
    assert [bars[0].get_height() for bars in figure.axes[0].containers][-1] == 12 + 11 + 10 + 9


def test_without_p_values_it_says_that_it_cannot_tell(tmp_path: Path) -> None:
    VisitLog(tmp_path).answered(0, 0.9, 20, now=NOON)
    assert "cannot be told" in str(watch(tmp_path)) and watch(tmp_path).alarm is None
    assert str(watch(tmp_path)).startswith("1 answer on 1 day, ")


@pytest.mark.parametrize(("n_days", "labels"), [(1, ["2026-03-04"]), (3, ["2026-03-04", "2026-03-05", "2026-03-06"])])
def test_few_days_are_drawn_as_these_days_and_no_others(tmp_path: Path, n_days: int, labels: list[str]) -> None:
    """Shipped bug: of a first day the axis showed hours of the day before."""
    log = VisitLog(tmp_path)
    for number in range(n_days):
        log.answered(0, 0.9, 20, now=NOON + timedelta(days=number))
    figure = watch(tmp_path).plot()
    figure.canvas.draw()
    axes = figure.axes[3]  # below which the days stand
    assert [label.get_text() for label in axes.get_xticklabels() if label.get_position()[0] >= axes.get_xlim()[0]
            and label.get_position()[0] <= axes.get_xlim()[1]] == labels


def test_an_empty_folder_says_nothing_and_none_is_refused(tmp_path: Path) -> None:
    assert watch(tmp_path).days == () and watch(tmp_path).change() is None
    assert str(watch(tmp_path)).startswith("0 answers on 0 days")
    with pytest.raises(ShoeboxError, match="There is no folder"):
        watch(tmp_path / "none")


# --- a rehearsal --------------------------------------------------------------------------------------------------


def test_a_rehearsal_is_repeated_in_its_own_folder_and_never_touches_a_log(tmp_path: Path) -> None:
    from tests._colours import Colours, jpeg

    pictures = [jpeg("red", (80, 60)), jpeg("blue", (80, 60))]
    for _ in range(2):
        seen = rehearse(Colours(p_value=0.5), pictures, tmp_path / "rehearsal", days=4, a_day=5, strange_days=1)
        assert [day.answers for day in seen.days] == [5] * 4
    assert {event["label"] for event in seen.events} >= {0, 2} and seen.days[-1].date == datetime.now(UTC).date()
    VisitLog(tmp_path / "watch").answered(0, 0.9, 1, now=NOON)
    with pytest.raises(ShoeboxError, match="something else than a rehearsal"):
        rehearse(Colours(), pictures, tmp_path / "watch")
    with pytest.raises(ShoeboxError, match="no pictures"):
        rehearse(Colours(), [], tmp_path / "rehearsal")
