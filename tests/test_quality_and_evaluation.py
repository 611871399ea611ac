"""Scores, the ranking, and the numbers of the evaluation, on arrays that can be checked by hand."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoebox.data import ImageRecord, Predictions
from shoebox.errors import PredictionsError
from shoebox.evaluation import Evaluation, accuracy_interval, compare, confusion_matrix, most_confused
from shoebox.quality import label_quality_scores, log_odds_margin, rank_predictions
from tests._pictures import AWKWARD, draw


def record(path, label, image_id=None, side="train"):
    return ImageRecord(path, image_id or path, label, side, path, 10, 10, 100, 0, "JPEG")


def predictions(rows, labels, classes=("a", "b", "c"), origins="recorder", ids=None):
    paths = tuple(f"{classes[label]}/{i}.jpg" for i, label in enumerate(labels))
    return Predictions(paths, ids or paths, np.asarray(labels, np.int64), np.asarray(rows, np.float32), classes,
                       (origins,) * len(labels))


def records_of(p):
    return {path: record(path, p.classes[label], image_id)
            for path, label, image_id in zip(p.paths, p.labels, p.image_ids, strict=True)}


def test_the_margin_by_hand():
    margin = log_odds_margin(np.array([0, 1, 2]), np.array([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1], [1.0, 0.0, 0.0]]))
    assert margin[0] == pytest.approx(np.log(2)) and margin[1] == pytest.approx(-np.log(8))
    assert margin[2] == pytest.approx(np.log(1e-12))


def test_the_belief_in_a_label_by_hand():
    labels = np.array([0, 1, 2, 0] * 15)
    table = np.array([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]] * 15)
    scores = label_quality_scores(labels, table)  # 20 pictures a class
    assert scores[0] == pytest.approx((1 + 0.5 ** 0.95 * (2 / 3) ** 0.05) / 2)
    assert scores[1] == pytest.approx(0.1 ** 0.95 * (1 / 9) ** 0.05)
    assert scores[2] == pytest.approx(1e-12) and scores[3] == pytest.approx(1)
    few = label_quality_scores(labels[:-1], table[:-1])  # fewer: the belief alone
    assert few[0] == pytest.approx((1 + 0.5) / 2) and few[1] == pytest.approx(0.1)


@given(st.integers(0, 3), st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda row: sum(row) > 0.01))
def test_a_label_is_doubted_where_another_class_is_more_probable(label, row):
    table = np.asarray([row]) / sum(row)
    (score,), (margin,) = (one(np.array([label]), table) for one in (label_quality_scores, log_odds_margin))
    assert 0 <= score <= 1 and (score < 0.5) == (margin < 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.floats(0.001, 1), min_size=4, max_size=4)), min_size=1,
                max_size=30))
def test_everything_is_ranked_once_by_score(rows):
    probabilities = np.asarray([row for _, row in rows])
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    p = predictions(probabilities, [label for label, _ in rows], tuple("abcd"))
    ranking = rank_predictions(p, records_of(p))
    assert sorted(issue.path for issue in ranking) == sorted(p.paths)
    scores = [issue.score for issue in ranking]
    assert scores == sorted(scores) and min(scores) >= 0 and max(scores) <= 1
    assert [i.path for i in rank_predictions(p, records_of(p))] == [i.path for i in ranking], "twice the same"
    for issue in ranking:
        assert (issue.score < 0.5) == (issue.suggested_probability > issue.given_probability) or \
            issue.score == pytest.approx(0.5, abs=1e-6)


def test_an_issue_says_why():
    p = predictions([[0.9, 0.05, 0.05], [0.9, 0.05, 0.05]], [0, 1])
    first, second = rank_predictions(p, records_of(p))
    assert (first.given_label, first.suggested_label) == ("b", "a")
    assert first.reason == "Labelled 'b'; the model says 'a' (90% on average over training)."
    assert "agrees" in second.reason


def test_rows_follow_their_picture_when_it_moves_and_new_pictures_are_said_to_be_missing():
    p = predictions([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05]], [1, 1], ids=("id0", "id1"))
    moved = {"a/0.jpg": record("a/0.jpg", "a", "id0"), "b/1.jpg": record("b/1.jpg", "b", "id1"),
             "c/new.jpg": record("c/new.jpg", "c", "id2")}
    ranking = rank_predictions(p, moved)
    assert {i.path: i.given_label for i in ranking} == {"a/0.jpg": "a", "b/1.jpg": "b"}
    assert all(issue.score > 0.5 for issue in ranking) and "1 pictures have no prediction" in ranking.note


def test_predictions_in_sample_are_ranked_with_a_warning_only():
    p = predictions([[0.9, 0.05, 0.05]], [0], origins="in_sample")
    assert not p.out_of_sample and "shoebox.Recorder" in rank_predictions(p, records_of(p)).note


def test_a_ranking_draws_itself_without_letting_markup_through():
    p = predictions([[0.9, 0.05, 0.05]], [1], classes=("a", AWKWARD, "c"))
    html = rank_predictions(p, records_of(p))._repr_html_()
    assert "<b>" not in html and "&lt;b&gt;" in html


@pytest.mark.parametrize(("change", "sentence"), [
    ({"pred_probs": np.ones((2, 2), np.float32) / 2}, "shape"),
    ({"pred_probs": np.full((2, 3), np.nan, np.float32)}, "NaN"),
    ({"pred_probs": np.ones((2, 3), np.float32)}, "do not add up"),
    ({"pred_probs": np.asarray([[2, -1, 0], [1, 0, 0]], np.float32)}, "negative"),
    ({"labels": np.asarray([0, 3])}, "between 0 and 2"),
    ({"labels": np.asarray([0])}, "length 2"),
    ({"origins": ("recorder", "guess")}, "origins"),
])
def test_wrong_predictions_are_refused_with_a_sentence(change, sentence):
    fields = {"paths": ("x", "y"), "image_ids": ("x", "y"), "labels": np.asarray([0, 1]),
              "pred_probs": np.full((2, 3), 1 / 3, np.float32), "classes": tuple("abc"), "origins": ("recorder",) * 2}
    with pytest.raises(PredictionsError, match=sentence):
        Predictions(**(fields | change))


def test_predictions_travel_through_bytes():
    p = predictions([[0.9, 0.05, 0.05]], [0], classes=(AWKWARD, "Бурый", "🐻"))
    again = Predictions.from_bytes(p.to_bytes())
    assert (again.paths, again.classes, again.origins) == (p.paths, p.classes, p.origins)
    assert (again.pred_probs == p.pred_probs).all()
    with pytest.raises(PredictionsError, match="cannot be read"):
        Predictions.from_bytes(p.to_bytes()[:-30])
    for position in range(0, len(p.to_bytes()), 7):
        damaged = bytearray(p.to_bytes())
        damaged[position] ^= 0xFF
        with contextlib.suppress(PredictionsError):  # a flipped byte may be one that does not matter
            Predictions.from_bytes(bytes(damaged))


def test_classes_that_the_model_does_not_know_are_named():
    p = predictions([[0.9, 0.05, 0.05]], [0])
    with pytest.raises(PredictionsError, match="'polar'"):
        rank_predictions(p, {"polar/0.jpg": record("polar/0.jpg", "polar", p.image_ids[0])})


def test_counts_and_intervals():
    matrix = confusion_matrix(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert most_confused(matrix, "abc") == [("a", "b", 1), ("c", "a", 1)]
    assert accuracy_interval(45, 50) == pytest.approx((0.7864, 0.9565), abs=1e-3)
    assert accuracy_interval(0, 0) == (0, 1)


def test_before_and_after_are_measured_on_the_same_pictures():
    ids = ("p", "q", "r")
    before = predictions([[0.9, 0.1, 0], [0.9, 0.1, 0], [0, 0, 1]], [0, 1, 2], origins="held_out", ids=ids)
    after = predictions([[0.9, 0.1, 0], [0.1, 0.9, 0]], [0, 1], origins="held_out", ids=ids[:2])
    result = compare(before, after)
    assert (result.n, result.before, result.after, result.fixed, result.broken) == (2, 0.5, 1.0, 1, 0)
    assert "same 2 validation pictures" in str(result)
    with pytest.raises(PredictionsError, match="not held out"):
        compare(predictions([[1, 0, 0]], [0]), after)
    with pytest.raises(PredictionsError, match="`before` is None"):
        compare(None, after)
    with pytest.raises(PredictionsError, match="no validation picture in common"):
        compare(predictions([[1, 0, 0]], [0], origins="held_out", ids=("z",)), after)


def test_an_evaluation_draws_any_class_name():
    from io import BytesIO

    thumbnail = BytesIO()
    draw(1).save(thumbnail, "JPEG")
    classes = (r"\alpha$x^$", AWKWARD, "Ж" * 300)
    e = Evaluation(predictions([[0.9, 0.1, 0], [0.9, 0.1, 0], [0, 0, 1]], [0, 1, 2], classes, "held_out"),
                   lambda path: thumbnail.getvalue())
    assert e.accuracy == pytest.approx(2 / 3) and "on 3 validation pictures" in str(e)
    assert e.top_losses(1)[0][0] == f"{AWKWARD}/1.jpg"
    assert e.most_confused() == [(AWKWARD, classes[0], 1)]
    for figure in (e.plot_confusion(), e.plot_top_losses(3)):
        out = BytesIO()
        figure.savefig(out, format="png")
        assert len(out.getvalue()) > 1000
