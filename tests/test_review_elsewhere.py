"""Files that somebody else's apply or undo has moved: counts, plans and what can be taken back are those of now."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from shoebox.data import Dataset
from shoebox.review import Review
from shoebox.types import Issue
from shoebox.widgets.cleaner import Cleaner
from tests._pictures import folders


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Dataset(folders(tmp_path / "data", {"black": 4, "grizzly": 4})).root


def ranking(ds: Dataset) -> list[Issue]:
    return [Issue(r.path, r.image_id, "label", place / 20, r.label, "grizzly", .1, .8, "like grizzly", r.side)
            for place, r in enumerate(ds.images)]


def cleaner(root: Path) -> Cleaner:
    ds = Dataset(root)
    return Cleaner(ds, ranking(ds))


def sizes(shown: dict | None) -> list[tuple[str, int, int]]:
    assert shown is not None
    return [(row["label"], row["before"], row["after"]) for row in shown["classes"]]


def ask(one: Cleaner, kind: str, **fields: object) -> dict:
    return one._desk.answer({"kind": kind, "id": uuid.uuid4().hex, **fields})[0]


def test_an_apply_and_its_undo_elsewhere_are_taken_in(root: Path) -> None:
    ds = Dataset(root)
    mine, theirs = Review(ds, ranking(ds)), cleaner(root)
    paths = [issue.path for issue in mine.issues[:3]]
    mine.decide(paths, "remove")
    theirs.decide("grizzly/" + sorted(path.name for path in (root / "grizzly").iterdir())[-1], "keep")
    assert mine.apply().moved == 3
    theirs._catch_up()
    counts = theirs.snapshot["counts"]
    assert (counts["total"], counts["remove"], counts["keep"], theirs.notice) == (5, 0, 1, "")
    assert mine.undo_apply().moved == 3
    theirs._catch_up()
    counts = theirs.snapshot["counts"]
    assert (counts["total"], counts["remove"], theirs.notice) == (8, 3, ""), "the decisions stand again"


def test_a_plan_counts_the_files_as_they_are_after_somebody_else_s_undo(root: Path) -> None:
    mine, other = cleaner(root), Dataset(root)
    black = [record.path for record in other.images if record.label == "black"]
    mine.decide(black[0], "remove")
    mine.decide(black[1], "relabel", "grizzly")
    assert mine.apply().moved == 2
    other.scan()
    other.undo_apply()
    assert ask(mine, "plan")["ok"] is True
    assert sizes(mine.planned) == [("black", 4, 2), ("grizzly", 4, 5)]
    assert mine.result is None, "its button would take back another apply"


def test_a_plan_that_is_open_is_made_anew(root: Path) -> None:
    mine, theirs = cleaner(root), cleaner(root)
    black = [issue.path for issue in theirs._review.issues if issue.given_label == "black"]
    theirs.decide(black[0], "remove")
    ask(theirs, "plan")
    assert sizes(theirs.planned) == [("black", 4, 3)]
    mine.decide(black[1], "remove")
    assert mine.apply().moved == 2, "both decisions"
    theirs._catch_up()
    assert theirs.planned is not None and theirs.planned["total"] == 0
    assert theirs.planned["last_apply"][1] == 2, "and what was moved last can be taken back here too"
    assert theirs.undo().moved == 2


def test_where_nothing_was_moved_nothing_is_looked_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = cleaner(root)
    mine.decide(mine._review.issues[0].path, "remove")
    mine.apply()
    monkeypatch.setattr(Dataset, "scan", lambda *_, **__: pytest.fail("there is no reason to scan"))
    mine._catch_up()
    assert mine.result is not None


def test_who_takes_back_what_somebody_has_replaced_is_told_whose_stands(root: Path) -> None:
    mine, theirs = cleaner(root), cleaner(root)
    path = mine._review.issues[0].path
    assert ask(mine, "decide", path=path, decision="relabel", label="grizzly", who="Ann")["ok"] is True
    theirs._catch_up()
    assert ask(theirs, "decide", path=path, decision="remove", who="Ben",
               seen=theirs.snapshot["items"][0]["seq"])["decided"] == 1
    for kind in ("undo", "redo"):
        reply = ask(mine, kind, who="Ann")
        (row,) = reply["rows"]
        assert (row["decision"], row["who"]) == ("remove", "Ben") and row["seq"] > reply["seq"]
