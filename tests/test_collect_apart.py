"""Pictures checked in a process of its own: the same answers, whatever happens to that process."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from shoebox import collect as room
from shoebox.collect import Folder, _apart, _run
from shoebox.collect._apart import Apart, UnavailableError
from shoebox.collect._check import Checker
from shoebox.collect._outcome import RefusedError
from tests._hostile import encoded
from tests._line import in_a_thread
from tests._pictures import draw


def pictures(n: int) -> list[bytes]:
    return [encoded(draw(number, (60, 40)), "JPEG") for number in range(n)]


def with_apart(tmp_path, use, **options):
    """What `use(apart)` returns, in a loop of its own; the process is gone afterwards."""

    async def run():
        apart = Apart(Checker(tmp_path, 10**6, 32, **options))
        await apart.start()
        assert apart.ready
        try:
            return await use(apart), apart
        finally:
            pid = apart._process and apart._process.pid
            await apart.close()
            assert pid is None or not Path(f"/proc/{pid}").exists()

    return in_a_thread(run())[0]


def test_it_answers_as_a_checker_here_does(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    cases = [*pictures(3), b"<html>no</html>", pictures(1)[0][:-90], b"", b"junk", encoded(draw(1, (8, 8)), "PNG"),
             encoded(draw(2, (300, 200)), "PNG")]

    def shown(result):
        if isinstance(result, RefusedError):
            return result.cause, str(result)
        return result.image_id, result.sha256, result.suffix, result.size_bytes, result.width_px, result.height_px

    async def ask(apart):
        return await asyncio.gather(*(apart.check(lambda data=data: data, "a «b».jpg") for data in cases),
                                    return_exceptions=True)

    found = with_apart(there, ask, max_px=100)
    expected = []
    for data in cases:
        try:
            expected.append(Checker(here, 10**6, 32, 100).check(data, "a «b».jpg"))
        except RefusedError as refused:
            expected.append(refused)
    assert [shown(one) for one in found] == [shown(one) for one in expected]
    assert sum(isinstance(one, RefusedError) for one in found) == 5
    assert sorted(path.read_bytes() for path in here.iterdir()) == sorted(path.read_bytes() for path in there.iterdir())


def test_a_process_that_is_killed_is_started_again_and_nothing_is_lost(tmp_path):
    async def ask(apart):
        first = await apart.check(lambda: pictures(1)[0], "a.jpg")
        os.kill(apart._process.pid, signal.SIGKILL)
        rest = await asyncio.gather(*(apart.check(lambda data=data: data, "b.jpg") for data in pictures(30)))
        return [first, *rest]

    found = with_apart(tmp_path, ask)
    assert len({one.image_id for one in found}) == 30 and len(found) == 31
    assert all(one.file.is_file() for one in found)


def test_a_picture_that_ends_the_process_twice_is_refused_and_the_others_go_on(tmp_path, monkeypatch):
    sent = _apart._HEAD

    class Fatal:
        """A head that no reader survives, in front of the one picture that is called so."""

        size = sent.size

        @staticmethod
        def pack(name_bytes, data_bytes):
            return sent.pack(name_bytes, 2**62 if name_bytes == len("fatal") else data_bytes)

    monkeypatch.setattr(_apart, "_HEAD", Fatal)  # of this process; the other reads the honest one

    async def ask(apart):
        names = ["good.jpg", "fatal", "also-good.jpg"]
        return await asyncio.gather(*(apart.check(lambda data=data: data, name)
                                      for name, data in zip(names, pictures(3), strict=True)), return_exceptions=True)

    found = with_apart(tmp_path, ask)
    assert isinstance(found[1], RefusedError) and found[1].cause == "damaged" and "twice" in str(found[1])
    assert [one.width_px for one in (found[0], found[2])] == [60, 60]


def test_without_a_process_there_is_a_word_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(_apart.sys, "executable", "/there/is/none")

    async def run():
        apart = Apart(Checker(tmp_path, 10**6, 32))
        await apart.start()
        with pytest.raises(UnavailableError):
            await apart.check(lambda: pictures(1)[0], "a.jpg")
        await apart.close()

    in_a_thread(run())


@pytest.mark.parametrize("broken", [False, True])
def test_many_pictures_are_checked_apart_or_here_with_the_same_outcome(tmp_path, monkeypatch, broken):
    asked = []
    check = Apart.check

    async def counted(self, read, name):
        while not starting:
            await asyncio.sleep(0)
        await starting[0]
        found = await check(self, read, name)
        asked.append(name)
        return found

    start, starting = Apart.start, []

    async def started(self):
        starting.append(asyncio.ensure_future(start(self)))
        await starting[0]

    monkeypatch.setattr(Apart, "start", started)

    monkeypatch.setattr(Apart, "check", counted)
    if broken:
        monkeypatch.setattr(_apart.sys, "executable", "/there/is/none")
    source = tmp_path / "from"
    source.mkdir()
    for number, data in enumerate(pictures(_run._APART_FROM + 40)):
        (source / f"{number}.jpg").write_bytes(data)
    (source / "bad.jpg").write_bytes(pictures(1)[0][:-80])
    report = room(tmp_path / "to", {"bears": ""}, source=Folder(source))
    states = [record.cause or record.state for record in report.records]
    assert states.count("added") == _run._APART_FROM + 40 and states.count("damaged") == 1
    assert (len(asked) > 10) is not broken
    assert list((tmp_path / "to" / ".shoebox" / "incoming").iterdir()) == []


def test_few_pictures_start_no_process(tmp_path, monkeypatch):
    monkeypatch.setattr(Apart, "start", lambda self: pytest.fail("a process was started"))
    source = tmp_path / "from"
    source.mkdir()
    (source / "one.jpg").write_bytes(pictures(1)[0])
    assert len(room(tmp_path / "to", {"bears": ""}, source=Folder(source)).records) == 1


def test_a_picture_that_takes_for_ever_holds_up_nobody(tmp_path, monkeypatch):
    """Bodies larger than what a line takes in at once, so that others are sending while one is looked at."""
    monkeypatch.setattr(_apart, "_SLOWEST_S", 1.0)
    large = [data + bytes(700_000) for data in pictures(8)]

    async def ask(apart):
        os.kill(apart._process.pid, signal.SIGSTOP)
        return await asyncio.gather(*(apart.check(lambda data=data: data, "a.jpg") for data in large))

    found = with_apart(tmp_path, ask)
    assert len({one.image_id for one in found}) == 8


def test_nonsense_from_the_process_is_an_end_of_it(tmp_path):
    async def ask(apart):
        apart._process.stdout.feed_data(b"a library says hello\n")
        return await asyncio.gather(*(apart.check(lambda data=data: data, "a.jpg") for data in pictures(3)))

    assert len(with_apart(tmp_path, ask)) == 3


def test_a_process_that_ends_again_and_again_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(_apart, "_MOST_ENDS", 0)

    async def ask(apart):
        os.kill(apart._process.pid, signal.SIGKILL)
        return await asyncio.gather(*(apart.check(lambda data=data: data, "a.jpg") for data in pictures(2)),
                                    return_exceptions=True)

    assert [one.cause for one in with_apart(tmp_path, ask)] == ["not_stored"] * 2
