"""The data set: scan, split, decisions, apply and undo, on real folders and a real SQLite file."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from shoebox.data import Dataset, sha256_file
from shoebox.errors import DatasetError
from tests._pictures import AWKWARD, CYRILLIC, draw, folders, save


@pytest.fixture
def root(tmp_path):
    return folders(tmp_path / "bears", {"black": 12, "grizzly": 12, CYRILLIC: 6})


def contents(root):
    """Every file outside the catalog, the trash included, by its hash."""
    return sorted(sha256_file(path) for path in root.rglob("*.*")
                  if path.is_file() and not path.name.startswith("thumbnails.sqlite") and path.name not in
                  ("catalog.sqlite", "apply.lock", "catalog.sqlite-journal", "predictions.npz"))


def tree(root):
    return {p.relative_to(root).as_posix(): sha256_file(p) for p in root.rglob("*.jpg") if ".shoebox" not in p.parts}


def test_opens_class_folders(root):
    ds = Dataset(root)
    assert ds.classes == ("black", "grizzly", CYRILLIC) and len(ds.images) == 30
    assert sum(n["train"] + n["valid"] for n in ds.counts().values()) == 30
    assert not ds.report.skipped
    record = ds.record("black/picture-000.jpg")
    assert (record.width_px, record.height_px, record.format) == (64, 48, "JPEG")
    assert record.image_id == sha256_file(root / record.path)


def test_every_file_left_out_has_its_reason(root):
    (root / "black" / "empty.jpg").touch()
    (root / "black" / "text.jpg").write_text("no picture")
    whole = (root / "black" / "picture-000.jpg").read_bytes()
    (root / "grizzly" / "half.jpg").write_bytes(whole[:-200])
    save(root / "stray.jpg", draw(99))
    (root / "black" / "link.jpg").symlink_to(root / "black" / "picture-000.jpg")
    (root / "black" / ".hidden.jpg").write_text("passed over")
    report = Dataset(root).report
    assert {item.path: item.cause for item in report.skipped} == {
        "black/empty.jpg": "empty", "black/text.jpg": "not_an_image", "grizzly/half.jpg": "truncated",
        "stray.jpg": "no_class", "black/link.jpg": "link"}
    assert all(item.path in item.sentence for item in report.skipped)
    assert report.pictures == 30
    assert Dataset(root).report.skipped == report.skipped, "remembered without reading again"


@pytest.mark.parametrize(("classes", "sentence"), [
    ({}, "no picture yet"),
    ({"black": 9}, "one class only, 'black'"),
    ({"black": 1}, "one picture only"),
    ({"black": 12, AWKWARD: 1}, "one picture only"),
])
def test_too_little_data_is_said_in_a_sentence(tmp_path, classes, sentence):
    (tmp_path / "few").mkdir()
    ds = Dataset(folders(tmp_path / "few", classes))
    assert any(sentence in warning for warning in ds.report.warnings), ds.report.warnings


def test_a_missing_folder_has_a_sentence(tmp_path):
    with pytest.raises(DatasetError, match="no folder"):
        Dataset(tmp_path / "nowhere")


def test_a_second_scan_reads_only_what_changed(root, monkeypatch):
    Dataset(root)
    read = []
    import shoebox.data._scan as scan

    monkeypatch.setattr(scan, "read_bytes", lambda file, **_: read.append(Path(file).name) or Path(file).read_bytes())
    assert Dataset(root).report.added == 0 and read == []
    save(root / "black" / "picture-000.jpg", draw(500))
    save(root / "black" / "new.jpg", draw(501))
    (root / "grizzly" / "picture-000.jpg").unlink()
    report = Dataset(root).report
    assert (report.added, report.changed, report.removed) == (1, 1, 1)
    assert sorted(read) == ["new.jpg", "picture-000.jpg"]


def test_the_split_is_a_function_of_content(root, tmp_path):
    before = {record.image_id: record.side for record in Dataset(root).images}
    assert set(before.values()) == {"train", "valid"}
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(root, elsewhere, ignore=shutil.ignore_patterns(".shoebox"))
    for number, path in enumerate(sorted(elsewhere.rglob("*.jpg"))):
        if number % 3 == 0:
            path.unlink()
        elif number % 3 == 1:
            path.rename(path.with_name(f"renamed-{number}.jpg"))
    (elsewhere / "grizzly").rename(elsewhere / "brown")
    after = {record.image_id: record.side for record in Dataset(elsewhere).images}
    assert len(after) == 20 and all(before[image_id] == side for image_id, side in after.items())
    with pytest.raises(DatasetError, match="seed=42"):
        Dataset(root, seed=7)
    assert {r.side for r in Dataset(folders(tmp_path / "b", {"x": 30, "y": 30}), seed=7).images} == {"train", "valid"}


def test_composed_and_decomposed_names_are_one_class(tmp_path):
    save(tmp_path / unicodedata.normalize("NFC", "Йод") / "a.jpg", draw(1))
    save(tmp_path / unicodedata.normalize("NFD", "Йод") / "b.jpg", draw(2))
    assert Dataset(tmp_path).classes == (unicodedata.normalize("NFC", "Йод"),)


def test_decisions_are_durable_and_can_be_undone(root):
    ds = Dataset(root)
    ds.decide("black/picture-000.jpg", "relabel", "grizzly", who="Anna")
    ds.decide("black/picture-001.jpg", "remove")
    ds.decide("black/picture-001.jpg", "keep")
    other = Dataset(root)
    assert {p: (d.kind, d.label) for p, d in other.decisions.items()} == {
        "black/picture-000.jpg": ("relabel", "grizzly"), "black/picture-001.jpg": ("keep", None)}
    assert other.decisions["black/picture-000.jpg"].who == "Anna"
    assert other.undo_decision().kind == "keep"
    assert ds.decisions["black/picture-001.jpg"].kind == "remove", "the earlier decision stands again, in both"
    assert ds.undo_decision().kind == "remove" and "black/picture-001.jpg" not in ds.decisions
    assert ds.redo_decision().kind == "remove" and ds.redo_decision().kind == "keep" and ds.redo_decision() is None
    assert ds.decisions["black/picture-001.jpg"].kind == "keep"


@pytest.mark.parametrize(("path", "kind", "label"), [
    ("black/nothing.jpg", "keep", None),
    ("../secret.jpg", "keep", None),
    ("black/picture-000.jpg", "burn", None),
    ("black/picture-000.jpg", "relabel", None),
    ("black/picture-000.jpg", "keep", "grizzly"),
    *(("black/picture-000.jpg", "relabel", label) for label in
      ("", "  ", ".", "..", "../x", "a/b", "a\\b", ".shoebox", "x\0y", "con", "Aux.txt", "x.", "x ", "Б" * 128)),
])
def test_nonsense_decisions_are_refused(root, path, kind, label):
    ds = Dataset(root)
    with pytest.raises(DatasetError):
        ds.decide(path, kind, label)
    assert not ds.decisions


def test_apply_moves_and_undo_brings_back(root):
    ds = Dataset(root)
    before, all_files, order = tree(root), contents(root), ds.fingerprint
    ds.decide("black/picture-000.jpg", "relabel", "grizzly")  # a picture-000.jpg stands there already
    ds.decide("black/picture-001.jpg", "relabel", AWKWARD)
    ds.decide("grizzly/picture-002.jpg", "remove")
    ds.decide("grizzly/picture-003.jpg", "keep")
    plan = ds.plan()
    assert tree(root) == before, "a plan touches nothing"
    assert "2 change class, 1 go to the trash" in plan.summary() and f"black → {AWKWARD}: 1" in plan.summary()
    result = ds.apply(plan)
    assert result.moved == 3 and not result.failed
    moved = tree(root)
    assert moved["grizzly/picture-000 (2).jpg"] == before["black/picture-000.jpg"]
    assert moved[f"{AWKWARD}/picture-001.jpg"] == before["black/picture-001.jpg"]
    assert "grizzly/picture-002.jpg" not in moved and contents(root) == all_files
    assert ds.record("grizzly/picture-000 (2).jpg").label == "grizzly"
    assert set(ds.decisions) == {"grizzly/picture-003.jpg"}
    assert ds.apply().moved == 0, "applying twice changes nothing"
    assert not Dataset(root).report.added, "the catalog knows the new places"
    assert Dataset(root).undo_apply().moved == 3
    ds = Dataset(root)
    assert tree(root) == before and ds.fingerprint == order
    assert set(ds.decisions) == {"black/picture-000.jpg", "black/picture-001.jpg", "grizzly/picture-002.jpg",
                                 "grizzly/picture-003.jpg"}
    with pytest.raises(DatasetError, match="no apply to undo"):
        ds.undo_apply()


def test_names_differing_in_case_never_meet(root):
    save(root / "grizzly" / "PICTURE-005.JPG", draw(77))
    (root / "grizzly" / "picture-005.jpg").unlink()
    ds = Dataset(root)
    ds.decide("black/picture-005.jpg", "relabel", "grizzly")
    assert ds.plan().moves[0].target == "grizzly/picture-005 (2).jpg"


def test_a_changed_or_missing_picture_is_left_alone(root):
    ds = Dataset(root)
    for number in (0, 1, 2):
        ds.decide(f"black/picture-00{number}.jpg", "remove")
    save(root / "black" / "picture-000.jpg", draw(300))
    (root / "black" / "picture-001.jpg").unlink()
    fresh = Dataset(root)
    assert {item.path for item in fresh.plan().stale} == {"black/picture-000.jpg", "black/picture-001.jpg"}
    result = ds.apply()  # this one has not scanned since
    assert result.moved == 1 and len(result.failed) == 2
    assert "changed since the decision" in str(result) and "no longer there" in str(result)
    assert (root / "black" / "picture-000.jpg").is_file()


def test_a_second_process_is_told_while_files_move(root):
    ds = Dataset(root)
    ds.decide("black/picture-000.jpg", "remove")
    hold = "import sys, time; from shoebox.data._files import folder_lock; from pathlib import Path\n" \
           f"with folder_lock(Path({str(root)!r}) / '.shoebox/apply.lock'): print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(DatasetError, match="Another notebook or process"):
            ds.apply()
        process.stdin.close()
    assert ds.apply().moved == 1


def test_a_catalog_that_is_no_database_has_a_sentence(root):
    (root / ".shoebox").mkdir()
    (root / ".shoebox" / "catalog.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(DatasetError, match="damaged"):
        Dataset(root)


def test_a_catalog_of_the_future_has_a_sentence(root):
    Dataset(root)
    with sqlite3.connect(root / ".shoebox" / "catalog.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(DatasetError, match="Update Shoebox"):
        Dataset(root)


def test_thumbnails_are_kept(root):
    ds = Dataset(root)
    first = ds.thumbnail("black/picture-000.jpg", side_px=32)
    assert first[:2] == b"\xff\xd8" and ds.thumbnail("black/picture-000.jpg", side_px=32) == first
    with pytest.raises(DatasetError, match="no picture"):
        ds.thumbnail("black/nothing.jpg")


def test_another_device_is_copied_checked_and_named_in_one_step(root, monkeypatch):
    import errno

    real = os.link
    crossed = []

    def other_device(source, target, **kwargs):
        if ".part-" not in str(source):
            crossed.append(source)
            raise OSError(errno.EXDEV, "other device")
        real(source, target, **kwargs)

    ds = Dataset(root)
    before = contents(root)
    ds.decide("black/picture-000.jpg", "remove")
    monkeypatch.setattr(os, "link", other_device)
    assert ds.apply().moved == 1 and len(crossed) == 1 and contents(root) == before


def test_a_full_disk_stops_nothing_else_and_loses_nothing(root, monkeypatch):
    import errno

    real = os.link
    ds = Dataset(root)
    before = contents(root)
    ds.decide("black/picture-000.jpg", "remove")
    ds.decide("black/picture-001.jpg", "remove")

    def full_once(source, target, **kwargs):
        if "picture-000" in str(source):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target, **kwargs)

    monkeypatch.setattr(os, "link", full_once)
    result = ds.apply()
    assert result.moved == 1 and "No space left" in str(result) and contents(root) == before
    assert set(ds.decisions) == {"black/picture-000.jpg"}, "the decision that was not carried out still stands"


def test_a_data_set_draws_itself(root):
    save(root / AWKWARD / "a.jpg", draw(4))
    ds = Dataset(root)
    assert "<b>" not in ds._repr_html_() and "&lt;b&gt;" in ds._repr_html_() and CYRILLIC in ds._repr_html_()
    assert ds.sheet(per_class=3, side_px=40).size == (120, 160)
    assert repr(ds) == "Dataset('bears': 31 pictures, 4 classes)"
