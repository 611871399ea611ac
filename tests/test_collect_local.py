"""Sources on this machine: lists, folders, archives that mean harm, and the visitors' feedback."""

from __future__ import annotations

import gc
import io
import tarfile
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass

import pytest

import shoebox
from shoebox.collect import Archive, Feedback, Folder, Found, UrlList
from tests._pictures import AWKWARD, CYRILLIC, draw, save
from tests._sources import everything
from tests._web import jpeg


def test_a_list_may_be_text_a_table_or_a_sequence(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeff# bears\nhttp://x.example/1?a=b#c\n\n  http://x.example/2  \n", "utf-8")
    assert [f.url for f in everything(UrlList(tmp_path / "a.txt"), "")[0]] == ["http://x.example/1?a=b#c",
                                                                             "http://x.example/2"]
    table = f"Label;URL;licence;Author\n{CYRILLIC};http://x.example/1;CC0;Ann\ngrizzly;http://x.example/2;;\n;;;\n"
    (tmp_path / "a.csv").write_text(table, "utf-8")
    source = UrlList(tmp_path / "a.csv")
    assert source.labels() == (CYRILLIC, "grizzly")
    assert everything(source, CYRILLIC.upper())[0] == [Found("http://x.example/1", licence="CC0", author="Ann", rank=1)]
    assert len(everything(source, "")[0]) == 2 and "it has" in everything(source, "teddy")[1]
    assert [f.url for f in everything(UrlList(["a", " b ", ""]), "x")[0]] == ["a", "b"]


@pytest.mark.parametrize(("name", "content", "words"), [
    ("a.csv", b"address_of_it,label\nx,y\n", "no column 'url'"), ("a.txt", b"\xff\xfe\x00", "cannot be read"),
    ("a.csv", b"", "no column 'url'"), (None, b"", "cannot be read")])
def test_a_list_that_is_none_is_a_sentence(tmp_path, name, content, words):
    if name:
        (tmp_path / name).write_bytes(content)
    assert words in everything(UrlList(tmp_path / (name or "nothing.txt")))[1]


def test_a_folder_is_read_and_links_are_not_followed(tmp_path):
    for n, label in enumerate((CYRILLIC, AWKWARD)):
        save(tmp_path / "mine" / label / "a.jpg", draw(n))
    (tmp_path / "mine" / CYRILLIC / "link.jpg").symlink_to(tmp_path / "mine" / AWKWARD / "a.jpg")
    (tmp_path / "mine" / CYRILLIC / ".hidden").touch()
    (tmp_path / "mine" / "loop").symlink_to(tmp_path / "mine")
    report = shoebox.collect(tmp_path / "bears", {"x": CYRILLIC}, source=Folder(tmp_path / "mine"))
    assert [r.cause or r.state for r in report.records] == ["added", "bad_url"]
    assert Folder(tmp_path / "mine").labels() == tuple(sorted((AWKWARD, CYRILLIC)))
    assert "no folder 'teddy'" in everything(Folder(tmp_path / "mine"), "teddy")[1]
    assert "There is no folder" in everything(Folder(tmp_path / "nowhere"))[1]


def test_namesakes_of_two_folders_are_two_pictures(tmp_path):
    for place in ("one", "two"):
        save(tmp_path / place / "bears" / "a.jpg", draw(len(place) + ord(place[0])))
    for place in ("one", "two"):
        report = shoebox.collect(tmp_path / "ds", {"x": ""}, source=Folder(tmp_path / place / "bears"))
        assert report.summary() == "asked 1, saved 1"


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if name.endswith("link.jpg"):
                info.external_attr = 0o120777 << 16
            archive.writestr(info, data)
    return path


def tarred(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if name.endswith("link.jpg"):
                info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/hostname", 0
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(("pack", "name"), [(zipped, "a.zip"), (tarred, "a.tar.gz")])
def test_an_archive_is_read_safely(tmp_path, pack, name):
    bomb = b"\xff\xd8" + bytes(60 * 2**20)
    archive = pack(tmp_path / name, {
        f"bears/{CYRILLIC}/1.jpg": jpeg(1), f"bears/{CYRILLIC}/2.png": jpeg(2, kind="PNG"), "../../up.jpg": jpeg(3),
        "/etc/absolute.jpg": jpeg(4), "bears/x/link.jpg": b"/etc/hostname", "bears/x/bomb.jpg": bomb,
        "bears/x/text.jpg": b"no picture", "__MACOSX/._1.jpg": b"x", "bears/x/.DS_Store": b"x"})
    assert archive.stat().st_size < 2**18
    assert Archive(archive).labels() == ("x", CYRILLIC)
    report = shoebox.collect(tmp_path / "ds", {"all": ""}, source=Archive(archive))
    assert {r.title: r.cause or r.state for r in report.records} == {
        "1.jpg": "added", "2.png": "added", "up.jpg": "bad_url", "absolute.jpg": "bad_url", "link.jpg": "bad_url",
        "bomb.jpg": "too_large", "text.jpg": "not_an_image"}
    assert {p.name for p in tmp_path.iterdir()} == {name, "ds"} and not (tmp_path.parent / "up.jpg").exists()
    assert len(report.ds.images) == 2 and all(r.url.startswith(f"{name}~") for r in report.records)
    again = shoebox.collect(tmp_path / "ds", {"bear": CYRILLIC}, source=Archive(archive))
    assert again.summary() == "asked 2, saved 0, 2 duplicates"


@pytest.mark.parametrize(("pack", "name"), [(zipped, "a.zip"), (tarred, "a.tar.gz")])
def test_nothing_of_an_archive_is_left_unpacked(tmp_path, monkeypatch, pack, name):
    """Shipped bug: a second time, when every picture is known and none is read, all stayed in the temporary folder."""
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    archive = pack(tmp_path / name, {f"bears/{n}.jpg": jpeg(n) for n in range(6)})
    found = everything(Archive(archive), "")[0]
    assert len(list((tmp_path / "temp").rglob("*"))) == 7, "they wait while somebody may read them"
    assert found[5].read() == jpeg(5) and len(list((tmp_path / "temp").rglob("*"))) == 6
    del found
    gc.collect()
    assert list((tmp_path / "temp").iterdir()) == []

    once, twins = "asked 6, saved 6", "asked 6, saved 0, 6 duplicates"
    for label, summary in (("a", once), ("a", f"{once} (all of them earlier)"), ("b", twins)):
        assert shoebox.collect(tmp_path / "ds", {label: ""}, source=Archive(archive)).summary() == summary
        assert list((tmp_path / "temp").iterdir()) == []
    stop = threading.Event()
    stop.set()
    assert shoebox.collect(tmp_path / "ds", {"c": ""}, source=Archive(archive), stop=stop).stopped
    end = time.monotonic() + 20
    while list((tmp_path / "temp").iterdir()) and time.monotonic() < end:  # the thread that unpacks ends by itself
        gc.collect()
        time.sleep(0.05)
    assert list((tmp_path / "temp").iterdir()) == []


def test_an_archive_that_unpacks_to_too_much_or_is_damaged_is_a_sentence(tmp_path):
    whole = zipped(tmp_path / "a.zip", {f"a/{n}.jpg": jpeg(n, (300, 300)) for n in range(9)})
    found, sentence = everything(Archive(whole, max_total_bytes=4 * len(jpeg(0, (300, 300)))), "")
    assert 2 <= len(found) <= 5 and "unpacks to more" in sentence
    [item.read() for item in found]
    (tmp_path / "cut.tar.gz").write_bytes(
        tarred(tmp_path / "b.tar.gz", {f"{n}.jpg": jpeg(n, (300, 300)) for n in range(9)}).read_bytes()[:-40_000])
    assert "damaged" in everything(Archive(tmp_path / "cut.tar.gz"), "")[1]
    (tmp_path / "text.zip").write_text("no archive")
    assert "neither a zip nor a tar" in everything(Archive(tmp_path / "text.zip"))[1]
    assert "There is no file" in everything(Archive(tmp_path / "none.zip"))[1]


@dataclass
class Entry:
    id: str
    path: str
    suggested: str | None
    answer: str | None
    model: str = "bears 3"


def test_a_page_of_the_feedback_inbox_comes_in_with_its_origin(tmp_path):
    class Inbox:
        def entries(self):
            for n in range(3):
                yield Entry(str(n), str(tmp_path / "inbox" / f"{n}.jpg"), CYRILLIC if n else "teddy", "grizzly")
            yield {"id": "9", "data": jpeg(9), "suggested": "teddy", "answer": "x", "model": ""}
            yield Entry("4", str(tmp_path / "inbox" / "0.jpg"), None, None)

    for n in range(3):
        save(tmp_path / "inbox" / f"{n}.jpg", draw(n))
    report = shoebox.collect(tmp_path / "ds", source=Feedback(Inbox()))
    assert report.summary() == "asked 4, saved 4" and report.ds.classes == ("teddy", CYRILLIC)
    row = report.records[-1]
    assert (row.source, row.engine, row.url) == ("feedback", "bears 3", "feedback/2")
    assert "the app had said 'grizzly'" in row.note and str(tmp_path) not in report.to_csv()
    *_, none = everything(Feedback(Inbox()), "")[0]
    assert "suggested 'none of these'; the app had said 'none of these'" in none.note
