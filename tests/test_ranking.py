"""`shoebox.rank` on real pictures before any training: one list of everything that may be wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

import shoebox
from shoebox.data import Dataset, Predictions
from shoebox.errors import PredictionsError
from shoebox.quality import Thresholds
from shoebox.types import Issue
from shoebox.widgets import Cleaner
from tests._pictures import AWKWARD, CYRILLIC, draw, folders, save

CLASSES = {"red": 20, CYRILLIC: 20, AWKWARD: 20}


def plant(root):
    """One of every fault, each in a file that tells which."""
    picture = Image.open(root / "red" / "picture-003.jpg")
    shutil.copy(root / "red" / "picture-001.jpg", root / "red" / "same-file.jpg")
    shutil.copy(root / CYRILLIC / "picture-002.jpg", root / "red" / "two-labels.jpg")
    save(root / "red" / "repeated.jpg", ImageEnhance.Brightness(picture).enhance(0.95), quality=70)
    shutil.move(root / "red" / "picture-004.jpg", root / AWKWARD / "wrong-label.jpg")
    save(root / "red" / "dark.jpg", ImageEnhance.Brightness(draw(201)).enhance(0.2), quality=95)
    save(root / "red" / "light.jpg", Image.fromarray(np.full((48, 64, 3), 254, np.uint8) - draw(202).size[0] % 2))
    save(root / "red" / "blurry.jpg", draw(203).filter(ImageFilter.GaussianBlur(12)))
    save(root / "red" / "wide.jpg", draw(204, (300, 48)))
    save(root / "red" / "tiny.jpg", draw(205, (28, 20)))
    save(root / "red" / "huge.jpg", draw(206, (640, 480)))
    (root / CYRILLIC / "broken.jpg").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="module")
def ds(tmp_path_factory):
    return Dataset(plant(folders(tmp_path_factory.mktemp("ranking") / "pictures", CLASSES)))


@pytest.fixture(scope="module")
def ranking(ds):
    return shoebox.rank(ds)


def kinds_of(ranking, name):
    return {issue.kind for issue in ranking if issue.path.endswith(name)}


@pytest.mark.parametrize(("name", "kind"), [
    ("same-file.jpg", "near_duplicate"), ("two-labels.jpg", "conflict"), ("repeated.jpg", "near_duplicate"),
    ("dark.jpg", "dark"), ("light.jpg", "light"), ("light.jpg", "low_information"), ("blurry.jpg", "blurry"),
    ("wide.jpg", "odd_aspect"), ("tiny.jpg", "tiny"), ("huge.jpg", "odd_size"), ("broken.jpg", "unreadable"),
])
def test_every_kind_of_fault_is_in_the_list(ranking, name, kind):
    assert kind in kinds_of(ranking, name)


def test_every_picture_is_in_it_and_what_misleads_comes_first(ds, ranking):
    assert {i.path for i in ranking.only(kind="label")} == {r.path for r in ds.images}
    assert all(0 <= issue.score <= 1 and issue.reason for issue in ranking)
    assert f"{AWKWARD}/wrong-label.jpg" in {issue.path for issue in ranking[:5]}
    parts = [1 if i.kind in ("label", "conflict", "outlier") and i.score < 0.5 else 3 if i.kind == "label" else 2
             for i in ranking]
    assert parts == sorted(parts)
    for part in (1, 2, 3):
        scores = [issue.score for issue, place in zip(ranking, parts, strict=True) if place == part]
        assert scores == sorted(scores)


def test_an_issue_shows_what_to_compare_with(ds, ranking):
    wrong = next(i for i in ranking.only(kind="label") if i.path.endswith("wrong-label.jpg"))
    assert wrong.suggested_label == "red" and len(wrong.evidence) == 3
    assert {ds.record(path).label for path in wrong.evidence} == {"red"} and wrong.path not in wrong.evidence
    conflict = next(i for i in ranking.only(kind="conflict") if i.path.endswith("two-labels.jpg"))
    assert conflict.evidence[0] == f"{CYRILLIC}/picture-002.jpg" and conflict.suggested_label == CYRILLIC
    assert "The same file stands under" in conflict.reason
    same = next(i for i in ranking.only(kind="near_duplicate") if i.path.endswith("same-file.jpg"))
    assert (same.evidence, same.score) == (("red/picture-001.jpg",), 0.0)
    broken, = ranking.only(kind="unreadable")
    assert (broken.score, broken.side, broken.image_id, broken.given_label) == (0.0, None, "", CYRILLIC)
    dark = next(i for i in ranking.only(kind="dark"))
    assert "listed below 0.32" in dark.reason and dark.score < 0.5


def test_filters_by_kind_class_and_side_and_one_row_per_picture(ds, ranking):
    valid = ranking.only(label=CYRILLIC, side="valid")
    assert valid and all((i.given_label, i.side) == (CYRILLIC, "valid") for i in valid)
    assert len(ranking.only(kind="label", side="train")) == sum(r.side == "train" for r in ds.images)
    paths = [issue.path for issue in ranking.pictures()]
    assert sorted(paths) == sorted(r.path for r in ds.images) and paths[0] == ranking[0].path
    assert ranking.only(kind="label").lanes == ranking.lanes and ranking[:3].classes == ranking.classes
    assert ranking.counts()["unreadable"] == 1 and ranking.counts()["label"] < 10


def test_a_kind_that_is_not_there_is_refused_and_other_kinds_are_counted_as_such(ranking):
    with pytest.raises(PredictionsError, match="no kind 'outliers' of issue; there are label, "):
        ranking.only(kind="outliers")
    others = ranking.only(kind="unreadable")
    assert len(others) > 0 and repr(others).startswith(f"Ranking({len(others)} issues, none of them about labels)")


def test_a_table_has_a_row_per_issue(ranking):
    frame = ranking.to_frame()
    assert len(frame) == len(ranking) and list(frame.path) == [issue.path for issue in ranking]
    assert frame[frame.kind == "conflict"].evidence.map(len).min() >= 1
    assert set(frame.columns) >= {"score", "given_label", "suggested_label", "side", "reason"}


def test_the_ranking_says_which_lanes_it_used_and_why(ranking):
    assert [lane.used for lane in ranking.lanes] == [True, False]
    assert "used: neighbours and regression (on outlines and colours" in repr(ranking)
    assert "not used: training (nothing was trained on this data set yet" in repr(ranking)
    assert "&lt;b&gt;" in ranking._repr_html_() and "<b>" not in ranking._repr_html_()


def test_two_calls_give_the_same_and_a_new_process_needs_no_torch_and_fits_nothing(ds, ranking):
    again = shoebox.rank(Dataset(ds.root))
    assert list(again) == list(ranking)
    code = (f"import shoebox, sys; r = shoebox.rank(shoebox.Dataset({str(ds.root)!r}));"
            "print(*(m for m in ('torch', 'fastai', 'sklearn') if m in sys.modules)); print(len(r), r[0].score)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["", f"{len(ranking)} {ranking[0].score}"], done.stdout


def test_features_are_computed_once_per_picture(tmp_path, monkeypatch):
    root = folders(tmp_path / "few", {"a": 6, "b": 6})
    counted = []

    def counting(images):
        counted.append(len(images))
        return outlines(images)

    from shoebox.studio import outlines

    monkeypatch.setattr("shoebox.studio.outlines", counting)
    first = shoebox.rank(Dataset(root))
    shoebox.rank(Dataset(root))
    assert counted == [12]
    save(root / "a" / "new.jpg", draw(300))
    shutil.copy(root / "a" / "new.jpg", root / "a" / "again.jpg")
    shoebox.rank(Dataset(root))
    assert counted == [12, 1], "one for the new bytes, none for their copy"
    for file in (root / ".shoebox" / "features").rglob("*.npz"):
        file.write_bytes(file.read_bytes()[:200])
    (root / ".shoebox" / "predictions-regression.npz").write_bytes(b"damaged")
    (root / "a" / "new.jpg").unlink()
    (root / "a" / "again.jpg").unlink()
    assert list(shoebox.rank(Dataset(root))) == list(first) and sum(counted) == 25, "damaged ones are computed again"


def test_an_interrupted_computation_goes_on_where_it_stopped(tmp_path):
    from shoebox.data import kept_features

    ids, asked = [f"{number:064x}" for number in range(600)], []

    def compute(places, *, stop=None):
        if stop is not None and places[0] >= stop:
            raise KeyboardInterrupt
        asked.extend(places)
        return np.full((len(places), 3), places[0] % 7, np.float32)

    with pytest.raises(KeyboardInterrupt):
        kept_features(tmp_path, "one", ids, lambda places: compute(places, stop=512))
    told = []
    kept = kept_features(tmp_path, "one", ids, compute, progress=lambda *step: told.append(step))
    assert kept.shape == (600, 3) and sorted(asked) == list(range(600)) and told == [(88, 88)]
    assert (kept_features(tmp_path, "one", ids[::-1], None) == kept[::-1]).all()


def test_a_sealed_test_is_left_out(tmp_path):
    ds = Dataset(folders(tmp_path / "sealed", {"a": 30, "b": 30}), test_pct=0.3)
    test = {r.path for r in ds.images if r.side == "test"}
    ranking = shoebox.rank(ds)
    assert test and not test & {i.path for i in ranking}
    assert not test & {path for issue in ranking for path in issue.evidence}


@pytest.mark.parametrize("classes", [{"many": 40, "few": 5}, {"a": 1, "b": 1}, {"a": 9, "b": 1, "c": 2}])
def test_small_and_lopsided_data_sets_are_ranked(tmp_path, classes):
    ranking = shoebox.rank(Dataset(folders(tmp_path / "d", classes)))
    assert len(ranking.only(kind="label")) == sum(classes.values())
    if 1 in classes.values():
        alone = [i for i in ranking.only(kind="label") if classes[i.given_label] == 1]
        believed = [i.score for i in ranking.only(kind="label") if i.score >= 0.5]
        assert {i.score for i in alone} == {min(believed)}, "nothing can vouch for it, and nothing speaks against it"


def test_one_class_and_nothing_get_a_sentence(tmp_path):
    with pytest.raises(PredictionsError, match="4 pictures of 1 class"):
        shoebox.rank(Dataset(folders(tmp_path / "one", {"a": 4})))
    (tmp_path / "none").mkdir()
    with pytest.raises(PredictionsError, match="0 pictures of 0 class"):
        shoebox.rank(Dataset(tmp_path / "none"))


def test_a_training_that_no_longer_fits_is_left_out_with_its_reason(tmp_path):
    ds = Dataset(folders(tmp_path / "d", {"a": 9, "b": 9}))
    before = list(shoebox.rank(ds))
    paths, ids = zip(*((r.path, r.image_id) for r in ds.images), strict=True)
    half = np.full((18, 2), 0.5, np.float32)
    ds.save_predictions(Predictions(paths, ids, np.zeros(18, np.int64), half, ("a", "polar"), ("recorder",) * 18))
    ranking = shoebox.rank(ds)
    assert list(ranking) == before and "knew ['a', 'polar'], the data set now has ['a', 'b']" in repr(ranking)
    ds.save_predictions(Predictions(paths, ids, np.zeros(18, np.int64), half, ("b", "a"), ("recorder",) * 18))
    assert "  used: recorder (for 18 of 18 pictures" in repr(shoebox.rank(ds)), "classes in another order do fit"
    (ds.root / ".shoebox" / "predictions-ranking.npz").write_bytes(b"damaged")
    assert list(shoebox.rank(ds)) == before


def told(ds, classes, origins, sure=0.5):
    """Save what a training said: even probabilities, or `sure` of the given label."""
    n = len(ds.images)
    labels = np.asarray([classes.index(r.label) for r in ds.images])
    rows = np.full((n, len(classes)), (1 - sure) / (len(classes) - 1), np.float32)
    rows[np.arange(n), labels] = sure
    ids = tuple(r.image_id for r in ds.images)
    ds.save_predictions(Predictions(tuple(r.path for r in ds.images), ids, labels, rows, tuple(classes), origins))


def test_classes_that_only_the_training_knew_are_named(tmp_path):
    """Shipped bug: they were dropped, and what was left stretched to 1, without a word."""
    ds = Dataset(folders(tmp_path / "d", {"a": 9, "b": 9}))
    told(ds, ("a", AWKWARD, "b", "polar"), ("recorder",) * 18, sure=0.9)
    lane = shoebox.rank(ds).lanes[1]
    assert lane.used and f"it also knew {AWKWARD!r}, 'polar', of which there is no picture here, left out" in str(lane)
    told(ds, ("a", "b"), ("recorder",) * 18)
    assert "also knew" not in repr(shoebox.rank(ds))


def test_a_training_without_any_weight_is_not_used(tmp_path):
    ds = Dataset(folders(tmp_path / "d", {"a": 30, "b": 30}))
    before = shoebox.rank(ds)
    told(ds, ("a", "b"), ("held_out",) * 60, sure=0.01)
    ranking = shoebox.rank(ds)
    lane = ranking.lanes[1]
    assert str(lane).startswith("not used: held-out predictions (for 60 of 60 pictures, with a weight of 0%")
    assert not [issue for issue in ranking if "training recorded" in issue.reason]
    assert [(i.path, i.kind) for i in ranking] == [(i.path, i.kind) for i in before]
    told(ds, ("a", "b"), ("held_out",) * 60, sure=0.99)
    assert str(shoebox.rank(ds).lanes[1]).startswith("used: held-out predictions (for 60 of 60 pictures, with a weight")


def test_a_handful_of_held_out_predictions_is_not_used_and_that_is_said(tmp_path):
    ds = Dataset(folders(tmp_path / "d", {"a": 9, "b": 9}))
    told(ds, ("a", "b"), ("held_out",) * 18, sure=0.9)
    lane = shoebox.rank(ds).lanes[1]
    assert str(lane).startswith("not used: held-out predictions (for 18 of 18 pictures, too few held-out ones")
    told(ds, ("a", "b"), ("held_out",) * 4 + ("recorder",) * 14, sure=0.9)
    assert str(shoebox.rank(ds).lanes[1]).startswith("used: recorder (for 14 of 18 pictures, with a weight of 25%")


def test_thresholds_can_be_moved(ds):
    none = shoebox.rank(ds, thresholds=Thresholds(0, 0, 0, 0, 0, 0, float("inf"), float("inf")))
    assert set(none.counts()) <= {"label", "conflict", "near_duplicate", "unreadable"}
    assert len(shoebox.rank(ds, thresholds=Thresholds(dark=1.1)).only(kind="dark")) == len(ds.images)


def test_the_cleaner_shows_each_picture_once(ds, ranking):
    cleaner = Cleaner(ds, ranking)
    assert cleaner.notice == "" and len(cleaner.fns) == len(set(cleaner.fns)) == len(ds.images)
    assert cleaner.fns == [ds.root / issue.path for issue in ranking.pictures()]
    assert cleaner.snapshot["counts"]["gone"] == 0


def test_the_demo_s_first_fifty_are_planted(tmp_path):
    root = shoebox.demo.write(tmp_path / "demo", n=900, wrong_labels=62)
    faults = shoebox.demo.planted(root)
    wrong = faults.wrong_labels.keys() | set(faults.photographs) | faults.near_duplicates.keys()
    ranking = shoebox.rank(Dataset(root))
    assert sum(issue.path in wrong for issue in ranking.pictures()[:50]) >= 45
    assert {i.path for i in ranking.only(kind="unreadable")} == set(faults.unreadable)
    assert {i.path for i in ranking.only(kind="outlier")} >= set(faults.photographs)


def test_issues_are_plain_records():
    issue = Issue("a/1.jpg", "x", "label", 0.1, "a", "b", 0.1, 0.8, "why")
    assert (issue.side, issue.evidence) == ("train", ())


def test_a_crop_that_hashes_do_not_see_is_listed_apart(tmp_path):
    from tests.test_groups_and_split import photos

    crops = photos()
    for number, photo in enumerate(crops[:20] + crops[36:56]):
        save(tmp_path / ("china" if number < 20 else "flower") / f"{number}.png", photo)
    photo = crops[39]
    smaller = photo.crop((10, 10, photo.width - 10, photo.height - 10))
    save(tmp_path / "china" / "crop.png", smaller)
    ds = Dataset(tmp_path)
    assert ds.record("china/crop.png").group_id != ds.record("flower/23.png").group_id, "a crop for the hashes, no copy"
    found = [issue for issue in shoebox.rank(ds).only(kind="near_duplicate") if "crop of" in issue.reason]
    assert [(issue.path, issue.evidence) for issue in found] == [("china/crop.png", ("flower/23.png",))]
    assert 0 <= found[0].score <= 0.5 and "stands under 'flower'" in found[0].reason
    off = shoebox.rank(ds, thresholds=Thresholds(similar=2))
    assert not [issue for issue in off if "crop of" in issue.reason]
