"""`shoebox collect` in real processes: files of addresses, folders, Ctrl-C and going on, mistakes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import shoebox
from tests._pictures import draw, save
from tests._web import body, jpeg, web

SHOEBOX = Path(sys.executable).with_name("shoebox")


def run(*arguments, cwd):
    command = [SHOEBOX, "collect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture
def here():
    with web() as server:
        server.answers |= {f"/{n}.jpg": body(jpeg(n)) for n in range(20)}
        yield server


def test_lists_and_folders_become_classes(tmp_path, here):
    rows = [f"{here.url(f'/{n}.jpg')},{'grizzly' if n % 2 else 'teddy'}" for n in range(4)]
    (tmp_path / "list.csv").write_text("\n".join(["url,label", *rows, f"{here.url('/gone.jpg')},teddy"]), "utf-8")
    save(tmp_path / "mine" / "teddy" / "a.jpg", draw(50))
    done = run("bears", "--urls", "list.csv", "--from", "mine", "--allow-private", "--csv", "out.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "asked 6, saved 5, 1 not found" in done.stdout and "teddy: 3 of 4 addresses" in done.stdout
    assert "note: grizzly: The folder 'mine' has no folder 'grizzly'" in done.stderr and "Traceback" not in done.stderr
    assert (tmp_path / "out.csv").read_text("utf-8").count("\n") == 7
    assert len(shoebox.Dataset(tmp_path / "bears").images) == 5
    again = run("bears", "--class", "grizzly", "--urls", "list.csv", "--allow-private", cwd=tmp_path)
    assert "asked 2, saved 2" in again.stdout and here.counts()["/1.jpg"] == 1


def test_ctrl_c_leaves_everything_whole_and_says_how_to_go_on(tmp_path, here):
    (tmp_path / "list.txt").write_text("\n".join(here.url(f"/{n}.jpg") for n in range(20)), "utf-8")
    arguments = ["bears", "--class", "grizzly", "--urls", "list.txt", "--allow-private"]
    with subprocess.Popen([SHOEBOX, "collect", *arguments], cwd=tmp_path, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        end = time.monotonic() + 60
        while len(list((tmp_path / "bears").glob("grizzly/*"))) < 3 and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in errors, errors
    assert "pictures are saved in bears" in errors and "run the same command again" in errors
    before, there = here.counts(), len(list((tmp_path / "bears" / "grizzly").iterdir()))
    assert 3 <= there < 20
    done = run(*arguments, cwd=tmp_path)
    assert "asked 20, saved 20" in done.stdout, done.stdout + done.stderr
    assert sum((here.counts() - before).values()) <= 20 - there
    assert max(here.counts().values()) <= 2


@pytest.mark.parametrize(("arguments", "words"), [
    (("bears",), "nothing to collect"), (("bears", "--class", "a=b", "--source", "bing"), "ddgs, openverse"),
    (("bears", "--class", "../a=b"), "class name"), (("bears", "--class", "a=b", "--per-class", "0"), "at least 1"),
])
def test_a_mistake_is_one_sentence(tmp_path, arguments, words):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "bears").exists()


def test_a_web_search_is_warned_of_and_one_without_a_key_says_what_to_do(tmp_path):
    done = subprocess.run([SHOEBOX, "collect", "bears", "--class", "a=b", "--source", "serpapi"], capture_output=True,
                          text=True, check=False, cwd=tmp_path,
                          env={name: value for name, value in os.environ.items() if name != "SERPAPI_KEY"})
    assert done.returncode == 1 and "healthy skin" in done.stderr and "SERPAPI_KEY" in done.stderr
