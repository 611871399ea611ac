"""The licence filter: kept by every source that knows licences, refused by those that do not, never dropped."""

from __future__ import annotations

import pytest

import shoebox
from shoebox.collect import Archive, Commons, Ddgs, Folder, Found, Limits, Openverse, SerpApi, UrlList
from shoebox.collect._licence import LICENCES, allows
from shoebox.errors import DatasetError
from tests._pictures import draw, save
from tests._sources import everything
from tests._web import body, jpeg, status, web

QUICK = Limits(starts_per_s=500, backoff_s=0.02, silence_s=5)


@pytest.mark.parametrize(("licence", "letters"), [
    ("CC BY 4.0", "oc m"), ("cc-by-sa-3.0-de", "oc m"), ("by-sa", "oc m"), ("CC BY-NC 2.0", "o  m"),
    ("CC BY-NC-SA 4.0 International", "o  m"), ("by-nd", "oc  "), ("CC BY-NC-ND", "o   "), ("CC0", "oc m"),
    ("CC0 1.0 Universal", "oc m"), ("Public Domain Mark 1.0", "oc m"), ("public domain", "oc m"),
    ("Creative Commons Attribution-NonCommercial-NoDerivatives 4.0 International License", "o   "),
    ("Attribution-ShareAlike 2.0 Generic", "oc m"), ("https://creativecommons.org/licenses/by-nc/4.0/", "o  m"),
    ("https://creativecommons.org/publicdomain/zero/1.0/", "oc m"),
    ("", "    "), ("All rights reserved", "    "), ("by Ann", "    "), ("not public domain", "    "), ("NC", "    "),
    ("free for personal use", "    "), ("CC", "    "), ("by-nc-something", "    "),
])
def test_what_a_licence_allows(licence, letters):
    expected = {"open": "o" in letters, "commercial": "c" in letters, "modification": "m" in letters}
    assert {wanted: allows(wanted, licence) for wanted in LICENCES} == expected
    assert not allows("anything", licence)


def test_name_and_address_of_a_licence_may_not_contradict_each_other():
    assert allows("commercial", "CC BY 4.0", "https://anywhere.example/")
    assert allows("commercial", "", "https://creativecommons.org/licenses/by/4.0/")
    assert not allows("commercial", "CC BY 4.0", "https://creativecommons.org/licenses/by-nc/4.0/")
    assert not allows("open", "All rights reserved", "https://creativecommons.org/licenses/by/4.0/")
    assert not allows("open", "", "https://anywhere.example/by/4.0/")


@pytest.fixture
def here():
    with web() as server:
        server.answers |= {f"/{n}.jpg": body(jpeg(n)) for n in range(9)}
        yield server


def collect(root, source, *, licence="commercial", **options):
    return shoebox.collect(root, {"a": "x"}, source=source, licence=licence, allow_private=True, limits=QUICK,
                           **options)


@pytest.mark.parametrize("make", [Openverse, Commons, Ddgs])
def test_a_source_that_was_made_before_gets_the_filter(make, tmp_path, monkeypatch):
    """Shipped bug: only sources given by name got it, and the filter was dropped in silence."""
    asked, own = [], make()
    monkeypatch.setattr(make, "search", lambda source, query, n: asked.append(source.licence) or iter(()))
    collect(tmp_path / "bears", own)
    collect(tmp_path / "bears", make(licence="commercial"))
    collect(tmp_path / "bears", make(licence="open"), licence=None)
    assert asked == ["commercial", "commercial", "open"] and own.licence is None, "it is the caller's, and stays so"


@pytest.mark.parametrize(("source", "words"), [
    (lambda folder: Folder(folder), "folder knows no picture's licence"),
    (lambda folder: ["openverse", Archive(folder / "a.zip")], "archive knows no picture's licence"),
    (lambda folder: Openverse(licence="open"), "'open' of its own, and 'commercial'"),
    (lambda folder: SerpApi(), "serpapi has no licence filter 'commercial'"),
])
def test_a_source_that_cannot_keep_the_filter_is_refused(tmp_path, source, words):
    save(tmp_path / "mine" / "x" / "0.jpg", draw(0))
    with pytest.raises(DatasetError, match=words):
        collect(tmp_path / "bears", source(tmp_path / "mine"))
    assert not (tmp_path / "bears").exists()


def test_a_list_brings_what_its_rows_allow_and_says_what_it_left_out(tmp_path, here):
    rows = [(0, "CC BY 4.0"), (1, "CC BY-NC 4.0"), (2, ""), (3, "cc0"), (4, "All rights reserved")]
    (tmp_path / "list.csv").write_text("\n".join(["url,licence", *(f"{here.url(f'/{n}.jpg')},{text}"
                                                                   for n, text in rows)]), "utf-8")
    report = collect(tmp_path / "bears", UrlList(tmp_path / "list.csv"))
    assert report.summary() == "asked 2, saved 2" and here.counts() == {"/0.jpg": 1, "/3.jpg": 1}
    note, = report.notes
    assert "3 of 5 addresses of the list" in note and "(commercial)" in note and "'licence_url'" in note
    assert [row.rank for row in report.records] == [1, 4]
    found, sentence = everything(UrlList([here.url("/1.jpg")]).with_licence("open"))
    assert not found and "1 of 1" in sentence


def test_what_an_unfiltered_search_had_found_is_not_fetched_under_a_filter(tmp_path, here):
    class Search(Openverse):
        def search(self, query, n):
            for number in range(6):
                if number % 2 == 0 or self.licence is None:
                    yield Found(here.url(f"/{number}.jpg"), licence="CC BY 2.0" if number % 2 == 0 else "CC BY-NC 2.0")

    here.answers["/1.jpg"] = status(403)
    first = collect(tmp_path / "bears", Search(), licence=None, per_class=2)
    assert first.summary() == "asked 2, saved 1, 1 HTTP errors", "to be tried again, but not under a filter"
    report = collect(tmp_path / "bears", Search(), per_class=3)
    assert here.counts() == {f"/{n}.jpg": 1 for n in (0, 1, 2, 4)}
    assert {row.licence for row in report.records} == {"CC BY 2.0"}


def test_a_search_that_names_no_licences_remembers_under_which_filter_it_found_a_picture(tmp_path, here):
    asked = []

    class Search(Ddgs):
        def search(self, query, n):
            asked.append(self.licence)
            for number in range(4) if self.licence else range(8):
                yield Found(here.url(f"/{number}.jpg"))

    report = collect(tmp_path / "bears", Search(), per_class=4)
    assert {row.note for row in report.records} == {"licence filter: commercial"}
    again = collect(tmp_path / "bears", Search(), per_class=4)
    assert again.summary() == "asked 4, saved 4 (all of them earlier)"
    assert asked == ["commercial"], "the second time nothing is missing, so nothing is asked"
    collect(tmp_path / "bears", Search(), licence=None, per_class=6)
    assert asked == ["commercial", None]
