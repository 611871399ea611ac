"""Good manners towards hosts: robots.txt, X-Robots-Tag, turns, and waiting when a host asks for it."""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import time
from dataclasses import replace

import pytest

from shoebox.collect import Limits
from shoebox.collect._polite import Hosts, parse_robots
from shoebox.collect._wire import retry_after_s
from tests._fetching import LIMITS, only
from tests._web import body, in_turn, jpeg, status

pytest_plugins = ["tests._collect_fixtures"]


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


def test_429_with_retry_after_is_waited_for_and_the_whole_host_with_it(collect, here):
    here.answers |= {"/a.jpg": in_turn(status(429, Retry_After="1"), body(jpeg(1))), "/b.jpg": body(jpeg(2))}
    report = collect("/a.jpg", "/b.jpg", limits=replace(LIMITS, per_host=1))
    assert [r.state for r in report.records] == ["added", "added"]
    first, *later = [one.at for one in here.asked if one.path != "/robots.txt"]
    assert min(later) - first >= 0.99


def test_429_for_too_long_or_too_often_is_said(collect, here):
    here.answers |= {"/a.jpg": status(429, Retry_After="86400"), "/b.jpg": status(429)}
    record = only(collect("/a.jpg"))
    assert record.cause == "rate_limited" and "in 86400 s" in record.sentence and here.counts()["/a.jpg"] == 1
    record = only(collect("/b.jpg"))
    assert record.cause == "rate_limited" and "again later" in record.sentence and here.counts()["/b.jpg"] == 3


def test_server_errors_are_tried_three_times_and_others_once(collect, here):
    here.answers |= {"/a.jpg": in_turn(status(500), status(503), body(jpeg(1))), "/b.jpg": status(500),
                     "/c.jpg": status(403), "/d.jpg": status(404), "/e.jpg": status(410), "/f.jpg": status(204)}
    report = collect("/a.jpg", "/b.jpg", "/c.jpg", "/d.jpg", "/e.jpg", "/f.jpg")
    assert [r.cause or r.state for r in report.records] == [
        "added", "http_error", "http_error", "not_found", "not_found", "http_error"]
    assert [r.http_status for r in report.records] == [200, 500, 403, 404, 410, 204]
    assert here.counts() == {"/a.jpg": 3, "/b.jpg": 3, "/c.jpg": 1, "/d.jpg": 1, "/e.jpg": 1, "/f.jpg": 1}


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


@pytest.mark.parametrize(("value", "seconds"), [("5", 5), ("0", 0), ("", None), ("soon", None), ("-1", None),
                                                ("Thu, 01 Jan 1970 00:00:00 GMT", 0)])
def test_retry_after(value, seconds):
    assert retry_after_s(value) == seconds


def test_retry_after_may_be_a_date_to_come():
    when = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=90)
    seconds = retry_after_s(email.utils.format_datetime(when, usegmt=True))
    assert seconds is not None and 80 < seconds <= 90
