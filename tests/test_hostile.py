"""The door against files made to hurt: each has one right outcome, in little memory, and no decoder but the listed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoebox.data import decode_image
from shoebox.data._kinds import jpeg_scans, kind_of, scan_marks
from shoebox.errors import ImageError
from tests._hostile import (
    JPEG,
    PROGRESSIVE,
    Case,
    broken,
    corpus,
    cut,
    encoded,
    odd_but_right,
    rare_formats,
    two_in_one,
    with_scans,
)
from tests._measured import measured
from tests._pictures import draw

CAUSES = {"empty", "not_an_image", "unsupported_format", "truncated", "damaged", "too_many_bytes", "too_many_pixels",
          "too_many_scans"}
MEMORY_MB = 300
BOMB_MEMORY_MB = 50


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Every case with what it did in a process of its own."""
    folder = tmp_path_factory.mktemp("hostile")
    cases: dict[str, Case] = {}
    for number, case in enumerate(corpus()):
        file = f"{number:03}"
        (folder / file).write_bytes(case.data)
        cases[file] = Case(case.name, b"", case.expected, case.bomb)
    found = measured(folder)
    for path in folder.iterdir():
        path.unlink()
    return [(case, found[file]) for file, case in cases.items()]


def test_the_corpus_is_large_and_its_names_differ(outcomes):
    assert len(outcomes) >= 80 and len({case.name for case, _ in outcomes}) == len(outcomes)
    assert sum(case.bomb for case, _ in outcomes) >= 15


def test_each_has_its_one_right_outcome(outcomes):
    wrong = [f"{case.name}: {done.crash or done.cause or done.size} instead of {case.expected}"
             for case, done in outcomes if done.crash or (done.cause or done.size) != case.expected]
    assert not wrong


def test_each_refusal_is_a_named_cause_and_a_sentence(outcomes):
    for case, done in outcomes:
        if done.cause:
            assert done.cause in CAUSES, case.name
            assert "'holiday.jpg'" in done.sentence and done.sentence.endswith("."), case.name


def test_none_takes_much_memory(outcomes):
    heavy = [f"{case.name}: {done.peak_mb:.0f} MB" for case, done in outcomes
             if done.peak_mb > (BOMB_MEMORY_MB if case.bomb else MEMORY_MB)]
    assert not heavy


def test_the_quick_count_of_scans_is_never_below_the_walk():
    files = [JPEG, PROGRESSIVE, with_scans(64, 60), with_scans(64, 60)[:-2] + b"\xff\xfe\0\x0a" + b"\xff\xda" * 4]
    for data in files:
        assert scan_marks(data, 10_000) >= jpeg_scans(data, 10_000) >= 1
    assert scan_marks(files[3], 10_000) > jpeg_scans(files[3], 10_000)
    assert scan_marks(files[2], 10) == 10
    own = jpeg_scans(PROGRESSIVE, 100)
    at_the_limit = with_scans(64, 100 - jpeg_scans(with_scans(64, 0), 100))
    assert own < 100 and jpeg_scans(at_the_limit, 200) == 100
    assert decode_image(at_the_limit).image.size == (64, 64)


def test_scans_are_counted_as_a_decoder_meets_them():
    assert jpeg_scans(JPEG, 1000) == 1
    assert 2 <= jpeg_scans(PROGRESSIVE, 1000) <= 10
    assert jpeg_scans(with_scans(64, 90), 1000) == jpeg_scans(with_scans(64, 0), 1000) + 90
    assert jpeg_scans(with_scans(64, 500), 100) == 101
    assert jpeg_scans(JPEG + PROGRESSIVE * 50, 1000) == 1


FAKE = """#!/bin/sh
echo executed >> "$MARKER"
exit 1
"""
OPEN_ALL = """
import sys
from pathlib import Path
from PIL import Image
from shoebox.data import decode_image, open_image
from shoebox.errors import ImageError
if sys.argv[2] == "Pillow":
    Image.init()
    for file in Path(sys.argv[1]).iterdir():
        try: Image.open(file).load()
        except Exception: pass
else:
    for file in Path(sys.argv[1]).iterdir():
        for attempt in (lambda: open_image(file), lambda: decode_image(file.read_bytes(), truncated="keep")):
            try: attempt()
            except ImageError: pass
            else: raise SystemExit(f"{file} was opened")
print("\\n".join(sorted(name for name in sys.modules if name.startswith("PIL.") and name.endswith("Plugin"))))
"""


@pytest.fixture(scope="module")
def rare_files(tmp_path_factory):
    """Rare formats under honest and false names, with a `gs` on the PATH that leaves a mark."""
    folder = tmp_path_factory.mktemp("rare")
    for number, case in enumerate(rare_formats()):
        for suffix in (".jpg", ".png", ".eps", ""):
            (folder / f"{number}{suffix}").write_bytes(case.data)
    return folder


def opened_by(who, files, tmp_path):
    """The plugins that were loaded, and whether `gs` ran."""
    gs, marker = tmp_path / "bin" / "gs", tmp_path / "marker"
    gs.parent.mkdir()
    gs.write_text(FAKE)
    gs.chmod(gs.stat().st_mode | stat.S_IXUSR)
    env = os.environ | {"PATH": f"{gs.parent}{os.pathsep}{os.environ['PATH']}", "MARKER": str(marker)}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", OPEN_ALL, str(files), who], env=env,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(done.stdout.split()), marker.exists()


def test_ghostscript_is_never_run_and_no_rare_decoder_is_even_loaded(rare_files, tmp_path):
    plugins, ran = opened_by("Shoebox", rare_files, tmp_path)
    assert not ran
    assert plugins <= {f"PIL.{name}ImagePlugin" for name in ("Jpeg", "Png", "WebP", "Gif", "Bmp", "Tiff", "Avif")}


def test_the_fake_ghostscript_would_be_noticed(rare_files, tmp_path):
    plugins, ran = opened_by("Pillow", rare_files, tmp_path)
    assert ran and "PIL.EpsImagePlugin" in plugins


SEEDS = [encoded(draw(i, (40, 30)), kind) for i, kind in
         enumerate(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])]


def test_a_thousand_mutated_files_are_answered():
    from tests._mutants import mutants

    opened = refused = 0
    for data in mutants(1_000):
        try:
            assert decode_image(data, name="holiday.jpg").image.mode == "RGB"
            opened += 1
        except ImageError as error:
            refused += 1
            assert error.cause in CAUSES and "'holiday.jpg'" in str(error) and str(error).endswith(".")
    assert opened > 50 and refused > 300


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([data[:12] for data in SEEDS]), st.binary(max_size=400))
def test_any_bytes_behind_a_right_beginning_are_answered(start, rest):
    data = start + rest
    assert kind_of(data) is not None or data[:4] == b"RIFF" or data[4:8] == b"ftyp"
    for truncated in ("refuse", "keep"):
        try:
            decode_image(data, max_pixels=1_000_000, truncated=truncated)
        except ImageError as error:
            assert error.cause in CAUSES


def test_the_same_answer_with_and_without_a_thumbnail():
    """The scan (thumbnails) and training (all pixels) must not differ in what they refuse."""
    for case in (*broken(), *cut(), *two_in_one(), *odd_but_right()):
        answers = []
        for side_px in (None, 256):
            try:
                answers.append(np.sign(decode_image(case.data, side_px=side_px).image.width))
            except ImageError as error:
                answers.append(error.cause)
        assert answers[0] == answers[1], case.name
