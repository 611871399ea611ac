"""The lanes of the ranking on arrays: neighbours, regression, what a training adds, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoebox.errors import PredictionsError
from shoebox.evaluation import fold_of, out_of_fold_probabilities
from shoebox.quality import (
    checked_probabilities,
    combine_lanes,
    find_neighbours,
    in_class_order,
    log_odds_margin,
    neighbour_probabilities,
    neighbours_wanted,
    unit_directions,
)
from shoebox.quality._lanes import trained_weight, without_opinion


def clouds(per_class, d=16, spread=0.4, seed=0):
    """Features in one cloud per class, and the labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(per_class)), per_class)
    centres = rng.normal(size=(len(per_class), d))
    return (centres[labels] + spread * rng.normal(size=(len(labels), d))).astype(np.float32), labels


def by_hand(directions, groups, k):
    cosines = directions @ directions.T
    cosines[groups[:, None] == groups[None, :]] = -9
    return np.argsort(-cosines, axis=1, kind="stable")[:, :k], cosines


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 60), st.integers(1, 12), st.integers(1, 5), st.integers(0, 99))
def test_neighbours_are_exact_whatever_the_groups(n, k, per_group, seed):
    directions = unit_directions(np.random.default_rng(seed).normal(size=(n, 6)))
    groups = np.arange(n) // per_group
    found = find_neighbours(directions, groups, k)
    expected, cosines = by_hand(directions, groups, k)
    for row in range(n):
        others = int((groups != groups[row]).sum())
        here = found.index[row][found.index[row] >= 0]
        assert len(here) == min(k, others) and not set(groups[here]) & {groups[row]}
        assert np.sort(cosines[row, here]) == pytest.approx(np.sort(cosines[row, expected[row, :len(here)]]), abs=1e-6)
        assert list(found.similarity[row]) == sorted(found.similarity[row], reverse=True) or len(here) < k


def test_neighbours_of_many_pictures_are_found_in_blocks(monkeypatch):
    directions, groups = unit_directions(np.random.default_rng(1).normal(size=(3000, 8))), np.arange(3000)
    whole = find_neighbours(directions, groups, 5)
    monkeypatch.setattr("shoebox.quality._neighbours._BLOCK_BYTES", 5_000_000)
    parts = find_neighbours(directions, groups, 5)
    assert (whole.index == parts.index).all()
    assert (whole.index == by_hand(directions, groups, 5)[0]).mean() > 0.999, "ties of float32 apart"
    assert (find_neighbours(directions, groups, 5).index == parts.index).all(), "twice the same"


def test_a_mislabelled_duplicate_does_not_vouch_for_itself():
    features, labels = clouds((20, 20))
    features = np.concatenate([features, features[:1], features[:1]])
    labels = np.append(labels, [1, 1])
    groups = np.append(np.arange(40), [0, 0])
    votes = neighbour_probabilities(labels, find_neighbours(unit_directions(features), groups, 5), 2)
    assert votes[40, 0] > 0.9 and votes[41, 0] > 0.9, "its own copy, also labelled 1, has no vote"
    alone = neighbour_probabilities(labels, find_neighbours(unit_directions(features), np.arange(42), 5), 2)
    assert alone[40, 1] > votes[40, 1]


def test_votes_without_any_neighbour_are_even():
    votes = neighbour_probabilities(np.zeros(3, np.int64), find_neighbours(np.eye(3, 4, dtype=np.float32),
                                                                           np.zeros(3, np.int64), 4), 4)
    assert (votes == 0.25).all()
    assert neighbours_wanted(299, 10) == 5 and neighbours_wanted(300, 10) == 10


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 15)), min_size=1, max_size=60))
def test_folds_never_cut_through_a_group(rows):
    labels, groups = (np.asarray(column) for column in zip(*rows, strict=True))
    folds = fold_of(labels, groups)
    assert set(folds) <= set(range(5)) and (folds == fold_of(labels, groups)).all()
    for group in set(groups):
        assert len(set(folds[groups == group])) == 1


def test_every_class_with_two_groups_is_known_to_every_fold():
    labels, groups = np.asarray([0] * 40 + [1] * 2 + [2] * 5), np.arange(47)
    folds = fold_of(labels, groups)
    for label in (0, 1, 2):
        assert len(set(folds[labels == label])) == min(5, (labels == label).sum())


@pytest.mark.parametrize("per_class", [(60, 5), (30, 2), (5, 5), (2, 2), (12, 1), (1, 1), (40, 1, 3)])
def test_small_and_lopsided_classes_get_probabilities(per_class):
    """Two classes, one of them with 5 pictures; a class with none in a fold."""
    features, labels = clouds(per_class)
    directions, groups = unit_directions(features), np.arange(len(labels))
    for table in (out_of_fold_probabilities(directions, labels, groups, len(per_class)),
                  neighbour_probabilities(labels, find_neighbours(directions, groups, 5), len(per_class))):
        assert table.shape == (len(labels), len(per_class))
        assert np.isfinite(table).all() and table.sum(axis=1) == pytest.approx(1)
    assert (without_opinion(labels, groups) == (np.asarray(per_class) < 2)[labels]).all()


def test_five_pictures_of_a_class_keep_their_order_of_suspicion():
    features, labels = clouds((60, 5), spread=0.2)
    wrong = labels.copy()
    wrong[3] = 1
    directions, groups = unit_directions(features), np.arange(65)
    table = out_of_fold_probabilities(directions, wrong, groups, 2)
    table += neighbour_probabilities(wrong, find_neighbours(directions, groups, 5), 2)
    assert np.argmin(log_odds_margin(wrong, table / 2)) == 3


def test_regression_and_neighbours_find_planted_flips_and_two_calls_agree():
    features, labels = clouds((50, 50, 50), spread=0.8)
    wrong, groups = labels.copy(), np.arange(150)
    wrong[[3, 70, 120]] = [1, 2, 0]
    directions = unit_directions(features)
    for table in (out_of_fold_probabilities(directions, wrong, groups, 3),
                  neighbour_probabilities(wrong, find_neighbours(directions, groups, 10), 3)):
        assert set(np.argsort(log_odds_margin(wrong, table))[:3]) == {3, 70, 120}
    first = out_of_fold_probabilities(directions, wrong, groups, 3)
    assert (first == out_of_fold_probabilities(directions, wrong, groups, 3)).all()


class TestCombining:
    def setup_method(self):
        rng = np.random.default_rng(0)
        self.labels = rng.integers(0, 3, 400)
        self.frozen = rng.dirichlet(np.ones(3), 400) * 0.4
        self.frozen[np.arange(400), self.labels] += 0.6
        self.held_out = np.arange(400) % 4 == 0
        self.trained = self.frozen.copy()
        self.trained[self.held_out] = self.trained[self.held_out] ** 0.3  # held-out: less sure
        self.trained /= self.trained.sum(axis=1, keepdims=True)
        self.vague = self.frozen ** 0.1
        self.vague /= self.vague.sum(axis=1, keepdims=True)

    def test_neither_side_is_favoured(self):
        assert trained_weight(self.labels, self.vague, self.trained, self.held_out) == 0.5
        margins = log_odds_margin(self.labels, combine_lanes(self.labels, self.vague, self.trained, self.held_out))
        first = np.argsort(margins)[:100]
        assert 15 <= self.held_out[first].sum() <= 35, "about a quarter of the pictures, about a quarter of the page"
        naive = log_odds_margin(self.labels, np.sqrt(self.vague * self.trained))
        assert self.held_out[np.argsort(naive)[:100]].sum() > 35, "without the alignment it would be favoured"

    def test_the_order_within_a_side_and_the_other_classes_stay(self):
        alone = np.full((400, 3), 1 / 3)
        table = combine_lanes(self.labels, alone, self.trained, self.held_out)
        before, after = (log_odds_margin(self.labels, p)[self.held_out] for p in (self.trained, table))
        assert (np.argsort(before, kind="stable") == np.argsort(after, kind="stable")).all()
        assert table.sum(axis=1) == pytest.approx(1) and (table > 0).all()

    def test_rows_without_a_training_are_judged_by_the_features_alone(self):
        self.trained[::7] = np.nan
        table = combine_lanes(self.labels, self.vague, self.trained, self.held_out)
        assert table[::7] == pytest.approx(self.vague[::7], abs=1e-5)
        assert table[1::7] != pytest.approx(self.vague[1::7], abs=1e-3)
        nothing = combine_lanes(self.labels, self.frozen, np.full((400, 3), np.nan), self.held_out)
        assert nothing == pytest.approx(self.frozen, abs=1e-5)

    def test_a_handful_of_held_out_pictures_has_no_distribution(self):
        few = np.arange(400) < 19
        table = combine_lanes(self.labels, self.frozen, self.trained, few)
        assert table[few] == pytest.approx(self.frozen[few], abs=1e-5)
        assert table[~few] != pytest.approx(self.frozen[~few], abs=1e-3)

    def test_held_out_predictions_alone_count_on_their_side(self):
        self.trained[~self.held_out] = np.nan
        table = combine_lanes(self.labels, self.vague, self.trained, self.held_out)
        assert np.isfinite(table).all()
        assert table[~self.held_out] == pytest.approx(self.vague[~self.held_out], abs=1e-5)
        assert table[self.held_out] != pytest.approx(self.vague[self.held_out], abs=1e-3)

    @pytest.mark.parametrize("better", ["frozen", "trained", "alike", "neither"])
    def test_the_training_counts_as_much_as_held_out_pictures_say(self, better):
        nothing, rng = np.full((400, 3), 1 / 3), np.random.default_rng(1)
        noise = rng.dirichlet(np.ones(3), 400)
        frozen, trained = {"frozen": (self.frozen, noise), "trained": (noise, self.frozen),
                           "alike": (self.vague, self.vague), "neither": (nothing, nothing)}[better]
        weight = trained_weight(self.labels, frozen, trained, self.held_out)
        assert weight == {"frozen": 0.0, "trained": 0.5, "alike": 0.0, "neither": 0.0}[better]
        shuffled = trained.copy()
        shuffled[~self.held_out] = noise[~self.held_out]
        assert trained_weight(self.labels, frozen, shuffled, self.held_out) == weight, "training pictures say nothing"

    def test_without_held_out_pictures_the_weight_is_in_the_middle(self):
        assert trained_weight(self.labels, self.frozen, self.trained, np.arange(400) < 19) == 0.25

    def test_one_wrong_label_does_not_decide_the_weight(self):
        sure = np.where(np.arange(3) == self.labels[:, None], 0.98, 0.01)
        wrong = self.labels.copy()
        wrong[0] = (wrong[0] + 1) % 3
        trained = np.where(np.arange(3) == self.labels[:, None], 1 - 2e-9, 1e-9)
        assert trained_weight(wrong, sure, trained, self.held_out) > 0


@pytest.mark.parametrize(("table", "sentence"), [
    (np.full((3, 2), np.nan), "3 rows have NaN"),
    (np.full((3, 2), 0.7), "3 rows do not add up to 1"),
    (np.asarray([[1.5, -0.5]] * 3), "smallest value is -0.5"),
    (np.full((2, 2), 0.5), r"shape \(2, 2\); \(3, 2\) was expected"),
    (np.full((3, 3), 1 / 3), r"shape \(3, 3\); \(3, 2\) was expected"),
    (np.full(3, 0.5), r"shape \(3,\)"),
])
def test_wrong_probabilities_get_a_sentence(table, sentence):
    with pytest.raises(PredictionsError, match=sentence):
        checked_probabilities(np.asarray([0, 1, 0]), table, 2)


def test_wrong_labels_and_too_few_classes_get_a_sentence():
    with pytest.raises(PredictionsError, match="between 0 and 1"):
        checked_probabilities(np.asarray([0, 2]), np.full((2, 2), 0.5), 2)
    with pytest.raises(PredictionsError, match="at least 2"):
        checked_probabilities(np.asarray([0]), np.ones((1, 1)), 1)


def test_classes_in_another_order_are_brought_into_this_one():
    table = in_class_order(np.asarray([[0.1, 0.7, 0.2]]), ("c", "a", "b"), ("a", "b", "c"))
    assert table[0] == pytest.approx([0.7, 0.2, 0.1])
    assert in_class_order(np.asarray([[0.5, 0.4, 0.1]]), "abc", "ac")[0] == pytest.approx([5 / 6, 1 / 6])
    with pytest.raises(PredictionsError, match=r"knows \['a', 'b'\].*has \['a', 'polar'\]: 'polar'"):
        in_class_order(np.asarray([[0.5, 0.5]]), ("a", "b"), ("a", "polar"))


@pytest.mark.parametrize(("features", "sentence"), [
    (np.asarray([[1.0, np.nan]]), r"NaN.*Remove \.shoebox/features and"), (np.ones(3), "shape"),
    (np.ones((3, 0)), "shape")])
def test_wrong_features_get_a_sentence(features, sentence):
    with pytest.raises(PredictionsError, match=sentence):
        unit_directions(features)
