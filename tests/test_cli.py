"""The command line in real processes: exit codes, sentences, and the demo on a small scale."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests._pictures import folders

SHOEBOX = Path(sys.executable).with_name("shoebox")
ROOT = Path(__file__).parent.parent


def shoebox(*arguments, cwd=None):
    return subprocess.run([SHOEBOX, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd)


def test_help_names_the_commands():
    done = shoebox("--help")
    assert done.returncode == 0
    for command in ("demo", "collect", "scan", "inspect", "check", "pack", "export", "convert", "serve"):
        assert command in done.stdout
    assert shoebox("--version").stdout.startswith("shoebox 0.")


def test_scan_says_what_was_left_out(tmp_path):
    root = folders(tmp_path / "bears", {"black": 6, "grizzly": 6})
    (root / "black" / "empty.jpg").touch()
    done = shoebox("scan", root)
    assert done.returncode == 0 and "12 pictures" in done.stdout and "'black/empty.jpg' is empty" in done.stdout


@pytest.mark.parametrize("arguments", [
    ("scan", "nowhere"), ("inspect", "nowhere"), ("serve", "nowhere.ipynb"),
    ("serve", str(ROOT / "notebooks" / "app.ipynb"), "--model", "nowhere"),
    ("demo", "--data", ".", "--no-serve"), ("demo", "--notebook", "nowhere.ipynb"),
])
def test_a_mistake_gets_one_sentence_and_no_traceback(tmp_path, arguments):
    done = shoebox(*arguments, cwd=tmp_path)
    assert done.returncode == 1 and done.stdout.count("Traceback") == 0
    assert done.stderr.startswith("shoebox: ") and "Traceback" not in done.stderr and done.stderr.count("\n") <= 2


@pytest.mark.slow
def test_the_demo_runs_twice_and_the_second_time_reuses_what_stands(tmp_path):
    arguments = ("demo", "--no-serve", "--data", "work/demo", "--model", "models/demo")
    first = shoebox(*arguments, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    for words in ("Writing the digits", "files left out", "Training", "planted wrong labels", "Exporting", " s\n"):
        assert words in first.stdout
    again = shoebox(*arguments, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("used again") == 2 and "Training a small" not in again.stdout
    found = [line for line in first.stdout.splitlines() if "planted wrong labels" in line]
    assert found and found == [line for line in again.stdout.splitlines() if "planted wrong labels" in line]
    assert int(found[0].split(",")[1].split()[0]) >= 45


@pytest.mark.slow
def test_ctrl_c_ends_cleanly_and_loses_nothing(tmp_path):
    with subprocess.Popen([SHOEBOX, "demo", "--no-serve"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          cwd=tmp_path, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        for line in process.stdout:
            if "Checking every file" in line:
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Stopped." in errors and "Traceback" not in errors
    assert "1811 pictures" in shoebox("scan", tmp_path / "work" / "demo").stdout
