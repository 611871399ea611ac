"""Names that must stay inside, classes that look alike, plans that collide, chains that lead back."""

from __future__ import annotations

import os
import random
import shutil
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoebox.data import Dataset, ImageRecord, sha256_file
from shoebox.data._apply import make_plan, run_apply
from shoebox.data._catalog import Catalog
from shoebox.data._decisions import Decision
from shoebox.errors import DatasetError
from tests._memory import memory_folder
from tests._pictures import CYRILLIC, draw, folders, save

RESERVED = ("con", "PRN", "aux", "Nul", "com1", "COM9", "lpt1", "LPT9", "con.txt", "Aux.jpg", "nul.tar.gz", "CONIN$",
            "con .txt", "COM¹")
BAD_NAMES = ("", " ", "   ", ".", "..", "/", "\\", "a/b", "a\\b", "../x", "../../etc", "/etc", "..\\x", "C:\\x", "./a",
             "a/..", "a/../../b", ".shoebox", ".hidden", "..a", "...", "x.", "x ", "x. ", "x .", "a..", "б.", "б ",
             *(f"x{chr(code)}y" for code in (0, 1, 7, 8, 9, 10, 13, 27, 31, 127, 128, 159)), "\n", "\ud800", "a\udcff",
             "x" * 256, "Б" * 128, "界" * 86, *RESERVED)
PAIRS = [(one, unicodedata.normalize("NFD", one)) for one in
         ("Йод", "ёж", "Ёлка", "й", "Ќ", "ў", "Їжак", "Café", "Ångström", "Über", "ñandú", "한국", "がぎ", "ệ",
          "Ǖ")] + [
         (one, two) for one, two in (
             ("Bear", "bear"), ("BEAR", "bear"), ("Медведь", "медведь"), ("МЕДВЕДЬ", "Медведь"), ("Straße", "STRASSE"),
             ("Ёж", "ёж"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("É", unicodedata.normalize("NFD", "é")), ("Й", "и\u0306"),
             ("ﬁsh", "FISH"), ("ǅ", "ǆ"), ("Ӂ", "ӂ"), ("Ґава", "ґава"), ("İ", "i\u0307"), ("Ärger", "a\u0308RGER"))]


@pytest.fixture
def tmp_path():
    with memory_folder() as folder:
        yield folder


def tree(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*")
            if path.is_file() and ".shoebox" not in path.parts}


def test_sixty_names_never_leave_the_data_set(tmp_path):
    assert len(set(BAD_NAMES)) >= 60
    root = folders(tmp_path / "in" / "bears", {"black": 2, "grizzly": 2})
    ds = Dataset(root)
    for name in BAD_NAMES:
        with pytest.raises(DatasetError, match="Choose another name"):
            ds.decide("black/picture-000.jpg", "relabel", name)
    assert not ds.decisions and not ds.plan().moves
    assert {path.name for path in tmp_path.rglob("*") if path.is_dir() and root not in path.parents} == {"in", "bears"}


@pytest.mark.parametrize("layout", ["class", "file", "loop", "catalog", "trash", "thumbnails", "new class", "swapped"])
def test_links_are_never_followed_out_of_the_data_set(tmp_path, layout):
    root, outside = folders(tmp_path / "bears", {"black": 3, "grizzly": 3}), tmp_path / "outside"
    save(outside / "secret.png", draw(900))
    before = tree(outside)
    link, target = {"class": ("polar", outside), "file": ("black/x.png", outside / "secret.png"),
                    "loop": ("black/loop", root), "catalog": (".shoebox", outside),
                    "trash": (".shoebox/trash", outside),
                    "thumbnails": (".shoebox/thumbnails.sqlite", outside / "secret.png"),
                    "new class": ("polar", outside), "swapped": ("grizzly", outside)}[layout]
    if layout in ("trash", "thumbnails"):
        (root / ".shoebox").mkdir()
    if layout == "swapped":
        ds = Dataset(root)
        ds.decide("black/picture-000.jpg", "relabel", "grizzly")
        ds.decide("grizzly/picture-000.jpg", "remove")
        shutil.move(root / "grizzly", tmp_path / "kept")
    (root / link).symlink_to(target)
    if layout in ("catalog", "trash", "thumbnails"):
        with pytest.raises(DatasetError, match="symbolic link"):
            Dataset(root)
    else:
        ds = ds if layout == "swapped" else Dataset(root)
        assert all(".shoebox" not in record.path and "secret" not in record.path for record in ds.images)
        ds.decide("black/picture-001.jpg", "relabel", "polar")
        ds.decide("black/picture-002.jpg", "remove")
        result = ds.apply()
        assert (root / ".shoebox/trash/black/picture-002.jpg").is_file()
        told = layout in ("class", "new class", "swapped")
        assert bool(result.failed) == told and all("symbolic link" in item.sentence for item in result.failed)
    assert tree(outside) == before


@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_folders_that_differ_in_case_or_composition_are_one_class(tmp_path, one, two):
    for number, folder in enumerate((one, one, two, "other")):
        save(tmp_path / folder / f"{number}.png", draw(number, (16, 12)))
    ds = Dataset(tmp_path)
    assert set(ds.classes) == {unicodedata.normalize("NFC", one), "other"}, "spelled as most files have it"
    assert any(repr(one) in warning and repr(two) in warning for warning in ds.report.warnings)
    ds.decide("other/3.png", "relabel", unicodedata.normalize("NFC", two))
    assert ds.decisions["other/3.png"].label == unicodedata.normalize("NFC", one)
    ds.apply()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".shoebox") == sorted((one, two, "other"))
    assert set(Dataset(tmp_path).classes) == {unicodedata.normalize("NFC", one)}


def test_there_are_thirty_pairs():
    assert len(set(PAIRS)) == 30


def test_a_class_goes_to_its_folder_whatever_the_case_and_odd_folders_are_named(tmp_path):
    root = folders(tmp_path / "bears", {"black": 2, "con": 1, "a ": 1})
    (root / "Polar").mkdir()
    ds = Dataset(root)
    for folder in ("con", "a "):
        assert any(f"{folder!r} does not work" in warning for warning in ds.report.warnings)
    ds.decide("black/picture-000.jpg", "relabel", "polar")
    assert ds.plan().moves[0].target == "Polar/picture-000.jpg", "an empty folder that is there"


def test_a_class_that_gets_another_spelling_keeps_one_name(tmp_path):
    save(tmp_path / "bear" / "a.png", draw(1))
    assert Dataset(tmp_path).classes == ("bear",)
    for number in range(3):
        save(tmp_path / "Bear" / f"{number}.png", draw(2 + number))
    assert Dataset(tmp_path).classes == ("Bear",), "pictures that were not read again too"


NAMES = st.sampled_from(["a.png", "A.png", "a (2).png", "é.png", "e\u0301.png", "É.png", "Б" * 123 + ".png", "x.PNG",
                         "x"])
CLASSES = st.sampled_from(["black", "Black", "new", "New", "Йод", unicodedata.normalize("NFD", "йод"), CYRILLIC])
WISHES = st.one_of(st.just(("remove", None)), CLASSES.map(lambda label: ("relabel", label)))


@given(st.dictionaries(st.tuples(CLASSES, NAMES), st.one_of(st.none(), WISHES), min_size=1, max_size=7))
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_thousand_plans_lose_and_overwrite_nothing(tmp_path, wishes):
    root = tmp_path / "plan"
    shutil.rmtree(root, ignore_errors=True)
    catalog = Catalog(tmp_path / "catalog" / "catalog.sqlite")
    images, decisions = {}, {}
    for seq, ((folder, name), wish) in enumerate(wishes.items(), start=1):
        file = root / folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{seq}")
        path, image_id = f"{folder}/{name}", sha256_file(file)
        label = unicodedata.normalize("NFC", folder)
        images[path] = ImageRecord(path, image_id, label, "train", "", 1, 1, 1, 0, "PNG")
        if wish is not None:
            decisions[path] = Decision(seq, path, image_id, *wish, "", "", "")
    before, where = Counter(r.image_id for r in images.values()), tree(root)
    plan = make_plan(root, images, decisions)
    targets = [unicodedata.normalize("NFC", move.target).casefold() for move in plan.moves]
    assert len(targets) == len(set(targets)) and not plan.stale
    apply = catalog.begin_apply(plan.moves, at="")
    assert run_apply(root, catalog, apply, at="").moved == len(plan.moves)
    assert Counter(sha256_file(path) for path in root.rglob("*") if path.is_file()) == before
    undone = run_apply(root, catalog, replace(apply, state="undoing"), at="")
    assert undone.moved == len(plan.moves) and tree(root) == where


def test_two_hundred_random_chains_lead_back(tmp_path):
    """Each chain ends with as many undos as it has applies, and the tree is what it was, byte for byte."""
    root, rng = folders(tmp_path / "bears", {"black": 4, "grizzly": 3, CYRILLIC: 2}, size=(16, 12)), random.Random(0)
    ds, before = Dataset(root), tree(root)
    for _ in range(200):
        depth = 0
        for _ in range(rng.randint(1, 4)):
            if depth and rng.random() < 0.3:
                ds.undo_apply()
                depth -= 1
                continue
            if ds.trash() and rng.random() < 0.3:
                depth += bool(ds.restore().moved)
                continue
            for record in rng.sample(ds.images, min(3, len(ds.images))):
                ds.decide(record.path, *rng.choice((("remove",), ("relabel", "grizzly"), ("relabel", "polar"))))
            depth += bool(ds.apply().moved)
        for _ in range(depth):
            assert not ds.undo_apply().failed
        assert tree(root) == before
        while ds.undo_decision():
            pass


def test_restored_names_that_differ_in_case_never_meet(tmp_path):
    """Shipped bug: two files of the trash were planned as `a.png` and `A.png` into one folder."""
    root = folders(tmp_path / "bears", {"black": 1})
    save(root / "black" / "a.png", draw(50))
    ds = Dataset(root)
    ds.decide("black/a.png", "remove")
    ds.apply()
    save(root / "black" / "A.png", draw(51))
    ds.scan()
    ds.decide("black/A.png", "remove")
    ds.apply()
    assert ds.restore().moved == 2
    names = [record.path.casefold() for record in ds.images]
    assert len(names) == len(set(names)) == 3


def test_another_notebooks_apply_is_told_and_not_done_twice(tmp_path):
    root = folders(tmp_path / "bears", {"black": 4, "grizzly": 2})
    mine, theirs = Dataset(root), Dataset(root)
    mine.decide("black/picture-000.jpg", "relabel", "grizzly")
    mine.decide("black/picture-001.jpg", "remove")
    plan = theirs.plan()
    assert mine.apply().moved == 2 and mine.moved_elsewhere == 0 and theirs.moved_elsewhere == 2
    with pytest.raises(DatasetError, match=r"2 files were changed on disk by another notebook\. Scan again"):
        theirs.decide("black/picture-001.jpg", "keep")
    theirs.decide("black/picture-002.jpg", "remove")
    result = theirs.apply(plan)
    assert result.moved == 0 and len(result.failed) == 2 and "since the plan was made" in str(result)
    result = theirs.apply()
    assert result.moved == 1 and theirs.moved_elsewhere == 0 and "Scan again" in str(result)


def test_what_a_crash_cut_short_is_finished_before_an_open_notebook_moves_anything(tmp_path):
    """Shipped bug: a notebook that was open already moved half-moved pictures again, to a second name."""
    root = folders(tmp_path / "bears", {"black": 2, "grizzly": 2})
    ds = Dataset(root)
    ds.decide("black/picture-000.jpg", "relabel", "grizzly")
    everything = sorted(tree(root).values())
    move = ds.plan().moves[0]
    ds._catalog.begin_apply([move], at="")
    os.link(root / move.path, root / move.target)  # here the other process died
    assert ds.apply().moved == 0
    assert sorted(tree(root).values()) == everything and (root / move.target).is_file()


def test_a_full_disk_is_refused_before_anything_moves(tmp_path, monkeypatch):
    root = folders(tmp_path / "bears", {"black": 2, "grizzly": 2})
    ds = Dataset(root)
    ds.decide("black/picture-000.jpg", "remove")
    before, usage = tree(root), shutil.disk_usage(root)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(DatasetError, match="Nothing was moved"):
        ds.apply()
    assert tree(root) == before and not ds._catalog.applies("todo", "done") and len(ds.decisions) == 1


def test_a_folder_where_nothing_may_be_written_is_told(tmp_path):
    root = folders(tmp_path / "bears", {"black": 2, "grizzly": 2})
    (root / "polar").write_text("a file where the class should stand")
    ds = Dataset(root)
    ds.decide("black/picture-000.jpg", "relabel", "polar")
    ds.decide("black/picture-001.jpg", "remove")
    result = ds.apply()
    assert result.moved == 1 and "polar" in result.failed[0].sentence and set(ds.decisions) == {"black/picture-000.jpg"}
    assert Path(root / "black/picture-000.jpg").is_file()


@pytest.mark.parametrize("name", ["x" * 251 + ".jpg", "ж" * 125 + "x.jpg", "界" * 83 + "xx.jpg"])
def test_the_longest_name_that_meets_its_equal_is_cut_and_comes_back_whole(tmp_path, name):
    """A number behind a name of 255 bytes would make one that no file system takes."""
    assert len(os.fsencode(name)) == 255
    root = folders(tmp_path / "bears", {"black": 1, "grizzly": 1})
    for number, label in enumerate(("black", "grizzly")):
        save(root / label / name, draw(60 + number))
    ds, before = Dataset(root), tree(root)
    ds.decide(f"black/{name}", "relabel", "grizzly")
    result = ds.apply()
    assert result.moved == 1 and not result.failed
    moved = next(path for path in tree(root) if tree(root)[path] == before[f"black/{name}"]).rpartition("/")[2]
    assert moved.endswith(" (2).jpg") and moved[:60] == name[:60] and 250 <= len(os.fsencode(moved)) <= 255
    assert tree(root)[f"grizzly/{name}"] == before[f"grizzly/{name}"]
    ds.decide(f"grizzly/{name}", "remove")
    assert ds.apply().moved == 1 and ds.restore().moved == 1 and f"grizzly/{name}" in tree(root)
    for _ in range(3):
        assert not ds.undo_apply().failed
    assert tree(root) == before
