"""A review on a real data set: steps, undo and redo, applies, restarts, filters, and somebody else at the same time."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shoebox.data import Choice, ConflictError, Dataset, sha256_file
from shoebox.review import Columns, Review, View, gone_of, show, snapshot, states_of
from shoebox.types import Issue
from tests._pictures import CYRILLIC, folders

CLASSES = ("black", "grizzly", CYRILLIC)


@pytest.fixture(scope="module")
def bears(tmp_path_factory):
    """A scanned data set to copy."""
    root = folders(tmp_path_factory.mktemp("bears") / "data", {"black": 3, "grizzly": 3, CYRILLIC: 2})
    return Dataset(root).root


def rank(ds):
    after = dict(zip(ds.classes, [*ds.classes[1:], ds.classes[0]], strict=True))
    return [Issue(r.path, r.image_id, "label", place / 20, r.label, after[r.label], .1, .8, f"like {after[r.label]}",
                  r.side) for place, r in enumerate(ds.images)]


@pytest.fixture
def review(bears, tmp_path):
    ds = Dataset(shutil.copytree(bears, tmp_path / "data"))
    return Review(ds, rank(ds), page_size=3)


def paths(review):
    return [issue.path for issue in review.issues]


def stands(review):
    """What the review believes to stand, by path."""
    counts = review.current().counts
    shown = {}
    for page in range(-(-counts.shown // review.view.page_size)):
        for item in review.page(page):
            shown[item.path] = (item.decision, item.decision_label)
    return {path: decision for path, decision in shown.items() if decision[0]}


def is_there(root, issue):
    """Whether the very picture stands there: its name may have gone to another one that was moved."""
    file = root / issue.path
    return file.exists() and sha256_file(file) == issue.image_id


places = st.lists(st.integers(0, 7), min_size=1, max_size=3, unique=True)
deeds = st.lists(st.one_of(
    st.tuples(st.just("decide"), places, st.sampled_from(["keep", "remove", "unsure", None]), st.none()),
    st.tuples(st.just("decide"), places, st.just("relabel"), st.sampled_from(CLASSES)),
    st.tuples(st.sampled_from(["undo", "redo", "apply", "undo apply", "restart"])),
    st.tuples(st.just("filter"), st.sampled_from([None, *CLASSES]), st.sampled_from(["all", "undecided", "decided"])),
), max_size=12)


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@example(deeds=[("decide", [5], "relabel", "black"), ("apply",), ("undo",), ("decide", [0, 2, 1], None, None),
                ("apply",)])
@given(deeds=deeds)
def test_whatever_is_done_nothing_is_lost_and_undo_brings_back_what_was(bears, tmp_path_factory, deeds):
    root = shutil.copytree(bears, tmp_path_factory.mktemp("review") / "data")
    ds = Dataset(root)
    ranking = rank(ds)
    review = Review(ds, ranking, page_size=3)
    contents = sorted(issue.image_id for issue in ranking)
    for deed, *arguments in deeds:
        before = {path: (d.kind, d.label) for path, d in ds.decisions.items()}
        if deed == "decide":
            chosen = [paths(review)[place] for place in arguments[0] if (root / paths(review)[place]).exists()]
            chosen = [path for path in chosen if path in {record.path for record in ds.images}]
            if not chosen:
                continue
            review.decide(chosen, arguments[1], arguments[2])
            after = {path: (d.kind, d.label) for path, d in ds.decisions.items()}
            review.undo_decision()
            assert {path: (d.kind, d.label) for path, d in ds.decisions.items()} == before, "undo is exact"
            assert len(review.redo_decision()) == len(chosen)
            assert {path: (d.kind, d.label) for path, d in ds.decisions.items()} == after, "and so is redo"
        elif deed == "undo":
            review.undo_decision()
        elif deed == "redo":
            review.redo_decision()
        elif deed == "apply":
            review.apply()
        elif deed == "undo apply" and any(issue.path for issue in ranking if not (root / issue.path).exists()):
            review.undo_apply()
        elif deed == "restart":
            ds = Dataset(root)
            review = Review(ds, ranking, page_size=3)
        elif deed == "filter":
            review.view = replace(review.view, label=arguments[0], status=arguments[1], page=0)
        shown = review.current()
        missing = {issue.path for issue in ranking if not is_there(root, issue)}
        expected = snapshot(ranking, ds.decisions, review.view, gone=missing)
        assert replace(shown, items=()) == replace(expected, items=()), "kept columns say what fresh ones say"
        assert [item.path for item in shown.items] == [item.path for item in expected.items], "the order stands"
        files = [*(record.image_id for record in ds.images), *(item.record.image_id for item in ds.trash())]
        assert sorted(files) == contents, "every picture is in a class or in the trash"
        counts = shown.counts
        assert counts.total + counts.gone == len(ranking)
        assert counts.keep + counts.relabel + counts.remove + counts.unsure == counts.decided <= counts.total


class TestSteps:
    def test_many_at_once_are_one_step(self, review):
        review.decide(paths(review)[:4], None)
        assert Counter(kind for kind, _ in stands(review).values()) == {"relabel": 4}
        review.decide(paths(review)[4:6], "remove")
        review.decide(paths(review)[6:], "remove", same_step=True)
        assert len(review.undo_decision()) == 4 and len(stands(review)) == 4
        assert len(review.undo_decision()) == 4 and stands(review) == {}
        assert len(review.redo_decision()) == 4 and len(review.redo_decision()) == 4 and review.redo_decision() == ()

    def test_all_or_none(self, review, monkeypatch):
        monkeypatch.setattr(review._ds, "record", lambda path, record=review._ds.record: record(
            "gone.jpg" if path == paths(review)[1] else path))
        with pytest.raises(Exception, match="no picture"):
            review.decide(paths(review)[:3], "keep")
        assert stands(review) == {}

    def test_a_decision_clears_what_could_be_redone(self, review):
        review.decide(paths(review)[:1], "keep")
        review.undo_decision()
        review.decide(paths(review)[1:2], "keep")
        assert review.redo_decision() == ()

    def test_after_a_restart_undo_goes_on_one_by_one(self, review):
        review.decide(paths(review)[:2], "remove")
        again = Review(Dataset(review._ds.root), review.issues, page_size=3)
        assert [d.path for d in again.undo_decision()] == [paths(review)[1]]
        assert [d.path for d in again.undo_decision()] == [paths(review)[0]] and again.undo_decision() == ()

    def test_after_a_restart_a_person_takes_back_what_stands_beside_their_name_and_nothing_else(self, review):
        first, second, third = paths(review)[:3]
        review.decide([first], "keep", who="Ben")
        review.decide([second], "remove", who="Ada")
        review.decide([third], "unsure")
        again = Review(Dataset(review._ds.root), review.issues, page_size=3)
        assert [d.path for d in again.undo_decision("Ben")] == [first] and again.undo_decision("Ben") == ()
        assert [d.path for d in again.undo_decision()] == [third], "without a name: the user's"
        assert again.undo_decision() == () and stands(again) == {second: ("remove", None)}
        assert [d.path for d in Review(Dataset(review._ds.root), review.issues, who="Ada").undo_decision()] == [second]

    def test_a_decision_that_somebody_has_decided_over_is_not_taken_back_unseen(self, review):
        path = paths(review)[0]
        review.decide([path], "keep", who="Ben")
        review.decide([path], "remove", who="Ada")
        again = Review(Dataset(review._ds.root), review.issues, page_size=3)
        assert again.undo_decision("Ben") == () and stands(again) == {path: ("remove", None)}
        again.undo_decision("Ada")
        assert stands(again) == {path: ("keep", None)}, "and Ben's is still there below it"


class TestTwoReviewers:
    @pytest.fixture
    def others(self, review):
        return Review(Dataset(review._ds.root), review.issues, page_size=3, who="Ben")

    def test_each_sees_the_other_s_decisions(self, review, others):
        others.decide(paths(review)[:1], "remove")
        assert review.catch_up() and not review.catch_up()
        item = review.current().items[0]
        assert (item.decision, item.who) == ("remove", "Ben")

    def test_nobody_overwrites_what_they_have_not_seen(self, review, others):
        path = paths(review)[0]
        theirs, = others.decide([path], "remove")
        with pytest.raises(ConflictError, match=r"Ben has decided “remove” on 'picture-000.jpg'") as error:
            review.decide([path, paths(review)[1]], "keep", seen=0)
        assert error.value.standing == (theirs,) and stands(review) == {path: ("remove", None)}, "none was written"
        review.decide([path], "keep", seen=theirs.seq)
        assert stands(others)[path][0] == "keep"

    def test_many_at_once_ask_too(self, review, others):
        seen = review.last_line
        others.decide(paths(review)[1:2], "unsure")
        with pytest.raises(ConflictError):
            review.decide(paths(review)[:3], "keep", seen_up_to=seen)
        review.catch_up()
        review.decide(paths(review)[:3], "keep", seen_up_to=review.last_line)
        assert len(stands(review)) == 3

    def test_the_same_decision_twice_and_one_s_own_are_no_conflict(self, review, others):
        path = paths(review)[0]
        others.decide([path], "keep")
        review.decide([path], "keep", seen=0)
        review.decide([path], "remove", seen=0)
        assert stands(review)[path][0] == "remove", "a page that has not drawn one's own decision yet"

    def test_undo_leaves_what_the_other_decided_meanwhile(self, review, others):
        review.decide(paths(review)[:1], "keep")
        others.decide(paths(review)[1:2], "remove")
        assert [d.path for d in review.undo_decision()] == paths(review)[:1]
        assert review.undo_decision() == () and stands(review) == {paths(review)[1]: ("remove", None)}

    def test_two_at_the_same_instant(self, review, others, monkeypatch):
        """Ben's decision is written between what this review read and what it writes."""
        path, real = paths(review)[0], review._ds._catalog.append_all

        def late(rows, **fields):
            monkeypatch.undo()
            others.decide([path], "remove")
            return real(rows, **fields)

        monkeypatch.setattr(review._ds._catalog, "append_all", late)
        with pytest.raises(ConflictError):
            review.decide([path], "keep", seen=0)
        assert stands(review)[path][0] == "remove"


class TestLooking:
    def test_alike_and_between(self, review):
        black = [path for path in paths(review) if path.startswith("black/")]
        review.current()
        assert review.like(black[0]) == black
        review.decide(black[1:2], "keep")
        review.current()
        assert review.like(black[0]) == [black[0], black[2]], "what is decided is left alone"
        assert review.between(paths(review)[4], paths(review)[1]) == paths(review)[1:5]

    def test_the_confusion_matrix_counts_every_picture_once(self, review):
        review.decide(paths(review)[:1], "keep")
        review.current()
        found = review.confusion()
        assert found["labels"] == sorted(CLASSES) and found["left_out"] == 0
        assert sum(total for *_, total, _ in found["cells"]) == 8
        assert sum(undecided for *_, undecided in found["cells"]) == 7

    def test_a_close_look_has_pixels_and_history(self, review):
        path = paths(review)[0]
        review.decide([path], "remove", who="Anna")
        review.undo_decision()
        review.decide([path], "relabel", "grizzly")
        look = review.close_look(path)
        assert (look.width_px, look.height_px) == (64, 48) and look.jpeg.startswith(b"\xff\xd8")
        first = look.history[0]
        assert (first["kind"], first["label"], first["who"], first["undone"]) == ("remove", None, "Anna", True)
        assert look.history[-1]["label"] == "grizzly" and not look.history[-1]["undone"]

    def test_the_outcome_is_in_the_order_of_deciding_and_survives_an_apply(self, review):
        first, second, third, fourth = paths(review)[:4]
        for path, kind in ((third, "remove"), (first, "keep"), (fourth, "unsure"), (second, None)):
            review.decide([path], kind)
        problems, looked_at, scores = review.outcome()
        assert (problems, looked_at.tolist(), len(scores)) == ([True, False, True], [2, 0, 1], 8)
        review.apply()
        assert review.outcome()[0] == [True, False, True] and len(review.outcome()[2]) == 8
        review.undo_apply()
        assert review.outcome()[1].tolist() == [2, 0, 1]


def issue(path, kind, score=.2, given="cat", suggested="dog", **fields):
    return Issue(path, f"id-{path}", kind, score, given, suggested, .1, .8, f"it is {kind}", **fields)


class TestKinds:
    """A ranking in which a picture stands several times, with kinds that suggest nothing."""

    RANKING = (issue("a", "conflict", evidence=("b",)), issue("b", "label"), issue("a", "label", .3),
               issue("c", "blurry", suggested=""), issue("c", "label", .9, suggested="cat"),
               Issue("broken", "", "unreadable", 0., "cat", "", 0., 0., "no picture", None),
               issue("d", "label", .95, suggested="cat"))

    def seen(self, **view):
        return snapshot(self.RANKING, {}, View(**view))

    def test_a_picture_is_shown_once_where_it_stands_first_and_files_that_are_none_are_left_out(self):
        shown = self.seen()
        assert [item.path for item in shown.items] == ["a", "b", "c", "d"] and shown.counts.total == 4
        assert shown.items[0].kinds == ("conflict", "label") and shown.items[0].evidence == ("b",)
        assert shown.items[3].kinds == (), "every picture has a label issue; nothing speaks against this one"

    def test_a_kind_shows_its_own_issue(self):
        assert [(row.name, row.total) for row in self.seen().kinds] == [("label", 2), ("blurry", 1), ("conflict", 1)]
        first, _ = self.seen(kind="label").items
        assert (first.path, first.reason, first.evidence) == ("a", "it is label", ("b",))
        assert [item.suggestion for item in self.seen(kind="blurry").items] == [""]
        assert self.seen(kind="dark").items == ()

    def test_pairs_are_found_by_both_labels(self):
        assert [item.path for item in self.seen(label="cat", suggested="dog").items] == ["a", "b"]
        assert [item.path for item in self.seen(suggested="cat").items] == ["d"], "by what is shown first"

    def test_sources_are_counted_and_filtered(self):
        columns = Columns(self.RANKING, {"id-a": "flickr.com", "id-b": "flickr.com"})
        seen = show(columns, states_of(columns, {}), gone_of(columns, ()), {}, View(source="flickr.com"))
        assert [item.path for item in seen.items] == ["a", "b"]
        assert [(row.name, row.total) for row in seen.sources] == [("flickr.com", 2), ("", 2)]


def test_a_choice_without_what_was_seen_replaces_whatever_stands(review):
    path = paths(review)[0]
    Dataset(review._ds.root).decide(path, "remove")
    assert review._ds.decide_many([Choice(path, "keep")])[0].kind == "keep"
    assert review.catch_up() and stands(review)[path][0] == "keep"
