"""The collector's kernel side: the form, what it shows while it collects, stop and resume, without a browser."""

from __future__ import annotations

import itertools
import json
import time

import pytest

from shoebox.collect import Limits, UrlList
from shoebox.data import Dataset
from shoebox.errors import DatasetError
from shoebox.widgets import Collector
from tests._pictures import AWKWARD, CYRILLIC, draw, save
from tests._web import body, jpeg, web

IDS = itertools.count(1)


@pytest.fixture
def here():
    with web() as server:
        server.answers |= {f"/{n}.jpg": body(jpeg(n)) for n in range(40)}
        yield server


def ask(collector, kind, **fields):
    reply, buffers = collector._desk.answer({"kind": kind, "id": f"t{next(IDS)}", **fields})
    assert not buffers
    json.dumps([reply, collector.snapshot])
    return reply


def wish(*rows, source="urls", **fields):
    return {"rows": [list(row) for row in rows], "source": source, "per_class": 50, "place": "", **fields}


def make(root, here, numbers, starts_per_s=500, **options):
    urls = UrlList([here.url(f"/{n}.jpg") for n in numbers])
    return Collector(root, source=urls, allow_private=True, limits=Limits(starts_per_s=starts_per_s), **options)


def test_a_form_that_was_filled_in_collects_and_shows_it(tmp_path, here):
    collector = make(tmp_path / "bears", here, [1, 2, 3, 99])
    assert collector.snapshot["state"] == "idle" and not (tmp_path / "bears").exists()
    assert collector.choices[0] == ["urls", "UrlList (given in the notebook)"] and "healthy skin" in collector.warning
    states = []
    collector.observe(lambda change: states.append(change.new["state"]), names=["snapshot"])
    assert ask(collector, "start", **wish((CYRILLIC, "")))["ok"]
    report = collector.wait(60)
    assert report is not None and report.summary() == "asked 4, saved 3, 1 not found"
    shown = collector.snapshot
    assert states[0] == "running" and shown["state"] == "idle" and shown["summary"] == report.summary()
    assert shown["classes"] == [{"label": CYRILLIC, "done": 4, "total": 4, "added": 3, "duplicate": 0, "refused": 1}]
    assert {p["path"] for p in shown["pictures"]} == {r.path for r in report.records if r.state == "added"}
    assert all(data[:2] == b"\xff\xd8" for data in collector.thumbnails.values()) and len(collector.thumbnails) == 3
    assert [list(site) for site in shown["sites"]] == [["127.0.0.1", 3]]
    collector.close()


def test_stop_and_start_again_go_on_where_it_ended(tmp_path, here):
    collector = make(tmp_path / "bears", here, range(30), starts_per_s=20)
    ask(collector, "start", **wish(("a", "")))
    assert "under way" in ask(collector, "start", **wish(("b", "")))["error"]
    end = time.monotonic() + 60
    while not collector.snapshot["pictures"] and time.monotonic() < end:
        time.sleep(0.02)
    assert ask(collector, "stop")["ok"] and collector.snapshot["state"] in ("stopping", "idle")
    report = collector.wait(60)
    assert report.stopped and 0 < len(report.ds.images) < 30
    assert collector.snapshot["rows"] == [["a", "a"]]
    collector._options["limits"] = Limits(starts_per_s=500)
    ask(collector, "start", **wish(("a", "")))
    n_before, report = len(report.ds.images), collector.wait(60)
    assert len(report.ds.images) == 30 and max(here.counts().values()) <= 2
    assert collector.snapshot["summary"] == report.summary() == f"asked 30, saved 30 ({n_before} of them earlier)"
    collector.close()


@pytest.mark.parametrize(("fields", "words"), [
    (wish(), "no class yet"), (wish(("../up", "x")), "class name"), (wish(("a", "x"), source="bing"), "source"),
    (wish(("a", "x"), per_class=0), "whole number"), (wish(("a", "x"), per_class="5"), "whole number"),
    ({**wish(), "rows": "a"}, "At most"), ({**wish(), "rows": [["a"]]}, "a class and a query"),
    ({**wish(), "rows": [["a", 3]]}, "a class and a query"), ({**wish(), "rows": [["a", "b"]] * 201}, "At most"),
    (wish(("a", ""), source="files"), "No path was given"), (wish(("a", "x"), ("a", "y")), "Two rows have the class"),
    (wish(("a", ""), source="files", place="/no/such"), "There is no"),
])
def test_forged_and_foolish_forms_are_refused_with_a_sentence(tmp_path, here, fields, words):
    collector = make(tmp_path / "bears", here, [1])
    before = collector.snapshot["rows"]
    reply = ask(collector, "start", **fields)
    assert not reply["ok"] and words in reply["error"], reply
    assert collector.snapshot["state"] == "idle" and collector.snapshot["rows"] == before
    assert not (tmp_path / "bears").exists()
    collector.close()


def test_a_list_of_classes_will_do_and_what_is_taken_as_a_whole_is_named(tmp_path, here):
    collector = make(tmp_path / "bears", here, [1], classes=["a", "b"])
    assert collector.snapshot["rows"] == [["a", "a"], ["b", "b"]] and collector.snapshot["lists"] == ["files", "urls"]
    collector.close()
    with pytest.raises(DatasetError, match="classes is 'ab'"):
        Collector(tmp_path / "bears", "ab")


def test_a_star_means_everything_and_a_folder_that_is_not_there_says_so(tmp_path):
    for n in range(3):
        save(tmp_path / "mine" / ("teddy" if n else "") / f"{n}.jpg", draw(100 + n))
    collector = Collector(tmp_path / "bears", allow_private=True)
    for query, n, sentence in (("panda", 0, "it has 'teddy'. Give one of these as the query, or * for everything."),
                               ("*", 3, "")):
        assert ask(collector, "start", **wish(("bear", query), source="files", place=str(tmp_path / "mine")))["ok"]
        assert len(collector.wait(60).ds.images) == n and sentence in "".join(collector.snapshot["notes"])
    collector.close()


def test_a_folder_and_a_list_of_this_machine_can_be_named(tmp_path, here):
    for n in range(3):
        save(tmp_path / "mine" / "teddy" / f"{n}.jpg", draw(100 + n))
    (tmp_path / "list.txt").write_text(here.url("/1.jpg"), "utf-8")
    collector = Collector(tmp_path / "bears", {"teddy": "teddy"}, allow_private=True)
    assert ask(collector, "start", **wish(("teddy", "teddy"), source="files", place=str(tmp_path / "mine")))["ok"]
    assert len(collector.wait(60).ds.images) == 3
    assert ask(collector, "start", **wish((AWKWARD, ""), source="files", place=str(tmp_path / "list.txt")))["ok"]
    assert len(collector.wait(60).ds.images) == 4
    assert isinstance(collector.report.ds, Dataset) and "asked 1, saved 1" in repr(collector)
    collector.close()


def test_what_goes_wrong_is_shown_and_the_form_is_free_again(tmp_path, here):
    (tmp_path / "file").write_text("in the way")
    collector = make(tmp_path / "file", here, [1])
    assert ask(collector, "start", **wish(("a", "")))["ok"]
    assert collector.wait(60) is None and collector.snapshot["state"] == "idle"
    assert "cannot be made a data set" in collector.snapshot["notes"][0]
    with pytest.raises(DatasetError, match="no class"):
        Collector(tmp_path / "x").start()
    collector.close()


def test_only_the_newest_pictures_are_kept_in_the_page(tmp_path, here):
    collector = make(tmp_path / "bears", here, range(40))
    ask(collector, "start", **wish(("a", "")))
    collector.wait(60)
    assert len(collector.snapshot["pictures"]) == len(collector.thumbnails) == 24
    collector.close()
