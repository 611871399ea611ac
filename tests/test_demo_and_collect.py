"""The embedded data set and its planted faults; copying a folder into a data set."""

from __future__ import annotations

import pytest

import shoebox
from shoebox.data import Dataset, sha256_file
from shoebox.errors import DatasetError
from tests._pictures import AWKWARD, CYRILLIC, draw, folders, save


def hashes(root):
    pictures = (path for path in root.rglob("*.jpg") if ".shoebox" not in path.parts)
    return {path.relative_to(root).as_posix(): sha256_file(path) for path in pictures}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return shoebox.demo.write(tmp_path_factory.mktemp("demo") / "digits", n=300, wrong_labels=20)


def test_the_demo_is_large_enough_to_look_at_and_its_faults_are_real(digits):
    ds = Dataset(digits)
    faults = shoebox.demo.planted(digits)
    assert len(ds.images) == 300 + 12 + 2 and ds.classes == tuple("0123456789")
    assert min(min(r.width_px, r.height_px) for r in ds.images) >= 96
    assert {item.path for item in ds.report.skipped} == set(faults.unreadable)
    assert {item.cause for item in ds.report.skipped} == {"truncated", "empty", "not_an_image"}
    assert len(faults.wrong_labels) == 20 and len(faults.photographs) == 2
    for path, true_label in faults.wrong_labels.items():
        assert ds.record(path).label != true_label
    for copy, original in faults.near_duplicates.items():
        assert ds.record(copy).image_id != ds.record(original).image_id


def test_the_demo_is_the_same_for_the_same_seed_and_is_written_once(digits, tmp_path):
    again = shoebox.demo.write(tmp_path / "again", n=300, wrong_labels=20)
    assert hashes(again) == hashes(digits)
    other = shoebox.demo.write(tmp_path / "other", n=300, wrong_labels=20, seed=1)
    assert hashes(other) != hashes(digits)
    (again / "0" / "mine.jpg").write_bytes(b"the user's own")
    shoebox.demo.write(again, n=300, wrong_labels=20)
    assert (again / "0" / "mine.jpg").read_bytes() == b"the user's own", "what stands is left as it is"
    with pytest.raises(DatasetError, match="seed 42"):
        shoebox.demo.write(again, n=300, seed=2)


def test_a_folder_that_is_not_the_demo_is_never_written_into(tmp_path):
    with pytest.raises(DatasetError, match="does not exist yet"):
        shoebox.demo.write(folders(tmp_path / "mine", {"a": 1}))
    with pytest.raises(DatasetError, match="not written by"):
        shoebox.demo.planted(tmp_path / "mine")


def test_collecting_copies_and_can_be_repeated(tmp_path):
    found = folders(tmp_path / "found", {CYRILLIC: 3, AWKWARD: 2})
    (found / AWKWARD / "broken.jpg").touch()
    before = hashes(found)
    ds, report = shoebox.collect_folder(found, tmp_path / "mine")
    assert (report.added, report.already_there, report.skipped) == (6, 0, ())
    assert hashes(found) == before == hashes(tmp_path / "mine")
    assert ds.classes == tuple(sorted((CYRILLIC, AWKWARD))) and [s.cause for s in ds.report.skipped] == ["empty"]
    save(found / CYRILLIC / "new.jpg", draw(50))
    save(tmp_path / "mine" / AWKWARD / "picture-000.jpg", draw(51))
    _, report = shoebox.collect_folder(found, tmp_path / "mine")
    assert (report.added, report.already_there) == (1, 5)
    assert "other content" in report.skipped[0].sentence
    assert sha256_file(tmp_path / "mine" / AWKWARD / "picture-000.jpg") != before[f"{AWKWARD}/picture-000.jpg"]


def test_a_class_folder_without_a_file_is_named(tmp_path):
    (tmp_path / "found" / "empty").mkdir(parents=True)
    save(tmp_path / "found" / "teddy" / "a.jpg", draw(1))
    _, report = shoebox.collect_folder(tmp_path / "found", tmp_path / "mine")
    assert report.empty == ("empty",)
    assert str(report).splitlines() == ["1 file copied, 0 were there already, 0 left out.",
                                        "  nothing in the folder 'empty': no class of that name was made"]


def test_collecting_into_itself_or_from_nowhere_is_refused(tmp_path):
    found = folders(tmp_path / "found", {"a": 1})
    for source, target in ((found, found), (found, found / "in"), (found / "a", found), (tmp_path / "no", found)):
        with pytest.raises(DatasetError):
            shoebox.collect_folder(source, target)


def test_collecting_again_leaves_mended_labels_and_removed_pictures_as_they_are(tmp_path):
    """Shipped bug: a second collect copied relabelled pictures back into their old class, and removed ones too."""
    found = folders(tmp_path / "found", {"a": 4, "b": 4})
    ds, _ = shoebox.collect_folder(found, tmp_path / "mine")
    ds.decide("a/picture-000.jpg", "relabel", "b")
    ds.decide("a/picture-001.jpg", "remove")
    ds.apply()
    before = hashes(tmp_path / "mine")
    ds, report = shoebox.collect_folder(found, tmp_path / "mine")
    assert (report.added, report.already_there) == (0, 8) and hashes(tmp_path / "mine") == before


def test_collecting_keeps_a_train_and_valid_layout(tmp_path):
    """Shipped bug: train/cat/0.jpg was copied to cat/cat/0.jpg, and its namesake in valid/ was left out."""
    folders(tmp_path / "found" / "train", {"cat": 3, "dog": 3})
    save(tmp_path / "found" / "valid" / "cat" / "picture-000.jpg", draw(90))
    ds, report = shoebox.collect_folder(tmp_path / "found", tmp_path / "mine")
    assert report.added == 7 and ds.classes == ("cat", "dog")
    assert ds.record("valid/cat/picture-000.jpg").side == "valid"


def test_a_long_list_of_left_out_files_says_that_it_goes_on(tmp_path):
    found = folders(tmp_path / "found", {"a": 2})
    for number in range(15):
        save(found / f"stray-{number}.jpg", draw(number))
    _, report = shoebox.collect_folder(found, tmp_path / "mine")
    assert len(report.skipped) == 15 and "and 5 more" in str(report)
