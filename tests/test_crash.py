"""Kills, power cuts, failing disks and races: small shares of what bench/crash.py runs in full.

The numbers of points are those of the code as it is; a floor under each says that the harness still reaches them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests._memory import memory_folder

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def folder():
    with memory_folder() as name:
        yield str(name)


def run(experiment, folder, **settings):
    done = subprocess.run([sys.executable, "-m", "tests.crash", experiment, folder,
                           *(f"{name}={value}" for name, value in settings.items())], capture_output=True, text=True,
                          cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize(("mode", "direction", "step", "at_least"), [
    ("link", "apply", 1, 120), ("link", "undo", 1, 120), ("exdev", "apply", 3, 50), ("exdev", "undo", 3, 50),
    ("nolink", "apply", 7, 20)])
def test_killed_at_every_call_nothing_is_lost_doubled_or_half_written(folder, mode, direction, step, at_least):
    result = run("kills", folder, mode=mode, direction=direction, step=step)
    assert result["found"] == {}
    assert result["points"] >= at_least and result["recovery_kills"] >= at_least


@pytest.mark.parametrize(("bug", "fault", "step"), [
    ("unlink first", "lost", 2), ("replay makes a second copy", "duplicated", 3),
    ("copy to the final name", "half-written", 2)])
def test_the_kills_find_bugs_that_are_put_in(folder, bug, fault, step):
    assert run("kills", folder, bug=bug, step=step, first=fault)["found"].get(fault, 0) > 0


@pytest.mark.parametrize("mode", ["link", "exdev"])
def test_a_power_cut_loses_nothing(folder, mode):
    result = run("cuts", folder, mode=mode, stride=23)
    assert result["found"] == {} and result["cuts"] >= 500


@pytest.mark.parametrize(("bug", "mode", "fault"), [
    ("names not forced to the disk", "link", "lost"), ("new folders not forced to the disk", "link", "lost"),
    ("copies not forced to the disk", "exdev", "half-written"),
    ("recovery unlinks before the new name is on the disk", "link", "lost")])
def test_the_power_cuts_find_bugs_that_are_put_in(folder, bug, mode, fault):
    stride = 11 if bug.startswith("recovery") else 60
    assert run("cuts", folder, bug=bug, mode=mode, stride=stride, first=1)["found"].get(fault, 0) > 0


@pytest.mark.parametrize(("mode", "direction"), [("link", "apply"), ("link", "undo"), ("exdev", "apply")])
def test_a_failing_disk_loses_nothing_and_every_failure_has_a_sentence(folder, mode, direction):
    result = run("errors", folder, mode=mode, direction=direction, step=5)
    assert result["found"] == {} and result["faults"] >= 100 and result["stopped_with_a_sentence"] > 0


def test_killed_at_random_instants_nothing_is_lost_and_no_decision_forgotten(folder):
    result = run("random_kills", folder, kills=100)
    assert result["found"] == {} and result["kills"] == 100 and result["decisions_acknowledged"] > 20
    assert {"apply", "undo_apply"} <= result["killed_during"].keys()


def test_two_processes_never_apply_twice_and_lose_no_decision(folder):
    result = run("races", folder, rounds=100)
    assert result["found"] == {} and result["second_told"] > 0
    assert result["decisions"] == result["decisions_written"] == 50
