"""Killed at random moments, and gone on with: nothing lost, nothing half, nothing fetched twice that was stored."""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from tests._web import body, jpeg, web
from tests.test_collect import UrlList, collect, pictures, sha256_file


@pytest.fixture
def here():
    with web() as server:
        server.answers |= {f"/{n}.jpg": body(jpeg(n)) for n in range(40)}
        yield server


KILLED = """
import sys
import shoebox
from shoebox.collect import Limits, UrlList
shoebox.collect(sys.argv[1], {"a": ""}, source=UrlList(sys.argv[2]), allow_private=True,
                limits=Limits(starts_per_s=150, per_host=4))
print("done")
"""


@pytest.mark.slow
def test_a_kill_at_twenty_random_moments_loses_nothing_and_fetches_nothing_twice_that_was_stored(tmp_path, here):
    rng, moments = random.Random(7), []
    urls = [here.url(f"/{n}.jpg?{n}") for n in range(40)]
    (tmp_path / "urls.txt").write_text("\n".join(urls))
    for kill in range(20):
        root = tmp_path / str(kill)
        here.asked.clear()
        with subprocess.Popen([sys.executable, "-c", KILLED, str(root), str(tmp_path / "urls.txt")],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            wanted, end = rng.randint(0, 45), time.monotonic() + 60
            while sum(here.counts().values()) < wanted and process.poll() is None and time.monotonic() < end:
                time.sleep(0.002)
            time.sleep(rng.random() * 0.05)
            process.send_signal(signal.SIGKILL)
        for path in (root / "a").glob("*") if (root / "a").is_dir() else ():
            assert path.name.startswith(sha256_file(path)[:16]), "what has a name is whole"
        stored = stored_urls(root)
        before = here.counts()
        moments.append(len(stored))
        report = collect(root, {"a": ""}, UrlList(tmp_path / "urls.txt"))
        assert report.summary().startswith("asked 40, saved 40") and report.earlier == len(stored)
        assert sorted(pictures(root).values()) == sorted(r.image_id for r in report.records)
        assert len(set(pictures(root).values())) == 40
        for url in stored:
            target = url.removeprefix(here.url(""))
            assert here.counts()[target] == before[target] == 1, "what was stored is not fetched again"
        assert list((root / ".shoebox" / "incoming").iterdir()) == []
        shutil.rmtree(root)
    assert sum(0 < n < 40 for n in moments) >= 8, f"the kills came too early or too late: {moments}"


def stored_urls(root):
    file = root / ".shoebox" / "catalog.sqlite"
    if not file.exists():
        return set()
    db = sqlite3.connect(file)
    try:
        return {row[0] for row in db.execute("SELECT url FROM sources WHERE state = 'added'")}
    except sqlite3.OperationalError:
        return set()
    finally:
        db.close()
