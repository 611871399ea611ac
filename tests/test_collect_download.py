"""One picture at a time against bad hosts: every case that was measured on fastai's download_images, and more."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import os
import time
from dataclasses import replace

import pytest
from PIL import Image

from shoebox.collect import Limits
from shoebox.collect._polite import forbids_learning
from shoebox.collect._wire import looks_like_html
from tests._fetching import LIMITS, files, only
from tests._hostile import with_scans
from tests._web import body, cut, drip, endless, head, in_turn, jpeg, redirect, status

pytest_plugins = ["tests._collect_fixtures"]

MOST = 25 * 2**20
PAGE = b"<!-- x --><!DOCTYPE html><html><body>Sorry</body></html>"


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


class Taken:
    """What came over the wire, what it unpacked to, and the most that lay on the disk: all in bytes."""

    def __init__(self, monkeypatch):
        from shoebox.collect import _download

        self.packed = self.unpacked = self.on_disk = 0
        unpacker, spill = _download.unpacker, _download.Body.spill

        def counting(encoding, host):
            unpack = unpacker(encoding, host)

            def count(packed):
                self.packed += len(packed)
                for piece in unpack(packed):
                    self.unpacked += len(piece)
                    yield piece

            return count

        def weighed(body):
            spill(body)
            self.on_disk = max(self.on_disk, body.part.stat().st_size)

        monkeypatch.setattr(_download, "unpacker", counting)
        monkeypatch.setattr(_download.Body, "spill", weighed)


@pytest.mark.parametrize("announced", [True, False])
def test_300_mb_are_not_taken_in(collect, here, tmp_path, monkeypatch, announced):
    taken, begin = Taken(monkeypatch), b"\xff\xd8"
    here.answers["/a.jpg"] = body(begin + bytes(300 * 2**20)) if announced else endless(begin + bytes(2**16))
    record = only(collect("/a.jpg"))
    assert record.cause == "too_large" and "25 MB" in record.sentence
    assert list((tmp_path / "bears" / ".shoebox" / "incoming").iterdir()) == []
    if announced:
        assert taken.packed == 0, "the header says enough"
    else:
        assert MOST // 2 < taken.on_disk <= MOST, "it went over the disk, and no further"
        assert MOST < taken.packed < MOST + 2**20, "one piece more than is allowed"


def test_a_gzip_bomb_is_counted_unpacked(collect, here, tmp_path, monkeypatch):
    taken = Taken(monkeypatch)
    bomb = gzip.compress(b"\xff\xd8" + bytes(200 * 2**20))
    assert len(bomb) < 2**18
    here.answers["/a.jpg"] = body(bomb, Content_Encoding="gzip")
    assert only(collect("/a.jpg")).cause == "too_large"
    assert MOST < taken.unpacked < MOST + 2**20 and taken.on_disk <= MOST
    here.answers |= {"/b.jpg": body(gzip.compress(jpeg(1)), Content_Encoding="gzip"),
                     "/c.jpg": body(jpeg(3), Content_Encoding="br")}
    report = collect("/b.jpg", "/c.jpg")
    assert [r.cause or r.state for r in report.records] == ["added", "unsupported_format"]
    assert (tmp_path / "bears" / report.records[0].path).read_bytes() == jpeg(1)


def test_a_slow_drip_lets_go_of_the_worker_in_time(collect, here):
    here.answers["/a.jpg"] = drip(jpeg(1)[:100], 0.02)
    start = time.monotonic()
    assert only(collect("/a.jpg", limits=replace(LIMITS, total_s=1.0))).cause == "timeout"
    quick = time.monotonic() - start
    slow = replace(LIMITS, total_s=30, grace_s=0.5, min_bytes_per_s=10_000)
    here.answers["/b.jpg"] = drip(jpeg(1)[:100], 0.02)
    assert "slower than" in only(collect("/b.jpg", limits=slow)).sentence and here.counts()["/b.jpg"] == 1
    assert quick < 20


@pytest.mark.slow
def test_by_default_a_drip_that_is_just_fast_enough_holds_a_worker_for_31_s_at_most(collect, here):
    """Both turns of a host are held by drips; the third picture is asked for when one of them is let go."""
    async def fast_enough(asked, writer):
        writer.write(head(200, 10**7) + jpeg(1)[:100])
        while True:
            writer.write(bytes(200))
            await writer.drain()
            await asyncio.sleep(0.05)

    here.answers |= {"/a.jpg": fast_enough, "/b.jpg": fast_enough, "/c.jpg": body(jpeg(2))}
    report = collect("/a.jpg", "/b.jpg", "/c.jpg", limits=Limits())
    assert [r.cause or r.state for r in report.records] == ["timeout", "timeout", "added"]
    assert here.counts() == {"/a.jpg": 1, "/b.jpg": 1, "/c.jpg": 1}, "its time is used up: no second try"
    at = {one.path: one.at for one in here.asked}
    assert 20 < at["/c.jpg"] - at["/a.jpg"] <= 31


def test_a_host_that_says_nothing_is_a_time_out(collect, here):
    async def silence(asked, writer):
        await asyncio.sleep(30)

    here.answers["/a.jpg"] = silence
    assert only(collect("/a.jpg", limits=replace(LIMITS, silence_s=0.2, tries=2))).cause == "timeout"
    assert here.counts()["/a.jpg"] == 2


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
    again = collect("/a.jpg", "/b.jpg", "/c.jpg", "/c.jpg")
    elsewhere = collect("/a.jpg", label="grizzly")
    rows = [*report.records, *again.records, *elsewhere.records]
    assert [r.state for r in elsewhere.records] == ["duplicate"] and len(rows) == 7
    known = {"a": jpeg(1), "b": jpeg(1), "c": jpeg(2)}
    for row in rows:
        assert row.sha256 == hashlib.sha256(known[row.url[-5]]).hexdigest(), row
        assert row.url.startswith(here.url("/")) and row.fetched_at > "2020" and row.found_at > "2020", row


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


def test_what_a_web_page_looks_like():
    for page in (PAGE, b"\xef\xbb\xbf <html>", b"<?xml version='1.0'?><!DOCTYPE HTML>", b"<SCRIPT>"):
        assert looks_like_html(page)
    for other in (jpeg(1), b"", b"<!--", b"<svg>", b"GIF89a<html>"):
        assert not looks_like_html(other)
    assert forbids_learning(["googlebot: noai", "shoebox: noimageai"]) and not forbids_learning(["googlebot: noai"])
