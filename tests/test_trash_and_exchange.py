"""Quarantine, trash and restore; decisions that travel between two people."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from shoebox.data import Dataset, sha256_file
from shoebox.errors import DatasetError
from tests._pictures import AWKWARD, CYRILLIC, draw, folders, save


@pytest.fixture
def root(tmp_path):
    return folders(tmp_path / "bears", {"black": 6, CYRILLIC: 6, AWKWARD: 6})


def files(root):
    return {p.relative_to(root).as_posix(): sha256_file(p) for p in root.glob("*/*.*") if p.parent.name != ".shoebox"}


def test_unreadable_files_go_to_quarantine_and_back(root):
    (root / "black" / "empty.jpg").touch()
    (root / "stray.txt").write_text("hello")
    (root / "black" / "link.jpg").symlink_to(root / "black" / "picture-000.jpg")
    before = files(root)
    ds = Dataset(root)
    assert ds.quarantine().moved == 2
    assert not (root / "black" / "empty.jpg").exists() and not (root / "stray.txt").exists()
    assert {item.cause for item in ds.report.skipped} == {"link"}
    assert {item.path for item in ds.trash()} == {"black/empty.jpg", "stray.txt"}
    assert Dataset(root).restore("stray.txt").moved == 1 and (root / "stray.txt").read_text() == "hello"
    assert Dataset(root).restore().moved == 1
    ds = Dataset(root)
    assert files(root) == before and {item.cause for item in ds.report.skipped} == {"link", "empty", "no_class"}
    assert ds.quarantine().moved == 2 and ds.undo_apply().moved == 2 and files(root) == before


def test_a_removed_picture_is_restored_beside_whatever_has_its_name_now(root):
    ds = Dataset(root)
    gone = sha256_file(root / "black" / "picture-000.jpg")
    side = ds.record("black/picture-000.jpg").side
    ds.decide("black/picture-000.jpg", "remove")
    ds.apply()
    save(root / "black" / "picture-000.jpg", draw(700))
    ds.scan()
    assert ds.restore("black/picture-000.jpg").moved == 1
    record = ds.record("black/picture-000 (2).jpg")
    assert (record.image_id, record.label, record.side) == (gone, "black", side)
    assert "black/picture-000.jpg" not in ds.decisions
    with pytest.raises(DatasetError, match="cannot be restored"):
        ds.restore("black/picture-005.jpg")


def test_emptying_the_trash_goes_on_where_one_file_cannot_be_deleted(root, monkeypatch):
    ds = Dataset(root)
    for number in range(3):
        ds.decide(f"black/picture-00{number}.jpg", "remove")
    ds.apply()
    held, unlink = next(i.kept_at for i in ds.trash() if i.path == "black/picture-001.jpg"), Path.unlink

    def refusing(path, *args, **options):
        if path == root / held:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        unlink(path, *args, **options)

    monkeypatch.setattr(Path, "unlink", refusing)
    said = ds.empty_trash(confirm=3)
    assert said.startswith("Deleted 2 of 3 files")
    assert said.endswith("Still in the trash: 'black/picture-001.jpg' (Permission denied).")
    assert [item.path for item in ds.trash()] == ["black/picture-001.jpg"] and "confirm=1" in ds.empty_trash()
    monkeypatch.undo()
    assert ds.restore().moved == 1 and (root / "black/picture-001.jpg").exists()


def test_emptying_the_trash_asks_first(root):
    ds = Dataset(root)
    for number in range(3):
        ds.decide(f"black/picture-00{number}.jpg", "remove")
    ds.apply()
    assert "3 files" in ds.empty_trash() and "confirm=3" in ds.empty_trash(confirm=2)
    assert len(ds.trash()) == 3
    assert ds.empty_trash(confirm=3).startswith("Deleted 3 files") and not ds.trash()
    result = ds.undo_apply()
    assert result.moved == 0 and len(result.failed) == 3 and "no longer there" in str(result)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_two_people_review_and_merge(root, tmp_path, suffix):
    import shutil

    mine = Dataset(root)
    shutil.copytree(root, tmp_path / "theirs", ignore=shutil.ignore_patterns(".shoebox"))
    (tmp_path / "theirs" / "black" / "picture-003.jpg").rename(tmp_path / "theirs" / "black" / "renamed.jpg")
    theirs = Dataset(tmp_path / "theirs")
    theirs.decide("black/picture-000.jpg", "relabel", AWKWARD, who="Åsa, \"the\" keeper\nof bears")
    theirs.decide("black/picture-001.jpg", "remove", who="Åsa")
    theirs.decide("black/picture-002.jpg", "keep", who="Åsa")
    theirs.decide("black/renamed.jpg", "unsure", who="Åsa")
    save(tmp_path / "theirs" / "black" / "only-theirs.jpg", draw(900))
    theirs.scan()
    theirs.decide("black/only-theirs.jpg", "keep")
    mine.decide("black/picture-001.jpg", "remove")
    mine.decide("black/picture-002.jpg", "relabel", CYRILLIC, who="Bo")
    report = mine.import_decisions(theirs.export_decisions(tmp_path / f"decisions.{suffix}"))
    assert (report.added, report.same, len(report.conflicts), len(report.unknown)) == (2, 1, 1, 1)
    assert f"Bo says relabel {CYRILLIC}, Åsa says keep" in str(report)
    taken = mine.decisions["black/picture-000.jpg"]
    assert (taken.kind, taken.label, taken.who) == ("relabel", AWKWARD, "Åsa, \"the\" keeper\nof bears")
    assert mine.decisions["black/picture-003.jpg"].kind == "unsure", "found by content, not by name"
    assert mine.decisions["black/picture-002.jpg"].label == CYRILLIC, "not overwritten"
    assert mine.import_decisions(tmp_path / f"decisions.{suffix}").added == 0, "twice changes nothing"


@pytest.mark.parametrize(("name", "content", "sentence"), [
    ("a.csv", "path,kind\nx,keep\n", "image_id"),
    ("a.jsonl", "{broken", "cannot be read"),
    ("a.jsonl", json.dumps([1]), "Row 1"),
    ("a.csv", b"\xff\xfe\x00", "cannot be read"),
    ("missing.csv", None, "cannot be read"),
])
def test_a_table_that_is_no_decisions_has_a_sentence(root, tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DatasetError, match=sentence):
        Dataset(root).import_decisions(tmp_path / name)
    with pytest.raises(DatasetError, match=r"\.csv or \.jsonl"):
        Dataset(root).export_decisions(tmp_path / "x.xlsx")


def test_an_undo_that_could_not_bring_everything_back_can_be_repeated(root):
    """Shipped bug: a file whose old name was taken stayed in the trash, out of reach of undo and restore."""
    ds = Dataset(root)
    ds.decide("black/picture-000.jpg", "remove")
    ds.decide("black/picture-001.jpg", "remove")
    ds.apply()
    save(root / "black" / "picture-000.jpg", draw(800))
    result = ds.undo_apply()
    assert result.moved == 1 and len(result.failed) == 1 and "another file" in str(result)
    assert [item.path for item in ds.trash()] == ["black/picture-000.jpg"]
    (root / "black" / "picture-000.jpg").unlink()
    assert ds.undo_apply().moved == 1 and not ds.trash()
    assert set(ds.decisions) == {"black/picture-000.jpg", "black/picture-001.jpg"}


def test_two_pictures_removed_from_one_path_both_come_back(root):
    """Shipped bug: only the newer one did."""
    ds = Dataset(root)
    before = {ds.record("black/picture-000.jpg").image_id}
    ds.decide("black/picture-000.jpg", "remove")
    ds.apply()
    save(root / "black" / "picture-000.jpg", draw(801))
    ds.scan()
    before.add(ds.record("black/picture-000.jpg").image_id)
    ds.decide("black/picture-000.jpg", "remove")
    ds.apply()
    assert ds.restore("black/picture-000.jpg").moved == 2
    assert before <= {record.image_id for record in ds.images}


def test_an_import_is_taken_whole_or_not_at_all(root, tmp_path):
    """Shipped bug: rows before a bad one were taken in, and of two rows for one picture the last won in silence."""
    ds = Dataset(root)
    one = ds.record("black/picture-000.jpg")
    rows = [{"path": one.path, "image_id": one.image_id, "kind": "keep"},
            {"path": one.path, "image_id": one.image_id, "kind": "remove", "who": "Bo"}]
    file = tmp_path / "d.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    report = ds.import_decisions(file)
    assert (report.added, len(report.conflicts)) == (1, 1) and ds.decisions[one.path].kind == "keep"
    ds.undo_decision()
    file.write_text("\n".join(map(json.dumps, [rows[0], rows[1] | {"kind": "banana"}])))
    with pytest.raises(DatasetError, match=r"Row 2.*banana"):
        ds.import_decisions(file)
    assert not ds.decisions


def test_odd_line_ends_inside_a_reason_travel(root, tmp_path):
    """Shipped bug: U+2028 in a reason made our own export unreadable."""
    ds = Dataset(root)
    ds.decide("black/picture-000.jpg", "keep", reason="one\u2028two\u0085three")
    file = ds.export_decisions(tmp_path / "d.JSONL")
    ds.undo_decision()
    assert ds.import_decisions(file.rename(tmp_path / "d.jsonl")).added == 1
    assert ds.decisions["black/picture-000.jpg"].reason == "one\u2028two\u0085three"


@pytest.mark.parametrize("wish", [{"test_pct": 0.9}, {"seed": "x"}, {"valid_pct": 1}, {"valid_pct": -0.1},
                                  {"seed": 2**70}])
def test_a_wrong_split_is_refused_and_not_remembered(root, wish):
    """Shipped bug: Dataset(path, seed="x") could never be opened again."""
    with pytest.raises(DatasetError, match="expected"):
        Dataset(root, **wish)
    assert len(Dataset(root).images) == 18


def test_a_name_with_a_backslash_and_a_file_in_the_catalogs_place_have_sentences(root, tmp_path):
    save(root / "black" / "x\\y.jpg", draw(802))
    assert {item.cause for item in Dataset(root).report.skipped} == {"bad_name"}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".shoebox").write_text("a file")
    with pytest.raises(DatasetError, match="cannot be written"):
        Dataset(tmp_path / "other")
