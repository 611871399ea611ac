"""The whole of collecting: classes, resuming, origins that survive every move, the report."""

from __future__ import annotations

import csv
import gc
import inspect
import io
import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

import shoebox
from shoebox.collect import Folder, Found, Limits, SourceError, UrlList
from shoebox.data import Dataset, sha256_file
from shoebox.data._catalog import _STEPS
from shoebox.errors import DatasetError
from tests._pictures import AWKWARD, CYRILLIC, draw, save
from tests._web import body, in_turn, jpeg, status, web

QUICK = Limits(starts_per_s=500, backoff_s=0.02, silence_s=5)


class Search:
    """A search engine with a list of answers."""

    name, searches = "made", True

    def __init__(self, *urls, fails_after=None):
        self.urls, self.fails_after, self.questions = urls, fails_after, []

    def search(self, query, n):
        self.questions.append((query, n))
        for rank, url in enumerate(self.urls, start=1):
            if rank - 1 == self.fails_after:
                raise SourceError("made has had enough. Wait an hour.")
            yield Found(url, f"https://www.page.example/{rank}", f"<b>{query}</b> {rank}", "CC BY 4.0",
                        "https://licence.example/by", f"Author_{rank}", "engine", rank)


@pytest.fixture
def here():
    with web() as server:
        server.answers |= {f"/{n}.jpg": body(jpeg(n)) for n in range(40)}
        yield server


@pytest.fixture
def root(tmp_path):
    return tmp_path / "bears"


def collect(root, classes, source, **options):
    return shoebox.collect(root, classes, source=source, allow_private=True, **{"limits": QUICK, **options})


def pictures(root):
    return {p.relative_to(root).as_posix(): sha256_file(p) for p in root.rglob("*.jpg") if ".shoebox" not in p.parts}


def test_the_room_is_the_function_whichever_way_it_was_imported():
    for code in ("import shoebox; f = shoebox.collect", "import shoebox.collect; f = shoebox.collect",
                 "from shoebox.collect import collect as f", "import shoebox.collect as f",
                 "from shoebox import collect as f"):
        script = f"{code}\nimport inspect, sys\nassert callable(f) and 'per_class' in str(inspect.signature(f))\n" \
                 "assert 'torch' not in sys.modules\nfrom shoebox.collect import UrlList, collect_folder"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert inspect.signature(shoebox.collect) == inspect.signature(shoebox.collect.collect)


def test_copying_a_folder_needs_no_library_of_the_web():
    script = "import sys, shoebox; shoebox.collect_folder; assert not {'httpx', 'ddgs', 'h11'} & sys.modules.keys()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_classes_are_searched_and_every_address_has_a_row(root, here):
    made = Search(*(here.url(f"/{n}.jpg") for n in (1, 2)), here.url("/gone.jpg"), here.url("/3.jpg"))
    report = collect(root, {CYRILLIC: "brown bear", AWKWARD: "teddy"}, made, per_class=3)
    assert made.questions == [("brown bear", 3), ("teddy", 3)]
    assert isinstance(report.ds, Dataset) and report.ds.classes == (CYRILLIC,)
    assert [(r.label, r.state, r.cause) for r in report.records] == [
        (CYRILLIC, "added", ""), (CYRILLIC, "added", ""), (CYRILLIC, "refused", "not_found"),
        (AWKWARD, "duplicate", ""), (AWKWARD, "duplicate", ""), (AWKWARD, "refused", "not_found")]
    assert here.counts() == {"/1.jpg": 1, "/2.jpg": 1, "/gone.jpg": 1}, "an address of two classes is fetched once"
    assert report.summary() == "asked 6, saved 2, 2 not found, 2 duplicates"
    assert report.counts()[CYRILLIC] == {"asked": 3, "added": 2, "duplicate": 0, "refused": 1, "waiting": 0}
    assert report.sites() == {"page.example": 2}


def test_collecting_again_asks_for_nothing_that_is_stored_and_tries_again_what_failed_in_passing(root, here):
    here.answers |= {"/busy.jpg": in_turn(status(403), body(jpeg(90)))}
    made = Search(here.url("/1.jpg"), here.url("/busy.jpg"), here.url("/gone.jpg"), here.url("/2.jpg"))
    assert collect(root, {"a": "x"}, made, per_class=3).summary() == "asked 3, saved 1, 1 not found, 1 HTTP errors"
    before = here.counts()
    report = collect(root, {"a": "x"}, made, per_class=3)
    assert report.summary() == "asked 3, saved 2 (1 of them earlier), 1 not found" and made.questions == [("x", 3)]
    assert here.counts() - before == {"/busy.jpg": 1}
    more = collect(root, {"a": "x"}, made, per_class=4)
    assert more.summary() == "asked 4, saved 3 (2 of them earlier), 1 not found" and made.questions[1:] == [("x", 4)]


def test_an_address_that_a_list_names_twice_is_asked_once_and_said(root, here):
    urls = [here.url(f"/{n}.jpg") for n in (1, 2, 1, 1)]
    report = collect(root, {"a": ""}, UrlList(urls))
    assert report.summary() == "asked 2, saved 2" and here.counts() == {"/1.jpg": 1, "/2.jpg": 1}
    assert report.notes == ("a: 2 of the addresses that urls names are repeated.",)


def test_what_was_removed_stays_removed_and_what_was_taken_away_by_hand_comes_back(root, here):
    urls = UrlList([here.url(f"/{n}.jpg") for n in range(4)])
    ds = collect(root, {"a": ""}, urls).ds
    ds.decide(ds.images[0].path, "remove")
    ds.apply()
    gone = ds.images[0].path
    ds.file(gone).unlink()
    again = collect(ds, {"a": ""}, urls)
    assert len(again.ds.images) == 3 and gone in {r.path for r in again.ds.images}
    assert sum(here.counts().values()) == 5
    twins = collect(ds, {"b": ""}, UrlList([here.url("/0.jpg?other"), here.url("/1.jpg?other")]))
    assert {r.state for r in twins.records} == {"duplicate"}


def test_origins_survive_relabel_move_trash_and_restore(root, here):
    made = Search(*(here.url(f"/{n}.jpg") for n in range(4)))
    report = collect(root, {"a": "x"}, made, per_class=4)
    ds, (first, second, third, fourth) = report.ds, report.records
    ds.decide(first.path, "relabel", "b")
    ds.decide(second.path, "remove")
    ds.decide(third.path, "remove")
    ds.apply()
    ds.restore(next(item.path for item in ds.trash() if item.record.image_id == third.image_id))
    (root / "a" / f"{fourth.image_id[:16]}.jpg").rename(root / "a" / "by hand.jpg")
    ds = Dataset(root)
    assert {image_id: rows[0].url for image_id, rows in ds.sources.items()} == {
        r.image_id: r.url for r in report.records}, "those in the trash keep theirs too"
    credits_ = ds.attribution()
    assert {c.path: c.author for c in credits_.rows} == {
        f"b/{first.image_id[:16]}.jpg": "Author_1", third.path: "Author_3", "a/by hand.jpg": "Author_4"}
    source, = ds.sources[first.image_id]
    assert (source.query, source.engine, source.rank, source.licence) == ("x", "engine", 1, "CC BY 4.0")
    assert source.url and source.page_url and source.sha256 and source.fetched_at > source.found_at > "2020"


def test_the_credits_list_is_text_however_it_is_shown(root, here):
    save(root / "a" / "own.jpg", draw(99))
    ds = collect(root, {"a": "x"}, Search(here.url("/1.jpg"), here.url("/2.jpg)<x>")), per_class=2).ds
    listed = ds.attribution()
    assert len(listed) == 1 and listed.unknown == 1
    text = listed.markdown()
    assert "\\<b\\>x\\<\\/b\\>" in text or "\\<b\\>x\\</b\\> 1" in text
    assert "Author\\_1" in text and "[CC BY 4\\.0](<https://licence.example/by>)" in text
    assert "<b>" not in text.replace("\\<b\\>", "") and "1 further pictures have no origin" in text
    assert "<b>" not in listed._repr_html_() and "&lt;b&gt;" in listed._repr_html_()


def test_a_source_that_fails_leaves_a_note_and_the_others_go_on(root, here):
    limited = Search(*(here.url(f"/{n}.jpg") for n in range(9)), fails_after=2)
    other = Search(*(here.url(f"/{n}.jpg") for n in range(10, 19)))
    other.name = "other"

    class Broken(Search):
        def search(self, query, n):
            raise KeyError("nobody expects this")

    broken = Broken()
    broken.name = "broken"
    report = collect(root, {"a": "x"}, [limited, broken, other], per_class=9)
    assert [r.source for r in report.records] == ["made"] * 2 + ["other"] * 7
    assert report.notes == ("a: made has had enough. Wait an hour.",
                            "a: broken failed (KeyError). Try again, or choose another.")
    assert {r.state for r in report.records} == {"added"} and "made has had enough" in str(report)


@pytest.mark.parametrize(("classes", "options", "words"), [
    ({}, {}, "nothing to collect"), ("grizzly", {}, "a mapping"), ({"a": " "}, {}, "no query"), (None, {}, "nothing"),
    ({"../up": "x"}, {}, "class name"), ({"a": "x"}, {"per_class": 0}, "at least 1"),
    ({"a": "x"}, {"max_px": 2}, "max_px"),
    ({"a": "x"}, {"source": "bing"}, "ddgs, openverse, commons, serpapi"), ({"a": "x"}, {"source": []}, "no source"),
    ({"a": "x"}, {"source": [3]}, "3 is no source"),
    ({"a": "x"}, {"licence": "free", "source": "commons"}, "licence"),
])
def test_nonsense_is_a_sentence_and_makes_nothing(root, classes, options, words):
    with pytest.raises(DatasetError, match=words):
        shoebox.collect(root, classes, **{"source": Search(), **options})
    assert not root.exists()


def test_two_collectors_do_not_get_in_each_others_way(root, here):
    here.answers["/slow.jpg"] = in_turn(status(429, Retry_After="1"), body(jpeg(80)))
    first = threading.Thread(target=collect, args=(root, {"a": ""}, UrlList([here.url("/slow.jpg")])))
    first.start()
    while not here.counts():
        time.sleep(0.01)
    with pytest.raises(DatasetError, match="is collecting into 'bears'"):
        collect(root, {"a": ""}, UrlList([here.url("/1.jpg")]))
    first.join()
    assert len(pictures(root)) == 1


def test_stopping_leaves_everything_whole_and_the_next_run_goes_on(root, here):
    stop = threading.Event()
    seen = []

    def watch(event):
        seen.append(event)
        if sum(e.kind == "outcome" for e in seen) == 3:
            stop.set()

    urls = UrlList([here.url(f"/{n}.jpg") for n in range(30)])
    slow = Limits(starts_per_s=20)
    report = collect(root, {"a": ""}, urls, stop=stop, watch=watch, limits=slow)
    assert report.stopped and "still waiting" in report.summary() and "goes on" in str(report)
    assert {r.state for r in report.records} == {"added", "waiting"}, "what was on its way is no refusal"
    assert 3 <= len(pictures(root)) < 30 and list((root / ".shoebox" / "incoming").iterdir()) == []
    before, n_before = here.counts(), len(pictures(root))
    report = collect(root, {"a": ""}, urls)
    assert len(pictures(root)) == 30 and report.summary() == f"asked 30, saved 30 ({n_before} of them earlier)"
    stored = {e.record.url for e in seen if e.record is not None and e.record.state == "added"}
    assert all(here.counts()["/" + url.rpartition("/")[2]] == before["/" + url.rpartition("/")[2]] for url in stored)


def test_a_data_set_with_train_and_valid_folders_gets_training_pictures(root, here):
    for side in ("train", "valid"):
        for n in range(3):
            save(root / side / "a" / f"{n}.jpg", draw(n + 100 * len(side)))
    report = collect(root, {"a": "", "b": ""}, UrlList([here.url("/1.jpg")]))
    assert [r.path.rpartition("/")[0] for r in report.records] == ["train/a", "train/a"]
    assert report.ds.record(report.records[0].path).side == "train"


def test_a_file_that_has_the_name_already_is_never_overwritten(root, here):
    name = f"{collect(root.parent / 'other', {'a': ''}, UrlList([here.url('/1.jpg')])).records[0].image_id[:16]}.jpg"
    save(root / "a" / name, draw(500))
    before = sha256_file(root / "a" / name)
    record, = collect(root, {"a": ""}, UrlList([here.url("/1.jpg")])).records
    assert record.path == f"a/{name[:-4]} (2).jpg" and sha256_file(root / "a" / name) == before


def test_the_report_is_a_table_a_picture_and_csv_with_every_row(root, here, tmp_path):
    evil = Search(here.url("/1.jpg?<script>"), "=HYPERLINK(1)", here.url("/gone.jpg"))
    evil.urls = (*evil.urls, *(here.url(f"/{n}.jpg") for n in range(2, 6)))
    report = collect(root, {AWKWARD: "<i>"}, evil, per_class=20)
    rows = list(csv.DictReader(io.StringIO(report.to_csv(tmp_path / "out.csv"))))
    assert (tmp_path / "out.csv").read_text("utf-8") == report.to_csv()
    assert len(rows) == len(report.records) == len(report) == 7
    assert rows[0]["url"].endswith("?<script>") and rows[1]["url"] == "'=HYPERLINK(1)"
    page = report._repr_html_()
    assert "healthy skin" in page and "<script>" not in page and "<b>" not in page and "page.example" in page
    assert "healthy skin" not in collect(root, {"z": ""}, UrlList([here.url("/9.jpg")]))._repr_html_()


def as_format_1(file):
    """Write a catalog's content anew in the tables of format 1."""
    new = file.rename(file.with_name("new.sqlite"))
    db = sqlite3.connect(file)
    db.executescript(_STEPS[0] + "; PRAGMA user_version=1")
    db.execute("ATTACH ? AS new", (str(new),))
    for table, in db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
                             ).fetchall():
        names = ", ".join(row[1] for row in db.execute(f"PRAGMA main.table_info({table})"))
        db.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM new.{table}")
    db.commit()
    db.close()
    new.unlink()


def test_an_old_catalog_opens_and_learns_of_sources(root, here):
    """A catalog of format 1, as the first Shoebox wrote it: the scanned pictures and decisions stay."""
    for n in range(3):
        save(root / "a" / f"{n}.jpg", draw(n))
    ds = Dataset(root)
    ds.decide("a/0.jpg", "keep")
    file = root / ".shoebox" / "catalog.sqlite"
    as_format_1(file)
    ds = Dataset(root)
    assert ds.report.added == 0 and ds.decisions["a/0.jpg"].kind == "keep" and ds.sources == {}
    assert len(collect(ds, {"a": ""}, UrlList([here.url("/1.jpg")])).ds.sources) == 1
    db = sqlite3.connect(file)
    assert db.execute("PRAGMA user_version").fetchone()[0] >= 2
    db.close()


@pytest.mark.skipif(os.name == "nt", reason="no links")
def test_a_class_folder_that_is_a_link_is_not_written_through(root, here, tmp_path, caplog):
    root.mkdir()
    (tmp_path / "outside").mkdir()
    (root / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(DatasetError, match="symbolic link"):
        collect(root, {"a": ""}, UrlList([here.url("/1.jpg")]))
    assert list((tmp_path / "outside").iterdir()) == []
    gc.collect()
    assert not caplog.records, "the failure was raised; asyncio had it, too, and logged a traceback at any later time"


def test_folders_of_this_machine_come_in_with_their_origin_but_without_its_path(root, tmp_path):
    for n in range(3):
        save(tmp_path / "mine" / "deep" / CYRILLIC / f"{n}.jpg", draw(n))
    report = shoebox.collect(root, {"bear": CYRILLIC}, source=Folder(tmp_path / "mine"))
    assert report.summary() == "asked 3, saved 3" and not report.searched
    assert str(tmp_path) not in report.to_csv() + report.ds.attribution().markdown()
    assert shoebox.collect(root, source=Folder(tmp_path / "mine")).summary() == "asked 3, saved 0, 3 duplicates"


def test_every_cause_has_its_words():
    from shoebox.collect import CAUSES
    from shoebox.collect._report import _WORDS

    assert set(_WORDS) == set(CAUSES)


def test_an_error_nobody_expected_costs_one_picture_and_not_the_rest(root, here, monkeypatch):
    from shoebox.collect import _check

    check = _check.check_image

    def sometimes(data, **options):
        if data == jpeg(1):
            raise KeyError("nobody expects this")
        return check(data, **options)

    monkeypatch.setattr(_check, "check_image", sometimes)
    report = collect(root, {"a": ""}, UrlList([here.url(f"/{n}.jpg") for n in range(5)]))
    assert [r.cause or r.state for r in report.records] == ["added", "not_stored", "added", "added", "added"]
