"""One picture at a time against bad hosts: every case that was measured on fastai's download_images, and more."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import time
from dataclasses import replace

import pytest
from PIL import Image

import shoebox
from shoebox.collect import Limits, UrlList
from shoebox.collect._polite import Hosts, forbids_learning, parse_robots
from shoebox.collect._wire import looks_like_html, retry_after_s
from tests._hostile import with_scans
from tests._web import body, cut, drip, endless, head, in_turn, jpeg, redirect, status, web

LIMITS = Limits(starts_per_s=200, backoff_s=0.02, silence_s=5)
PAGE = b"<!-- x --><!DOCTYPE html><html><body>Sorry</body></html>"


@pytest.fixture
def here():
    with web() as server:
        server.answers["/robots.txt"] = status(404)
        yield server


@pytest.fixture
def collect(here, tmp_path):
    def run(*targets, limits=LIMITS, **options):
        urls = [here.url(target) if target.startswith("/") else target for target in targets]
        return shoebox.collect(tmp_path / "bears", {"black": ""}, source=UrlList(urls), allow_private=True,
                               limits=limits, **options)

    return run


def files(root):
    return sorted(path.relative_to(root).as_posix() for path in (root / "black").rglob("*") if path.is_file()) \
        if (root / "black").is_dir() else []


def only(report):
    record, = report.records
    return record


def test_the_full_address_is_asked_query_and_all(collect, here):
    here.answers |= {"/img?id=1": body(jpeg(1)), "/img?id=2&b=%20x": body(jpeg(2)), "/i;v=1?a=b#part": status(500)}
    report = collect("/img?id=1", "/img?id=2&b=%20x")
    assert [r.state for r in report.records] == ["added", "added"]
    assert here.counts() == {"/img?id=1": 1, "/img?id=2&b=%20x": 1}


def test_a_picture_is_stored_as_it_came_under_its_hash_and_its_real_kind(collect, here, tmp_path):
    png = jpeg(1, kind="PNG")
    here.answers["/photo.jpg"] = body(png, Content_Type="text/html")
    record = only(collect("/photo.jpg"))
    assert record.state == "added" and record.path == f"black/{record.image_id[:16]}.png"
    assert (tmp_path / "bears" / record.path).read_bytes() == png
    assert (record.width_px, record.height_px, record.size_bytes) == (64, 48, len(png))
    assert record.http_status == 200 and record.final_url == record.url and record.fetched_at


def test_a_web_page_with_the_name_and_type_of_a_picture(collect, here, tmp_path):
    here.answers |= {"/a.jpg": body(PAGE, Content_Type="image/jpeg"), "/b.jpg": body(b"\n\n" + PAGE * 9000)}
    report = collect("/a.jpg", "/b.jpg")
    assert {r.cause for r in report.records} == {"html_instead_of_image"} and files(tmp_path / "bears") == []


@pytest.mark.parametrize("tag", ["noai", "NoImageAI", "noindex, noai", "shoebox: noai", "otherbot: noindex, noai"])
def test_x_robots_tag(collect, here, tag):
    here.answers["/a.jpg"] = body(jpeg(1), X_Robots_Tag=tag)
    assert only(collect("/a.jpg")).cause == ("noai" if not tag.startswith("otherbot") else "")


def test_robots_txt_is_asked_once_and_obeyed(collect, here):
    here.answers |= {"/robots.txt": body(b"User-agent: *\nDisallow: /private\nAllow: /private/ok\n"),
                     **{f"/{name}.jpg": body(jpeg(n)) for n, name in enumerate(("a", "b", "private/x", "private/ok"))}}
    report = collect("/a.jpg", "/b.jpg", "/private/x.jpg", "/private/ok.jpg")
    assert [r.cause or r.state for r in report.records] == ["added", "added", "robots", "added"]
    assert sum(one.path == "/robots.txt" for one in here.asked) == 1 and "/private/x.jpg" not in here.counts()
    assert {r.robots for r in report.records} == {"allowed", ""}


@pytest.mark.parametrize(("code", "cause"), [(503, "http_error"), (500, "http_error"), (429, "rate_limited")])
def test_robots_txt_that_cannot_be_had_stops_for_now_and_the_next_run_succeeds(collect, here, code, cause):
    """Shipped bug: a robots.txt that failed once counted as a no for ever, though the sentence said to try again."""
    here.answers |= {"/robots.txt": status(code), "/a.jpg": body(jpeg(1))}
    record = only(collect("/a.jpg"))
    assert (record.state, record.cause, record.http_status) == ("refused", cause, 0) and not here.counts()
    assert f"answers with {code}. Collect again later." in record.sentence and len(here.asked) == LIMITS.tries
    here.answers["/robots.txt"] = status(404)
    assert only(collect("/a.jpg")).state == "added" and here.counts() == {"/a.jpg": 1}


def test_robots_txt_may_ask_to_wait_as_a_picture_may(collect, here):
    rules = body(b"User-agent: *\nDisallow: /b.jpg\n")
    here.answers |= {"/robots.txt": in_turn(status(429, Retry_After="1"), rules), "/a.jpg": body(jpeg(1)),
                     "/b.jpg": body(jpeg(2))}
    assert [r.cause or r.state for r in collect("/a.jpg", "/b.jpg").records] == ["added", "robots"]
    first, second, *_ = here.asked
    assert first.path == second.path == "/robots.txt" and second.at - first.at >= 0.99
    asked = len(here.asked)
    here.answers |= {"/robots.txt": status(503, Retry_After="86400"), "/c.jpg": body(jpeg(3))}
    record = only(collect("/c.jpg"))
    assert record.cause == "http_error" and "Collect again in 86400 s" in record.sentence
    assert len(here.asked) == asked + 1, "too long to wait for: not asked again in this run"


def test_no_robots_txt_is_no_rule(collect, here):
    here.answers |= {"/robots.txt": status(410), "/a.jpg": body(jpeg(1))}
    assert only(collect("/a.jpg")).robots == "no rules"


@pytest.mark.parametrize(("text", "path", "allowed"), [
    ("User-agent: *\nDisallow:", "/a", True), ("User-agent: *\nDisallow: /", "/a", False),
    ("User-agent: shoebox\nDisallow: /a\nUser-agent: *\nDisallow: /", "/b", True),
    ("User-agent: shoebox\nUser-agent: other\nDisallow: /a", "/a/b", False),
    ("user-agent: *\ndisallow: /*.jpg$", "/x/y.jpg", False), ("user-agent: *\ndisallow: /*.jpg$", "/y.jpg?a", True),
    ("user-agent: *\ndisallow: /a*b*c", "/a1b2c3", False), ("user-agent: *\ndisallow: /a\nallow: /a/b", "/a/b", True),
    ("nonsense\n: :\nDisallow: /", "/a", True), ("\ufeffUser-agent: *\nDisallow: /a # why", "/a", False),
    ("User-agent: *\nDisallow: /" + "*a" * 500, "/" + "ab" * 4000, False),
])
def test_the_rules_of_robots_txt(text, path, allowed):
    assert parse_robots(text).allow(path) is allowed


def test_a_redirect_to_a_picture_is_followed_and_written_down(collect, here):
    here.answers |= {"/old.jpg": redirect("/new.jpg?v=2"), "/new.jpg?v=2": body(jpeg(1))}
    record = only(collect("/old.jpg"))
    assert record.state == "added" and record.final_url == here.url("/new.jpg?v=2") and record.url.endswith("/old.jpg")


def test_files_and_data_addresses_are_not_read(collect, tmp_path):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(jpeg(1))
    report = collect(f"file://{secret}", "data:image/png;base64,AAAA", "ftp://127.0.0.1/a.jpg", "not an address",
                     "/" * 9000)
    assert {r.cause for r in report.records} == {"bad_url"} and files(tmp_path / "bears") == []
    assert len(report.records) == 5


@pytest.mark.parametrize("announced", [True, False])
def test_300_mb_are_not_taken_in(collect, here, tmp_path, announced):
    begin = b"\xff\xd8"
    here.answers["/a.jpg"] = body(begin + bytes(300 * 2**20)) if announced else endless(begin + bytes(2**16))
    record = only(collect("/a.jpg"))
    assert record.cause == "too_large" and "25 MB" in record.sentence
    assert list((tmp_path / "bears" / ".shoebox" / "incoming").iterdir()) == []


def test_a_gzip_bomb_is_counted_unpacked(collect, here, tmp_path):
    bomb = gzip.compress(b"\xff\xd8" + bytes(200 * 2**20))
    assert len(bomb) < 2**18
    here.answers |= {"/a.jpg": body(bomb, Content_Encoding="gzip"), "/c.jpg": body(jpeg(3), Content_Encoding="br"),
                     "/b.jpg": body(gzip.compress(jpeg(1)), Content_Encoding="gzip")}
    report = collect("/a.jpg", "/b.jpg", "/c.jpg")
    assert [r.cause or r.state for r in report.records] == ["too_large", "added", "unsupported_format"]
    assert (tmp_path / "bears" / report.records[1].path).read_bytes() == jpeg(1)


def test_a_slow_drip_lets_go_of_the_worker_in_time(collect, here):
    here.answers["/a.jpg"] = drip(jpeg(1)[:100], 0.02)
    start = time.monotonic()
    assert only(collect("/a.jpg", limits=replace(LIMITS, total_s=1.0))).cause == "timeout"
    quick = time.monotonic() - start
    slow = replace(LIMITS, total_s=30, grace_s=0.5, min_bytes_per_s=10_000)
    here.answers["/b.jpg"] = drip(jpeg(1)[:100], 0.02)
    assert "slower than" in only(collect("/b.jpg", limits=slow)).sentence and here.counts()["/b.jpg"] == 1
    assert quick < 20 and Limits().total_s + 1 <= 31


def test_a_host_that_says_nothing_is_a_time_out(collect, here):
    async def silence(asked, writer):
        await asyncio.sleep(30)

    here.answers["/a.jpg"] = silence
    assert only(collect("/a.jpg", limits=replace(LIMITS, silence_s=0.2, tries=2))).cause == "timeout"
    assert here.counts()["/a.jpg"] == 2


def test_429_with_retry_after_is_waited_for_and_the_whole_host_with_it(collect, here):
    here.answers |= {"/a.jpg": in_turn(status(429, Retry_After="1"), body(jpeg(1))), "/b.jpg": body(jpeg(2))}
    report = collect("/a.jpg", "/b.jpg", limits=replace(LIMITS, per_host=1))
    assert [r.state for r in report.records] == ["added", "added"]
    first, *later = [one.at for one in here.asked if one.path != "/robots.txt"]
    assert min(later) - first >= 0.99


def test_429_for_too_long_or_too_often_is_said(collect, here):
    here.answers |= {"/a.jpg": status(429, Retry_After="86400"), "/b.jpg": status(429)}
    report = collect("/a.jpg", limits=LIMITS)
    assert only(report).cause == "rate_limited" and "86400 s" in only(report).sentence and here.counts()["/a.jpg"] == 1


def test_server_errors_are_tried_three_times_and_others_once(collect, here):
    here.answers |= {"/a.jpg": in_turn(status(500), status(503), body(jpeg(1))), "/b.jpg": status(500),
                     "/c.jpg": status(403), "/d.jpg": status(404), "/e.jpg": status(410), "/f.jpg": status(204)}
    report = collect("/a.jpg", "/b.jpg", "/c.jpg", "/d.jpg", "/e.jpg", "/f.jpg")
    assert [r.cause or r.state for r in report.records] == [
        "added", "http_error", "http_error", "not_found", "not_found", "http_error"]
    assert [r.http_status for r in report.records] == [200, 500, 403, 404, 410, 204]
    assert here.counts() == {"/a.jpg": 3, "/b.jpg": 3, "/c.jpg": 1, "/d.jpg": 1, "/e.jpg": 1, "/f.jpg": 1}


def test_a_body_that_ends_too_early_is_tried_again_and_leaves_nothing(collect, here, tmp_path):
    whole = jpeg(1)
    half = cut(whole[:300], len(whole))
    here.answers |= {"/a.jpg": in_turn(half, body(whole)), "/b.jpg": half}
    report = collect("/a.jpg", "/b.jpg")
    assert [r.cause or r.state for r in report.records] == ["added", "interrupted"]
    assert len(files(tmp_path / "bears")) == 1
    assert list((tmp_path / "bears" / ".shoebox" / "incoming").iterdir()) == []


def test_truncated_tiny_and_odd_files_have_their_cause(collect, here):
    tracker = io.BytesIO()
    Image.new("RGB", (1, 1)).save(tracker, "GIF")
    here.answers |= {"/cut.jpg": body(jpeg(1)[:-200]), "/pixel.gif": body(tracker.getvalue()), "/empty.jpg": body(b""),
                     "/text.jpg": body(b"hello"), "/a.pdf": body(b"%PDF-1.7"), "/evil.svg": body(b"<svg onload=x>"),
                     "/code.py": body(b"import os"), "/scans.jpg": body(with_scans(64, 200))}
    report = collect(*here.answers.keys() - {"/robots.txt"})
    assert {r.url.rpartition("/")[2]: r.cause for r in report.records} == {
        "cut.jpg": "damaged", "pixel.gif": "too_small", "empty.jpg": "damaged", "text.jpg": "not_an_image",
        "a.pdf": "unsupported_format", "evil.svg": "unsupported_format", "code.py": "not_an_image",
        "scans.jpg": "too_large"}
    assert all(r.sentence.endswith((".", "for.")) for r in report.records)


def test_the_page_decides_neither_name_nor_suffix(collect, here, tmp_path):
    long = "/" + "b" * 300 + ".jpg"
    names = ["/a.py", "/a.html", "/a.ipynb", long, "/..%2f..%2fup.jpg", "/..%5c..%5cevil4.jpg", "/a:b*c.jpg",
             "/photo.jpg", "/x/photo.jpg"]
    here.answers |= {name: body(jpeg(n)) for n, name in enumerate(names)}
    report = collect(*names)
    assert {r.state for r in report.records} == {"added"}, [r.sentence for r in report.records]
    stored = files(tmp_path / "bears")
    assert len(stored) == len(names) and all(len(name) == len("black/") + 20 for name in stored)
    assert {p.name for p in tmp_path.iterdir()} == {"bears"}


def test_the_same_picture_under_two_addresses_is_stored_once(collect, here, tmp_path):
    here.answers |= {"/a.jpg": body(jpeg(1)), "/b.jpg": body(jpeg(1)), "/c.jpg": body(jpeg(2))}
    report = collect("/a.jpg", "/b.jpg", "/c.jpg")
    twin, = [r for r in report.records if r.state == "duplicate"]
    assert repr(twin.path) in twin.sentence and twin.path in files(tmp_path / "bears")
    assert len(files(tmp_path / "bears")) == 2
    assert "asked 3, saved 2, 1 duplicates" in report.summary()


def test_no_more_than_two_at_once_and_four_starts_a_second_by_default(collect, here):
    async def slowly(asked, writer):
        await asyncio.sleep(0.4)
        await body(jpeg(int(asked.path[1:-4])))(asked, writer)

    here.answers |= {f"/{n}.jpg": slowly for n in range(9)}
    report = collect(*(f"/{n}.jpg" for n in range(9)), limits=Limits())
    assert {r.state for r in report.records} == {"added"} and here.most_at_once <= 2
    starts = [one.at for one in here.asked]
    assert len(starts) == 10
    assert all(later - first > 0.95 for first, later in zip(starts, starts[4:], strict=False))


def test_a_request_that_is_long_on_its_way_counts_from_when_it_was_answered():
    async def ask():
        hosts, arrived = Hosts(Limits()), []
        for number in range(6):
            async with hosts.turn("example.org") as heard:
                await asyncio.sleep(0.3 if number < 2 else 0)  # the way there
                arrived.append(time.monotonic())
                heard()
        return arrived

    arrived = asyncio.run(ask())
    assert [later - first >= 1 for first, later in zip(arrived, arrived[4:], strict=False)] == [True, True]


def test_who_asks_is_said_and_nothing_else_goes_along(collect, here, monkeypatch):
    here.answers |= {"/a.jpg": body(jpeg(1), Set_Cookie="a=b"), "/b.jpg": body(jpeg(2))}
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    collect("/a.jpg", "/b.jpg", contact="maker@example.org", limits=replace(LIMITS, per_host=1))
    for one in here.asked:
        assert one.headers["user-agent"].startswith("Shoebox/") and "maker@example.org" in one.headers["user-agent"]
        assert not one.headers.keys() & {"cookie", "authorization", "referer"}


def test_large_pictures_are_made_smaller_on_request_and_known_again(collect, here, tmp_path):
    here.answers |= {"/a.jpg": body(jpeg(1, (900, 600))), "/b.jpg": body(jpeg(2)), "/c.jpg": body(jpeg(1, (900, 600)))}
    report = collect("/a.jpg", "/b.jpg", max_px=300)
    large, small = report.records
    with Image.open(tmp_path / "bears" / large.path) as image:
        assert image.size == (300, 200)
    assert large.image_id != large.sha256 and small.image_id == small.sha256
    assert (large.width_px, large.height_px) == (900, 600)
    assert collect("/c.jpg", max_px=300).records[0].path == large.path
    assert collect("/c.jpg").records[0].state == "duplicate"


def test_large_bodies_go_over_the_disk_and_come_out_whole(collect, here, tmp_path):
    png = jpeg(1, (1000, 900), "BMP")
    assert len(png) > 2**21
    here.answers["/a.bmp"] = body(png)
    record = only(collect("/a.bmp"))
    assert (tmp_path / "bears" / record.path).read_bytes() == png


def test_a_full_disk_is_a_sentence_and_the_rest_goes_on(collect, here, monkeypatch, tmp_path):
    from shoebox.collect import _store

    written = _store.os.write

    def full(handle, data):
        if len(data) > 1000 and not fails:
            fails.append(handle)
            written(handle, data[:100])
            raise OSError(28, "No space left on device")
        return written(handle, data)

    fails = []
    monkeypatch.setattr(_store.os, "write", full)
    here.answers |= {"/a.jpg": body(jpeg(1)), "/b.jpg": body(jpeg(2))}
    report = collect("/a.jpg", "/b.jpg")
    assert sorted(r.cause or r.state for r in report.records) == ["added", "not_stored"]
    assert list((tmp_path / "bears" / ".shoebox" / "incoming").iterdir()) == []
    assert {r.state for r in collect("/a.jpg", "/b.jpg").records} == {"added"}


def test_a_connection_that_the_host_has_dropped_is_no_error(collect, here):
    async def once(asked, writer):
        await body(jpeg(int(asked.path[1:-4])))(asked, writer)
        await writer.drain()
        writer.close()

    here.answers |= {f"/{n}.jpg": once for n in range(4)}
    report = collect(*(f"/{n}.jpg" for n in range(4)), limits=replace(LIMITS, per_host=1, tries=1))
    assert {r.state for r in report.records} == {"added"}, [r.sentence for r in report.records]


def test_garbage_instead_of_http_is_a_sentence(collect, here):
    async def garbage(asked, writer):
        writer.write(os.urandom(4000))
        await writer.drain()
        writer.close()

    async def long_head(asked, writer):
        writer.write(head(200, None, X="y" * 10**6))

    here.answers |= {"/a.jpg": garbage, "/b.jpg": long_head}
    report = collect("/a.jpg", "/b.jpg", limits=replace(LIMITS, tries=1))
    assert {r.cause for r in report.records} == {"interrupted"}


@pytest.mark.parametrize(("value", "seconds"), [("5", 5), ("0", 0), ("", None), ("soon", None), ("-1", None),
                                                ("Thu, 01 Jan 1970 00:00:00 GMT", 0)])
def test_retry_after(value, seconds):
    assert retry_after_s(value) == seconds


def test_what_a_web_page_looks_like():
    for page in (PAGE, b"\xef\xbb\xbf <html>", b"<?xml version='1.0'?><!DOCTYPE HTML>", b"<SCRIPT>"):
        assert looks_like_html(page)
    for other in (jpeg(1), b"", b"<!--", b"<svg>", b"GIF89a<html>"):
        assert not looks_like_html(other)
    assert forbids_learning(["googlebot: noai", "shoebox: noimageai"]) and not forbids_learning(["googlebot: noai"])
