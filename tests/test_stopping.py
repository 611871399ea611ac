"""Knowing when to stop: the running share, and what is probably left, against planted truth."""

from __future__ import annotations

import numpy as np
import pytest

from shoebox.errors import PredictionsError
from shoebox.evaluation import accuracy_interval
from shoebox.quality import review_progress, wilson_interval


def planted(n, rate, sharpness, seed):
    """Scores of a ranking that knows something, and which pictures are wrong."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(n) < rate
    odds = sharpness * np.where(wrong, -1, 1) + rng.normal(0, 1.5, n)
    return 1 / (1 + np.exp(-odds)), wrong


def test_the_running_share_by_hand():
    scores = np.linspace(0.01, 0.99, 200)
    outcomes = [True] * 30 + [False] * 40
    progress = review_progress(outcomes, range(70), scores, k=50)
    assert (progress.seen, progress.found, progress.last, progress.precision) == (70, 30, 50, 0.2)
    assert (progress.low, progress.high) == wilson_interval(10, 50) == pytest.approx(accuracy_interval(10, 50))
    assert "30 problems in 70 pictures; of the last 50, 20% (11% to 33%)" in str(progress)


def test_before_and_after_everything():
    scores = np.linspace(0.01, 0.99, 100)
    start = review_progress([], [], scores)
    assert (start.seen, start.precision, start.low, start.high) == (0, 0, 0, 1)
    assert 0 <= start.remaining_low <= start.remaining <= start.remaining_high <= 100
    end = review_progress([True] * 5 + [False] * 95, range(100), scores)
    assert (end.remaining, end.remaining_low, end.remaining_high) == (0, 0, 0)
    assert review_progress([], [], np.zeros(0)).remaining == 0


def test_the_order_of_looking_does_not_matter_for_what_is_left():
    scores, wrong = planted(300, 0.1, 2, 0)
    places = np.argsort(scores)[:80]
    forward, backward = (review_progress(wrong[p], p, scores) for p in (places, places[::-1]))
    assert forward.remaining == pytest.approx(backward.remaining) and forward.remaining_high == backward.remaining_high
    assert forward.precision < backward.precision, "the running share is about the last ones"


def test_the_interval_covers_the_truth_on_planted_noise():
    """At least 85 % of runs; sharp and dull rankings, much and little noise, five moments of stopping."""
    held = []
    for seed in range(12):
        for rate in (0, 0.03, 0.1, 0.2):
            for sharpness in (1.5, 3):
                scores, wrong = planted(500, rate, sharpness, seed)
                order = np.argsort(scores)
                for moment in (20, 50, 100, 200, 350):
                    progress = review_progress(wrong[order[:moment]], order[:moment], scores)
                    left = wrong.sum() - wrong[order[:moment]].sum()
                    held.append(progress.remaining_low <= left <= progress.remaining_high)
                    assert progress.remaining_high <= 500 - moment
    assert np.mean(held) >= 0.85


def test_a_useful_estimate_not_only_a_wide_one():
    scores, wrong = planted(1000, 0.08, 3, 3)
    order = np.argsort(scores)
    progress = review_progress(wrong[order[:150]], order[:150], scores)
    assert progress.remaining_high - progress.remaining_low < 100


@pytest.mark.parametrize(("arguments", "sentence"), [
    (([True], [0, 1], np.zeros(3)), "1 outcomes came for 2 places"),
    (([True], [3], np.zeros(3)), "outside 0 to 2"),
    (([True], [-1], np.zeros(3)), "outside 0 to 2"),
    (([True, False], [1, 1], np.zeros(3)), "counted twice"),
    (([], [], np.asarray([0.5, np.nan])), "between 0 and 1"),
    (([], [], np.asarray([1.5])), "between 0 and 1"),
])
def test_what_cannot_be_followed_gets_a_sentence(arguments, sentence):
    with pytest.raises(PredictionsError, match=sentence):
        review_progress(*arguments)
    with pytest.raises(PredictionsError, match="k is 0"):
        review_progress([], [], np.zeros(2), k=0)
