"""The cleaner while its ranking is still being made: what it begins with, what it goes over to, and what stays."""

from __future__ import annotations

import itertools
import json
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest

import shoebox
from shoebox import studio
from shoebox.data import Dataset, Predictions
from shoebox.errors import DatasetError, PredictionsError
from shoebox.quality import first_order
from shoebox.types import Issue
from shoebox.widgets import Cleaner
from shoebox.widgets._later import Later
from tests._pictures import folders

IDS = itertools.count(1)
WAIT_S = 20


@pytest.fixture
def ds(tmp_path):
    return Dataset(folders(tmp_path / "bears", {"black": 7, "grizzly": 7, "teddy": 4}))


def by_path(ds):
    return [Issue(r.path, r.image_id, "label", 1.0, r.label, "", .3, .0, "Not judged yet.", r.side) for r in ds.images]


def backwards(ds):
    """The same pictures the other way round, each with a suggestion."""
    return [replace(issue, score=place / 100, suggested_label="teddy" if issue.given_label != "teddy" else "black",
                    suggested_probability=.9) for place, issue in enumerate(reversed(by_path(ds)))]


class Bench:
    """A cleaner whose better ranking comes when the test says so."""

    def __init__(self, ds, *, fail=None, page_size=5):
        self.go, self.fail, self.ranking = threading.Event(), fail, backwards(ds)
        self.later = Later(self._work)
        self.cleaner = Cleaner(ds, by_path(ds), page_size=page_size, later=self.later,
                               estimate=lambda problems, places, scores: f"{len(problems)} looked at")
        self.later.seen()
        self.later.start()

    def _work(self, tell):
        tell("Comparing", 1, 4)
        assert self.go.wait(WAIT_S)
        tell("Comparing", 4, 4)
        if self.fail:
            raise self.fail
        return self.ranking

    def finish(self):
        self.go.set()
        assert self.later.wait(WAIT_S) or self.fail
        self.later._thread.join(WAIT_S)

    def ask(self, kind, **fields):
        reply, _ = self.cleaner._desk.answer({"kind": kind, "id": f"t{next(IDS)}", **fields})
        json.dumps(reply)
        return reply

    @property
    def shown(self):
        return [item["path"] for item in self.cleaner.snapshot["items"]]


@pytest.fixture
def bench(ds):
    bench = Bench(ds)
    yield bench
    bench.go.set()
    bench.cleaner.close()
    bench.later._thread.join(WAIT_S)
    assert not bench.later.is_alive


def until(condition):
    for _ in range(WAIT_S * 100):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never became so")


class TestGoingOver:
    def test_the_first_page_is_there_before_the_ranking_and_says_how_far_it_is(self, bench, ds):
        assert bench.shown == [record.path for record in ds.images][:5]
        until(lambda: bench.cleaner.ordering.get("total") == 4)
        assert bench.cleaner.ordering == {"state": "working", "sentence": "Comparing", "done": 1, "total": 4}
        json.dumps(bench.cleaner.ordering)

    def test_a_ranking_that_is_ready_waits_until_somebody_asks_for_it(self, bench, ds):
        before, order = bench.cleaner.snapshot, bench.cleaner.snapshot["order"]
        bench.finish()
        assert bench.cleaner.ordering["state"] == "ready" and bench.cleaner.snapshot == before
        assert bench.ask("adopt")["revision"] == bench.cleaner.snapshot["revision"] > before["revision"]
        assert bench.shown == [issue.path for issue in backwards(ds)][:5]
        assert bench.cleaner.ordering == {} and bench.cleaner.snapshot["order"] == order + 1
        assert bench.cleaner.snapshot["queue"] > before["queue"], "a page must not draw old pictures at these places"
        again = bench.cleaner.snapshot
        assert bench.ask("adopt")["ok"] and bench.cleaner.snapshot == again, "a second page that asks changes nothing"

    def test_decisions_filters_and_undo_stay(self, bench, ds):
        one, two = bench.shown[:2]
        assert bench.ask("decide", path=one, decision="remove", seen=0)["ok"]
        assert bench.ask("decide", path=two, decision="keep", seen=0)["ok"]
        assert bench.ask("view", label="black", page=1)["ok"]
        bench.finish()
        bench.ask("adopt")
        shown = bench.cleaner.snapshot
        assert (shown["label"], shown["page"], shown["counts"]["decided"]) == ("black", 0, 2)
        assert bench.shown == [issue.path for issue in backwards(ds) if issue.given_label == "black"][:5]
        assert bench.ask("undo")["path"] == two and bench.ask("undo")["path"] == one
        assert bench.ask("redo")["path"] == one and ds.decisions[one].kind == "remove"

    def test_a_view_can_ask_for_the_new_order_on_the_way(self, bench, ds):
        bench.ask("view", page=2)
        bench.finish()
        assert bench.ask("view", label="teddy", page=0, adopt=True)["ok"]
        assert bench.shown == [issue.path for issue in backwards(ds) if issue.given_label == "teddy"]
        assert bench.cleaner.ordering == {}

    def test_a_view_alone_keeps_the_order(self, bench, ds):
        bench.finish()
        assert bench.ask("view", page=1)["ok"]
        assert bench.shown == [record.path for record in ds.images][5:10]

    def test_the_new_suggestions_can_be_filtered_by_and_accepted(self, bench, ds):
        assert not bench.ask("view", suggested="polar", page=0)["ok"]
        bench.finish()
        bench.ask("adopt")
        assert bench.ask("view", suggested="black", page=0)["ok"]
        assert all(path.startswith("teddy/") for path in bench.shown) and len(bench.shown) == 4
        path = bench.shown[0]
        assert bench.ask("decide_many", paths=[path], decision="accept", seen_up_to=0)["ok"]
        assert (ds.decisions[path].kind, ds.decisions[path].label) == ("relabel", "black")

    def test_what_is_probably_left_is_said_by_the_final_order_only(self, bench):
        bench.ask("decide", path=bench.shown[0], decision="keep", seen=0)
        assert bench.cleaner.snapshot["found"] is None
        bench.finish()
        bench.ask("adopt")
        assert bench.cleaner.snapshot["found"] == {"sentence": "1 looked at"}

    @pytest.mark.parametrize(("is_made_before", "found"), [(True, {"sentence": "1 looked at"}), (False, None)])
    def test_an_apply_meanwhile_leaves_the_moved_pictures_out(self, bench, ds, is_made_before, found):
        path = bench.shown[0]
        bench.ask("decide", path=path, decision="remove", seen=0)
        assert bench.cleaner.apply().moved == 1
        if not is_made_before:
            bench.ranking = backwards(ds)
        bench.finish()
        bench.ask("adopt")
        assert bench.cleaner.snapshot["counts"]["total"] == 17 and bench.cleaner.snapshot["found"] == found
        assert bench.cleaner.undo().moved == 1


class TestWaiting:
    def test_fns_delete_and_change_wait_for_the_final_places(self, bench, ds):
        everything = [issue.path for issue in backwards(ds)]
        bench.cleaner.decide(everything[3], "remove")
        bench.cleaner.decide(everything[6], "relabel", "teddy")
        found = []
        asking = threading.Thread(target=lambda: found.append(
            (list(bench.cleaner.fns), bench.cleaner.delete(), bench.cleaner.change())))
        asking.start()
        asking.join(0.3)
        assert asking.is_alive() and found == []
        bench.go.set()
        asking.join(WAIT_S)
        (fns, removed, changed), = found
        assert fns == [ds.root / path for path in everything] == bench.cleaner.fns
        assert (removed, changed) == ([3], [(6, "teddy")])
        assert bench.shown == everything[:5], "what the places speak of is shown"

    def test_wait_gives_up_in_time_and_says_so(self, bench):
        assert bench.cleaner.wait(0.05) is False and bench.cleaner.snapshot["order"] == 0
        bench.go.set()
        assert bench.cleaner.wait(WAIT_S) is True and bench.cleaner.snapshot["order"] == 1

    def test_an_interrupt_ends_the_waiting_and_not_the_ranking(self, bench):
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # else a job ignores it
        try:
            interrupt = threading.Timer(0.2, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
            interrupt.start()
            with pytest.raises(KeyboardInterrupt):
                bench.cleaner.wait(WAIT_S)
        finally:
            signal.signal(signal.SIGINT, before)
        bench.finish()
        assert bench.cleaner.ordering["state"] == "ready"

    def test_what_is_said_late_of_an_order_that_is_final_is_not_shown(self, bench):
        bench.finish()
        assert bench.cleaner.wait(WAIT_S) and bench.cleaner.ordering == {}
        bench.cleaner._show_ordering({"state": "ready", "sentence": "late"})  # by the thread that was just overtaken
        assert bench.cleaner.ordering == {}, "else no page could be turned any more"

    def test_close_ends_the_work_and_nothing_more_is_told(self, bench):
        told = []
        until(lambda: bench.cleaner.ordering.get("total") == 4)
        bench.cleaner.observe(lambda change: told.append(change.new), names=["ordering"])
        bench.cleaner.close()
        bench.go.set()
        bench.later._thread.join(WAIT_S)
        assert not bench.later.is_alive and told == [] and bench.later.result is None
        assert bench.cleaner.wait(1) is False, "nobody waits for what was given up"

    def test_a_failed_ranking_is_a_sentence_and_the_order_stays(self, ds):
        bench = Bench(ds, fail=PredictionsError("The model knows other classes. Train again."))
        bench.finish()
        assert bench.cleaner.ordering["state"] == "failed"
        assert bench.cleaner.ordering["sentence"].endswith("The model knows other classes. Train again.")
        assert bench.cleaner.fns == [ds.root / record.path for record in ds.images]
        with pytest.raises(PredictionsError, match="Train again"):
            bench.cleaner.wait()
        assert bench.ask("adopt")["ok"] and bench.cleaner.snapshot["order"] == 0

    def test_what_nobody_expected_is_in_the_log_with_its_traceback(self, ds, caplog):
        bench = Bench(ds, fail=ZeroDivisionError("division by zero in /home/somebody"))
        bench.finish()
        assert "ZeroDivisionError" in bench.cleaner.ordering["sentence"]
        assert "/home" not in bench.cleaner.ordering["sentence"], "a colleague by URL reads this"
        assert "division by zero" in caplog.text
        with pytest.raises(ZeroDivisionError):
            bench.cleaner.wait()

    def test_what_was_told_before_anybody_followed_is_not_lost(self, ds):
        go, begun = threading.Event(), threading.Event()

        def work(tell):
            tell("Comparing", 3, 12)
            begun.set()
            assert go.wait(WAIT_S)
            return backwards(ds)

        later = Later(work)
        assert later.start(patience_s=.01) is False and begun.wait(WAIT_S)
        cleaner = Cleaner(ds, by_path(ds), later=later)
        assert cleaner.ordering == {"state": "working", "sentence": "Comparing", "done": 3, "total": 12}
        go.set()
        assert cleaner.wait(WAIT_S) and cleaner.ordering == {}

    def test_a_cleaner_that_cannot_be_made_gives_the_work_up(self, ds):
        later = Later(lambda tell: backwards(ds))
        with pytest.raises(ValueError, match="at least 1"):
            Cleaner(ds, by_path(ds), page_size=0, later=later)
        later.start()
        assert later.wait(WAIT_S) is False and later.result is None

    def test_one_ranking_is_made_at_a_time(self, ds):
        one, two = Bench(ds), Bench(ds)
        until(lambda: "total" in one.cleaner.ordering and one.cleaner.ordering["total"] == 4)
        two.later.seen()
        threading.Event().wait(0.4)
        assert two.cleaner.ordering["total"] == 0, "the second one waits"
        two.cleaner.close()
        two.later._thread.join(WAIT_S)
        assert not two.later.is_alive, "and can be given up while it waits"
        one.finish()
        assert one.cleaner.ordering["state"] == "ready"


class TestFirstOrder:
    def test_without_predictions_every_picture_stands_by_path_and_nothing_is_claimed(self, ds):
        ranking = first_order(ds.images)
        assert [issue.path for issue in ranking] == [record.path for record in ds.images]
        claims = {(issue.score, issue.suggested_label, issue.given_probability) for issue in ranking}
        assert claims == {(1.0, "", 1 / 3)}

    def test_with_predictions_the_doubtful_come_first_and_unknown_pictures_last(self, ds):
        records = ds.images[:-2]
        probs = np.full((len(records), 3), .1, np.float32)
        probs[np.arange(len(records)), [ds.classes.index(r.label) for r in records]] = .8
        probs[5] = [.05, .05, .9]
        origins = ["held_out"] * len(records)
        origins[6], probs[6] = "in_sample", [.0, .0, 1.]
        ranking = first_order(ds.images, Predictions(
            tuple(r.path for r in records), tuple(r.image_id for r in records),
            np.asarray([ds.classes.index(r.label) for r in records]), probs, ds.classes, tuple(origins)))
        assert ranking[0].path == records[5].path and ranking[0].suggested_label == "teddy"
        assert {issue.path for issue in ranking[-3:]} == {records[6].path, *(r.path for r in ds.images[-2:])}
        assert len(ranking) == len(ds.images)

    def test_one_class_is_refused_at_once(self, tmp_path):
        ds = Dataset(folders(tmp_path / "d", {"black": 3}))
        with pytest.raises(PredictionsError, match="at least 2"):
            shoebox.clean(ds)


class TestClean:
    def test_a_ranking_that_is_there_in_a_moment_is_shown_at_once(self, ds, monkeypatch):
        monkeypatch.setattr(studio, "_PATIENCE_S", WAIT_S)
        cleaner = shoebox.clean(ds)
        assert cleaner.ordering == {} and cleaner.snapshot["order"] == 0
        assert cleaner.fns == [ds.root / issue.path for issue in shoebox.rank(ds).pictures()]

    def test_one_that_takes_longer_comes_later_and_two_calls_end_in_the_same_order(self, ds, monkeypatch):
        go, ranked = threading.Event(), studio._ranked

        def slowly(*args, **kwargs):
            assert go.wait(WAIT_S)
            return ranked(*args, **kwargs)

        monkeypatch.setattr(studio, "_ranked", slowly)
        monkeypatch.setattr(studio, "_PATIENCE_S", .01)
        cleaners = [shoebox.clean(ds), shoebox.clean(ds)]
        assert [cleaner.ordering["state"] for cleaner in cleaners] == ["working", "working"]
        assert [item["path"] for item in cleaners[0].snapshot["items"]] == [r.path for r in ds.images]
        go.set()
        monkeypatch.undo()
        expected = [ds.root / issue.path for issue in shoebox.rank(ds).pictures()]
        assert cleaners[0].fns == cleaners[1].fns == expected
        assert expected != [ds.root / record.path for record in ds.images], "this order is another one"

    def test_one_that_was_made_before_is_made_again_only_when_something_has_changed(self, ds, monkeypatch):
        made, rank_pictures = [], studio.rank_pictures

        def counting(*args, **kwargs):
            made.append(rank_pictures(*args, **kwargs))
            return made[-1]

        monkeypatch.setattr(studio, "rank_pictures", counting)
        shoebox.rank(ds)
        cleaner = shoebox.clean(ds)
        assert len(made) == 1 and cleaner.ordering == {}
        assert cleaner.fns == [ds.root / issue.path for issue in made[0].pictures()]
        records, probs = ds.images, np.full((len(ds.images), 3), 1 / 3, np.float32)
        ds.save_predictions(Predictions(
            tuple(r.path for r in records), tuple(r.image_id for r in records),
            np.asarray([ds.classes.index(r.label) for r in records]), probs, ds.classes, ("held_out",) * len(records)))
        shoebox.clean(ds).wait()
        shoebox.clean(ds).wait()
        assert len(made) == 2, "a training came between"
        ds.decide(records[0].path, "relabel", next(name for name in ds.classes if name != records[0].label))
        ds.apply()
        assert shoebox.clean(ds).fns == [ds.root / issue.path for issue in made[2].pictures()]
        shoebox.rank(ds)
        assert len(made) == 4, "rank itself always ranks"

    def test_a_fault_in_a_moment_is_raised_in_the_cell(self, ds, monkeypatch):
        def broken(*args, **kwargs):
            raise DatasetError("The features cannot be written.")

        monkeypatch.setattr(studio, "_ranked", broken)
        monkeypatch.setattr(studio, "_PATIENCE_S", WAIT_S)
        with pytest.raises(DatasetError, match="cannot be written"):
            shoebox.clean(ds)

    def test_a_ranking_and_a_learner_together_are_refused(self, ds):
        with pytest.raises(DatasetError, match="Leave one of them out"):
            shoebox.clean(ds, shoebox.rank(ds), learn=object())
