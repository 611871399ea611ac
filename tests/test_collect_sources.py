"""The search services, their answers played by a local server to the real clients."""

from __future__ import annotations

import html
import json
import logging
import time
from urllib.parse import parse_qs, urlsplit

import ddgs
import pytest

import shoebox
from shoebox.collect import (
    SOURCES,
    Archive,
    Commons,
    Ddgs,
    Feedback,
    Folder,
    Found,
    Openverse,
    SerpApi,
    Source,
    SourceError,
    UrlList,
)
from tests._sources import everything
from tests._web import body, in_turn, jpeg, status, web

KEY = "s3cret-key-that-nobody-may-see"


@pytest.fixture
def here():
    with web() as server:
        yield server


def says(answer, code=200, **headers):
    return body(json.dumps(answer).encode(), code, Content_Type="application/json", **headers)


def fields(asked):
    return {name: values[0] for name, values in parse_qs(urlsplit(asked.target).query).items()}


def test_every_source_keeps_the_interface(tmp_path, monkeypatch):
    class Empty:
        def entries(self):
            return []

    made = [make(None) for make in SOURCES.values()]
    for source in [*made, Folder(tmp_path), Archive(tmp_path / "a.zip"), UrlList([]), Feedback(Empty())]:
        assert isinstance(source, Source) and source.name and isinstance(source.searches, bool) and source.__doc__
    for name, make in SOURCES.items():
        with pytest.raises(SourceError, match="licence filter 'free'"):
            make("free")
        assert make("open").name == name


# --- Openverse ---

def openverse_page(number, pages=2):
    rows = [{"id": f"{number}-{n}", "title": f"Bear {number}-{n}", "url": f"https://live.example/{number}-{n}.jpg?x=1",
             "foreign_landing_url": f"https://site.example/{number}-{n}", "creator": "Ann <b>", "license": "by-sa",
             "license_version": "2.0", "license_url": "https://creativecommons.example/by-sa/2.0/", "source": "flickr"}
            for n in range(20)]
    return says({"result_count": 40, "page_count": pages, "page_size": 20, "page": number, "results": rows})


def test_openverse_names_licence_and_author(here):
    here.answers["/v1/images/"] = in_turn(openverse_page(1), openverse_page(2))
    source = Openverse(base_url=here.url("").rstrip("/"), allow_private=True, licence="commercial")
    found, _ = everything(source, "brown bear & <cub>")
    assert len(found) == 40 and [f.rank for f in found] == list(range(1, 41))
    assert found[0] == Found("https://live.example/1-0.jpg?x=1", "https://site.example/1-0", "Bear 1-0", "CC BY-SA 2.0",
                             "https://creativecommons.example/by-sa/2.0/", "Ann <b>", "flickr", 1)
    assert [fields(asked) for asked in here.asked] == [
        {"q": "brown bear & <cub>", "page": str(page), "page_size": "20", "mature": "false",
         "license_type": "commercial"} for page in (1, 2)]
    assert here.asked[0].headers["user-agent"].startswith("Shoebox/")


def test_a_limited_service_is_waited_for_once_and_then_said(here):
    source = Openverse(base_url=here.url("").rstrip("/"), allow_private=True)
    here.answers["/v1/images/"] = in_turn(status(429, Retry_After="1"), openverse_page(1, 1))
    start = time.monotonic()
    assert len(everything(source)[0]) == 20 and time.monotonic() - start >= 0.99
    here.answers["/v1/images/"] = in_turn(openverse_page(1), status(429, Retry_After="3600"))
    found, sentence = everything(source)
    assert len(found) == 20 and "3600 s" in sentence and "choose another source" in sentence


@pytest.mark.parametrize(("answer", "words"), [
    (status(500), "status 500"), (status(401), r"\(401\)"), (body(b"<html>"), "something else"),
    (says([]), "something else"),
    (body(b"[" * 100_000), "something else"), (body(b"x" * 11 * 2**20), "10 MB"),
])
def test_an_answer_that_is_none_is_a_sentence(here, answer, words):
    here.answers["/v1/images/"] = answer
    with pytest.raises(SourceError, match=words):
        list(Openverse(base_url=here.url("").rstrip("/"), allow_private=True).search("x", 5))


def test_rows_of_another_shape_are_passed_over(here):
    here.answers["/v1/images/"] = says({"page_count": 1, "results": [None, 3, {"url": 7, "title": None}, {"url": "u"}]})
    found, sentence = everything(Openverse(base_url=here.url("").rstrip("/"), allow_private=True))
    assert [f.url for f in found] == ["u"] and not sentence


def test_a_service_that_is_not_there_is_a_sentence(here):
    gone = here.url("").rstrip("/")
    source = Openverse(base_url=gone.replace(str(here.port), "9"), allow_private=True)
    assert "cannot be reached" in everything(source)[1]
    assert "pass allow_private" in everything(Openverse(base_url=gone))[1]


# --- Wikimedia Commons ---

def commons_page(numbers, onward=None):
    def page(n):
        licence = "CC BY-NC 4.0" if n == 3 else "CC BY-SA 3.0"
        meta = {"LicenseShortName": {"value": licence}, "LicenseUrl": {"value": "https://cc.example/"},
                "Artist": {"value": '<a href="//x" title="User:Б">Б &amp; Co</a>'}}
        return {"pageid": n, "title": f"File:Bear {n}.jpg", "index": n, "imageinfo": [{
            "url": f"https://up.example/o/{n}.jpg", "thumburl": f"https://up.example/t/{n}.jpg",
            "descriptionurl": f"https://commons.example/File:{n}", "user": "Uploader", "extmetadata": meta}]}

    answer = {"query": {"pages": [page(n) for n in reversed(numbers)]}}
    return says(answer | ({"continue": onward} if onward else {}))


def test_commons_names_licence_author_and_a_sensible_width(here):
    here.answers["/w/api.php"] = in_turn(commons_page([1, 2, 3], {"gsroffset": 3, "continue": "gsroffset||"}),
                                         commons_page([4]))
    source = Commons(base_url=here.url("").rstrip("/"), allow_private=True, licence="commercial")
    found, sentence = everything(source)
    assert [f.url.rpartition("/")[2] for f in found] == ["1.jpg", "2.jpg", "4.jpg"] and not sentence
    assert found[0] == Found("https://up.example/t/1.jpg", "https://commons.example/File:1", "Bear 1.jpg",
                             "CC BY-SA 3.0", "https://cc.example/", "Б & Co", "commons", 1)
    first, second = map(fields, here.asked)
    assert first["gsrsearch"] == "filetype:bitmap bear" and first["iiurlwidth"] == "1280"
    assert second["gsroffset"] == "3" and second["generator"] == "search"


def test_commons_errors_are_sentences(here):
    here.answers["/w/api.php"] = says({"error": {"code": "cirrussearch-too-busy", "info": "Search is too busy"}})
    assert "too busy" in everything(Commons(base_url=here.url("").rstrip("/"), allow_private=True))[1]


# --- SerpApi ---

def serpapi_page(numbers, *, more):
    rows = [{"position": n, "original": f"https://pic.example/{n}.jpg?w=1", "link": f"https://page.example/{n}",
             "title": f"Bear {n}", "thumbnail": "https://t.example"} for n in numbers]
    pagination = {"serpapi_pagination": {"next": "https://serpapi.example/search.json?ijn=1"}} if more else {}
    return says({"images_results": [*rows, {"position": 99, "title": "no address"}], **pagination})


def test_serpapi_sends_its_key_and_keeps_it_to_itself(here, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("SERPAPI_KEY", f" {KEY}\n")
    here.answers |= {"/search.json": in_turn(serpapi_page([1, 2], more=True), serpapi_page([3], more=False)),
                     "/1.jpg": body(jpeg(1))}
    source = SerpApi(base_url=here.url("").rstrip("/"), allow_private=True, licence="open")
    with caplog.at_level(logging.DEBUG):
        found, sentence = everything(source)
        assert [f.url for f in found] == [f"https://pic.example/{n}.jpg?w=1" for n in (1, 2, 3)] and not sentence
        assert [fields(one)["api_key"] for one in here.asked] == [KEY, KEY]
        assert [fields(one)["ijn"] for one in here.asked] == ["0", "1"] and fields(here.asked[0])["tbs"] == "il:cl"
        here.answers["/search.json"] = in_turn(status(401), status(500), serpapi_page([], more=False))
        report = shoebox.collect(tmp_path / "bears", {"a": "bear", "b": "x", "c": "y"}, source=source,
                                 allow_private=True)
        assert len(report.notes) == 2 and "Check the key" in report.notes[0]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert "httpx" in caplog.text or "asyncio" in caplog.text, "the log was listened to"
    for place in (caplog.text, str(report), report.to_csv(), report._repr_html_(), repr(vars(source)), repr(found)):
        assert KEY not in place
    assert KEY.encode() not in written


def test_serpapi_without_a_key_says_what_to_do(monkeypatch):
    monkeypatch.delenv("SERPAPI_KEY", raising=False)
    assert "SERPAPI_KEY" in everything(SerpApi())[1] and "openverse" in everything(SerpApi())[1]


# --- ddgs: the library itself, its engines' hosts played here ---

def ddg_rows(numbers):
    return says({"results": [{"title": f"Bear {n}", "image": f"https://ddg.example/{n}.jpg?size=1&x=%20",
                              "thumbnail": "https://t.example/x", "url": f"https://page.example/{n}", "height": 9,
                              "width": 9, "source": "Bing"} for n in numbers]})


def bing_rows(numbers):
    def item(n):
        about = {"t": f"Bear {n}", "murl": f"https://bing.example/{n}.jpg", "turl": "https://t.example",
                 "purl": f"https://page.example/bing/{n}"}
        return (f'<div><div class="imgpt"><a class="iusc" m="{html.escape(json.dumps(about))}"></a></div>'
                '<div class="infopt"><div class="lnkw"><a>site</a></div></div></div>')

    return body(f"<html><body>{''.join(map(item, numbers))}</body></html>".encode(), Content_Type="text/html")


@pytest.fixture
def engines(here, monkeypatch):
    """The real ddgs with its real client; only the two hosts' names are turned to the server here."""
    from ddgs.http_client import HttpClient

    real = HttpClient.request

    def request(client, method, url, **options):
        for host, place in (("https://duckduckgo.com", "/ddg"), ("https://www.bing.com", "/bing")):
            url = url.replace(host, here.url(place)) if url.startswith(host) else url
        assert url.startswith(here.url("")), f"{url} would leave this machine"
        return real(client, method, url, **options)

    monkeypatch.setattr(HttpClient, "request", request)
    here.answers |= {"/ddg": body(b'<script>vqd="4-123456";</script>', Content_Type="text/html"),
                     "/ddg/i.js": in_turn(ddg_rows(range(1, 5)), ddg_rows(range(3, 7)), ddg_rows([])),
                     "/bing/images/async": in_turn(bing_rows(range(1, 4)), bing_rows([]))}
    return here


def test_ddgs_asks_engine_after_engine_and_page_after_page(engines):
    found, sentence = everything(Ddgs(), "grizzly bear")
    assert sentence == ""
    assert [(f.engine, f.rank) for f in found] == [("duckduckgo", n) for n in range(1, 7)] + [
        ("bing", n) for n in range(1, 4)]
    assert found[0].page_url == "https://page.example/1" and found[0].title == "Bear 1"
    asked = [fields(one) for one in engines.asked if one.path == "/ddg/i.js"]
    assert asked[0]["q"] == "grizzly bear" and asked[0]["vqd"] == "4-123456" and asked[0]["p"] == "1"
    assert [one.get("s") for one in asked] == [None, "100", "200"]


def test_ddgs_stops_when_there_are_enough(engines):
    assert len(list(zip(range(3), Ddgs().search("bear", 3), strict=False))) == 3
    assert not [one for one in engines.asked if one.path.startswith("/bing")]


def test_when_one_engine_is_limited_the_other_goes_on_and_that_is_said(engines):
    engines.answers["/ddg/i.js"] = status(403)
    found, sentence = everything(Ddgs())
    assert [f.engine for f in found] == ["bing"] * 3
    assert "duckduckgo" in sentence and "openverse" in sentence
    engines.answers["/bing/images/async"] = status(429)
    found, sentence = everything(Ddgs())
    assert not found and "found nothing" in sentence and "wait some minutes" in sentence


def test_without_a_connection_ddgs_says_so_and_speaks_of_no_limit(engines, monkeypatch):
    def unreached(self, *_, **__):
        raise ddgs.exceptions.DDGSException("DNSError('error resolving DNS > DNS error: no records found')")

    monkeypatch.setattr(ddgs.DDGS, "images", unreached)
    found, sentence = everything(Ddgs())
    assert not found and "connection to the internet" in sentence and "wait" not in sentence


def test_ddgs_passes_a_licence_filter_to_the_engine_that_has_one(engines):
    found, _ = everything(Ddgs(licence="commercial"))
    assert {f.engine for f in found} == {"duckduckgo"}
    assert "license:ShareCommercially" in next(fields(one)["f"] for one in engines.asked if one.path == "/ddg/i.js")


def test_ddgs_through_collect_on_real_addresses(engines, tmp_path):
    engines.answers |= {"/ddg/i.js": in_turn(says({"results": [
        {"title": "B", "image": engines.url(f"/p/{n}.jpg?a=1"), "url": f"https://page.example/{n}", "thumbnail": "",
         "height": 1, "width": 1, "source": ""} for n in range(3)]}), ddg_rows([])),
        **{f"/p/{n}.jpg": body(jpeg(n)) for n in range(3)}, "/bing/images/async": bing_rows([])}
    report = shoebox.collect(tmp_path / "bears", {"grizzly": "grizzly bear"}, per_class=3, allow_private=True)
    assert report.summary() == "asked 3, saved 3" and report.searched
    source, = report.ds.sources[report.records[0].image_id]
    assert (source.source, source.engine, source.query) == ("ddgs", "duckduckgo", "grizzly bear")
