"""The cleaner's further requests: pages ahead, many at once, full size, overview, other reviewers, what was found."""

from __future__ import annotations

import ast
import itertools
import json
import threading
from pathlib import Path

import pytest

import shoebox
from shoebox import studio
from shoebox.data import Dataset
from shoebox.data._provenance import SourceRecord
from shoebox.evaluation import Comparison
from shoebox.types import Issue
from shoebox.widgets import Cleaner
from shoebox.widgets._watch import Watch
from tests._pictures import CYRILLIC, folders

IDS = itertools.count(1)
NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


@pytest.fixture
def ds(tmp_path):
    return Dataset(folders(tmp_path / "bears", {"black": 7, "grizzly": 7, CYRILLIC: 4}))


def rank(ds):
    others = dict(zip(ds.classes, [*ds.classes[1:], ds.classes[0]], strict=True))
    return [Issue(r.path, r.image_id, "label", place / 100, r.label, others[r.label], .1, .8, "why", r.side,
                  (ds.images[0].path,)) for place, r in enumerate(ds.images)]


@pytest.fixture
def cleaner(ds):
    return Cleaner(ds, rank(ds), page_size=5)


def ask(cleaner, kind, **fields):
    reply, buffers = cleaner._desk.answer({"kind": kind, "id": f"t{next(IDS)}", **fields})
    json.dumps(reply)
    return {**reply, "buffers": buffers}


def paths(cleaner):
    return [issue.path for issue in cleaner._review.issues]


class TestLooking:
    def test_a_page_ahead_comes_with_its_pictures_and_turns_nothing(self, cleaner):
        before = cleaner.snapshot
        reply = ask(cleaner, "look", page=1)
        assert [item["path"] for item in reply["items"]] == paths(cleaner)[5:10]
        assert len(reply["buffers"]) == 5 and all(jpeg.startswith(b"\xff\xd8") for jpeg in reply["buffers"])
        assert reply["queue"] == before["queue"] and cleaner.snapshot == before
        assert ask(cleaner, "look", page=1, pictures=False)["buffers"] == []
        assert ask(cleaner, "look", page=99)["items"] == []

    def test_a_glance_at_another_view_turns_nothing_and_is_what_turning_shows(self, cleaner):
        before = cleaner.snapshot
        reply = ask(cleaner, "glance", label="grizzly", page=0)
        assert len(reply["buffers"]) == 5 and all(jpeg.startswith(b"\xff\xd8") for jpeg in reply["buffers"])
        assert cleaner.snapshot == before and cleaner._review.view.label is None
        assert ask(cleaner, "glance", label="grizzly", page=0, pictures=False)["buffers"] == []
        ask(cleaner, "view", label="grizzly", page=0)
        assert reply["glance"].items() <= cleaner.snapshot.items()
        cleaner.decide(cleaner.snapshot["items"][0]["path"], "keep")
        assert ask(cleaner, "glance", label="black", page=0)["glance"]["line"] == cleaner.snapshot["line"]

    def test_an_answer_brings_what_it_changed_wherever_it_stands(self, cleaner):
        far = paths(cleaner)[12]
        row, = ask(cleaner, "decide", path=far, decision="unsure", seen=0)["rows"]
        assert (row["path"], row["index"], row["decision"], row["stale"]) == (far, 12, "unsure", False)
        assert row["seq"] > 0
        row, = ask(cleaner, "undo")["rows"]
        assert (row["path"], row["decision"], row["seq"]) == (far, None, 0)
        row, = ask(cleaner, "redo")["rows"]
        assert row == ask(cleaner, "look", page=2)["items"][2]
        rows = ask(cleaner, "decide_many", paths=paths(cleaner)[:3], decision="keep")["rows"]
        assert [row["decision"] for row in rows] == ["keep"] * 3

    def test_thumbnails_are_those_of_the_scan_as_they_are(self, cleaner, ds):
        assert cleaner.thumbnails == ds.thumbnails(paths(cleaner)[:5])

    def test_the_queue_has_another_number_when_its_places_change_and_only_then(self, cleaner):
        number = cleaner.snapshot["queue"]
        cleaner.decide(paths(cleaner)[0], "keep")
        assert cleaner.snapshot["queue"] == number
        ask(cleaner, "view", status="undecided", page=0)
        assert cleaner.snapshot["queue"] == number + 1
        cleaner.decide(paths(cleaner)[1], "keep")
        assert cleaner.snapshot["queue"] == number + 2

    def test_a_strip_holds_pictures_of_the_data_set_and_of_nothing_else(self, cleaner, ds):
        reply = ask(cleaner, "strips", paths=[ds.images[0].path, "../../etc/passwd", "no/such.jpg"])
        assert reply["paths"] == [ds.images[0].path] and reply["labels"] == ["black"] and len(reply["buffers"]) == 1

    @pytest.mark.parametrize(("kind", "fields"), [
        ("strips", {"paths": "black"}), ("strips", {"paths": ["x"] * 97}), ("strips", {"paths": [7]}),
        ("like", {"path": "no/such.jpg"}), ("between", {"first": "x"}), ("close_look", {"path": "/etc/passwd"}),
        ("look", {"page": -1}), ("decide_many", {"paths": ["x"], "decision": "keep"}),
        ("decide", {"path": 7, "decision": "keep", "seen": 0}), ("view", {"issue_kind": "dark"}),
        ("view", {"suggested": "polar"}), ("view", {"source": "x"}), ("glance", {"label": "polar"}),
    ])
    def test_what_does_not_fit_is_refused(self, cleaner, ds, kind, fields):
        before = cleaner.snapshot
        assert not ask(cleaner, kind, **fields)["ok"]
        assert cleaner.snapshot == before and ds.decisions == {}

    def test_full_size_says_what_is_known_of_the_source(self, cleaner, ds):
        path = paths(cleaner)[0]
        known = {"source": "feedback", "engine": "2025-11-20", "note": "said 'dog'"}
        ds._sources.store([SourceRecord("feedback/7", "black", state="added", path=path,
                                        image_id=ds.record(path).image_id, **known)])
        source, = Cleaner(Dataset(ds.root), rank(ds))._review.close_look(path).sources
        assert known.items() <= source.items()
        assert "licence" not in source, "what is empty is not listed"

    def test_full_size(self, cleaner):
        path = paths(cleaner)[0]
        reply = ask(cleaner, "close_look", path=path)
        assert (reply["width_px"], reply["height_px"], reply["path"]) == (64, 48, path)
        assert reply["reasons"] == ["why"] and reply["buffers"][0].startswith(b"\xff\xd8")

    def test_the_overview_and_what_a_cell_opens(self, cleaner):
        found = ask(cleaner, "confusion")
        row, column = found["labels"].index("black"), found["labels"].index("grizzly")
        assert [row, column, 7, 7] in found["cells"]
        ask(cleaner, "view", label="black", suggested="grizzly", page=0)
        assert cleaner.snapshot["counts"]["shown"] == 7 and cleaner.snapshot["suggested"] == "grizzly"


class TestMany:
    def test_one_decision_about_many_and_one_undo(self, cleaner, ds):
        reply = ask(cleaner, "like", path=paths(cleaner)[0])
        assert len(reply["paths"]) == 7
        done = ask(cleaner, "decide_many", paths=reply["paths"], decision="accept", seen_up_to=reply["seen_up_to"])
        assert done["decided"] == 7 and {d.label for d in ds.decisions.values()} == {"grizzly"}
        assert ask(cleaner, "undo")["count"] == 7 and ds.decisions == {}
        assert ask(cleaner, "redo")["count"] == 7 and len(ds.decisions) == 7
        assert ask(cleaner, "redo") | {"id": ""} == {"id": "", "ok": True, "path": None, "seq": 0, "count": 0,
                                                     "rows": [], "buffers": [],
                                                     "revision": cleaner.snapshot["revision"]}

    def test_further_parts_belong_to_the_same_step(self, cleaner, ds):
        for part, step in ((paths(cleaner)[:5], False), (paths(cleaner)[5:9], True)):
            assert ask(cleaner, "decide_many", paths=part, decision="relabel", label="black", step=step)["ok"]
        assert ask(cleaner, "undo")["count"] == 9 and ds.decisions == {}


class TestTogether:
    def test_a_decision_of_somebody_else_is_named_and_stands(self, cleaner, ds):
        path = paths(cleaner)[0]
        Dataset(ds.root).decide(path, "remove", who="Анна")
        reply = ask(cleaner, "decide", path=path, decision="keep", seen=0, who="Ben")
        theirs, = reply["conflict"]
        assert (theirs["who"], theirs["kind"]) == ("Анна", "remove") and "Анна has decided" in reply["error"]
        assert ds.decisions[path].kind == "remove" and cleaner.snapshot["items"][0]["decision"] == "remove"
        assert "conflict" not in ask(cleaner, "decide", path=path, decision="keep", seen=theirs["seq"], who="Ben")
        assert (ds.decisions[path].kind, ds.decisions[path].who) == ("keep", "Ben")

    def test_who_comes_later_takes_back_their_own_and_never_another_s(self, cleaner, ds):
        first, second = paths(cleaner)[:2]
        ask(cleaner, "decide", path=first, decision="keep", who="Ben")
        ask(cleaner, "decide", path=second, decision="remove", who="Ada")
        reloaded = Cleaner(Dataset(ds.root), rank(ds), page_size=5)
        assert ask(reloaded, "undo", who=" Ben ")["path"] == first
        assert ask(reloaded, "undo", who="Ben")["path"] is None
        assert {path: d.who for path, d in ds.decisions.items()} == {second: "Ada"}
        assert ask(reloaded, "redo", who="Ben")["path"] == first
        assert not ask(reloaded, "undo", who=7)["ok"]
        assert reloaded.undo_decision().path == first, "brought back here, so it is a step of this page"
        assert reloaded.undo_decision(who="Ada").path == second

    def test_the_watch_brings_what_was_decided_elsewhere_and_ends_with_the_widget(self, ds):
        cleaner = Cleaner(ds, rank(ds), page_size=5)
        cleaner._watch._every_s = .01
        heard = threading.Event()
        cleaner.observe(lambda change: heard.set(), names=["snapshot"])
        assert not cleaner._watch.is_alive, "nobody looks yet"
        assert ask(cleaner, "watch")["ok"] and cleaner._watch.is_alive
        Dataset(ds.root).decide(paths(cleaner)[0], "remove", who="Anna")
        assert heard.wait(20) and cleaner.snapshot["items"][0]["who"] == "Anna"
        thread = cleaner._watch._thread
        cleaner.close()
        thread.join(20)
        assert not thread.is_alive()

    def test_a_watch_ends_when_nobody_renews_it_and_survives_what_goes_wrong(self):
        looks = []

        def look():
            looks.append(1)
            raise OSError("the drive is away")

        watch = Watch(look, every_s=.005, lease_s=.1)
        watch.renew()
        thread = watch._thread
        thread.join(20)
        assert not watch.is_alive and len(looks) > 1
        watch.stop()
        watch.renew()
        assert not watch.is_alive


class TestApplied:
    """An apply of a kernel that is gone: another cleaner on the same folder can take it back."""

    @pytest.fixture
    def fresh(self, cleaner, ds):
        cleaner.decide(paths(cleaner)[0], "relabel", "grizzly")
        cleaner.decide(paths(cleaner)[1], "remove")
        cleaner.apply()
        again = Dataset(ds.root)
        return Cleaner(again, rank(again), page_size=5)

    def test_it_is_offered_and_brings_the_files_back(self, cleaner, fresh, ds):
        assert fresh.result is None and ask(fresh, "plan")["ok"]
        at, files = fresh.planned["last_apply"]
        assert files == 2 and at == ds.last_apply.at
        assert ask(fresh, "undo_apply")["ok"] and fresh.result["moved"] == 2 and fresh.result["undone"]
        assert all(file.is_file() for file in cleaner.fns)
        ask(fresh, "plan")
        assert fresh.planned["last_apply"] is None, "there is none before it"

    def test_what_came_back_and_is_not_in_the_ranking_is_said(self, fresh):
        fresh.undo()
        assert fresh.notice == ("1 picture of this ranking is left out: moved, removed or changed since it was made. "
                                "2 pictures that came back are not in this ranking. Rank again to see them.")

    def test_one_s_own_apply_taken_back_leaves_nothing_to_say(self, cleaner):
        cleaner.decide(paths(cleaner)[0], "remove")
        cleaner.apply()
        cleaner.undo()
        assert cleaner.notice == ""

    def test_an_apply_elsewhere_is_taken_back_only_once_it_was_shown(self, cleaner, fresh):
        fresh.decide(paths(fresh)[0], "remove")
        fresh.apply()
        assert not ask(cleaner, "undo_apply")["ok"]
        ask(cleaner, "plan")
        assert cleaner.planned["last_apply"][1] == 1 and ask(cleaner, "undo_apply")["ok"]

    def test_without_an_apply_nothing_is_offered(self, cleaner):
        ask(cleaner, "plan")
        assert cleaner.planned["last_apply"] is None


class TestAbove:
    def test_what_was_found_stands_above_the_grid_from_the_first_decision_on(self, ds):
        asked = []

        def estimate(problems, places, scores):
            asked.append((problems, places.tolist(), len(scores)))
            return f"{sum(problems)} of {len(problems)}"

        cleaner = Cleaner(ds, rank(ds), estimate=estimate)
        assert cleaner.snapshot["found"] is None
        cleaner.decide(paths(cleaner)[3], "remove")
        cleaner.decide(paths(cleaner)[0], "keep")
        assert cleaner.snapshot["found"] == {"sentence": "1 of 2"} and asked[-1] == ([True, False], [3, 0], 18)

    def test_before_and_after_with_their_intervals(self, ds):
        cleaner = Cleaner(ds, rank(ds), comparison=Comparison(100, .9, .95, 6, 1))
        told = cleaner.comparison
        assert (told["n"], told["before"][0], told["after"][0], told["fixed"]) == (100, .9, .95, 6)
        assert told["before"][1] < .9 < told["before"][2] and told["after"][1] < .95 < told["after"][2]
        json.dumps(told)

    def test_the_shipped_notebook_hands_them_to_the_cleaner(self):
        cells = json.loads((NOTEBOOKS / "4_evaluate.ipynb").read_text("utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        calls = {ast.unparse(call.func): call for call in ast.walk(ast.parse(code)) if isinstance(call, ast.Call)}
        given = {word.arg: ast.unparse(word.value) for word in calls["shoebox.clean"].keywords}
        assert given["comparison"] == "comparison" and "comparison = shoebox.compare(" in code


def test_fastai_s_arguments_are_taken_and_max_n_is_the_page(ds, monkeypatch):
    monkeypatch.setattr(studio, "_folder_of", lambda learn: ds.root)
    monkeypatch.setattr(studio, "_in_the_background", lambda ds, learn: {"ranking": rank(ds)})
    by_place = shoebox.ImageClassifierCleaner(object(), ("black", "grizzly"), 128, 256, 7)
    by_name = shoebox.ImageClassifierCleaner(learn=object(), opts=["black"], height=64, width=64, max_n=7)
    for cleaner in (by_place, by_name):
        assert len(cleaner.snapshot["items"]) == 7 and cleaner.snapshot["counts"]["total"] == 18
        assert set(cleaner.classes) == set(ds.classes) and cleaner.iw is cleaner
