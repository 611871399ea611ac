"""Two people review copies of one data set, and one takes in what the other decided."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoebox.data import Dataset
from tests._memory import memory_folder
from tests._pictures import CYRILLIC, folders

OPINIONS = st.sampled_from([("keep", None), ("remove", None), ("unsure", None), ("relabel", "grizzly"),
                            ("relabel", CYRILLIC)])
REVIEWS = st.dictionaries(st.integers(0, 5), OPINIONS, max_size=6)


@pytest.fixture(scope="module")
def two():
    with memory_folder() as folder:
        mine = Dataset(folders(folder / "mine", {"black": 6}, size=(16, 12)))
        shutil.copytree(mine.root, folder / "theirs", ignore=shutil.ignore_patterns(".shoebox"))
        for number in (1, 4):
            place = folder / "theirs" / "black"
            (place / f"picture-00{number}.jpg").rename(place / f"renamed-{number}.jpg")
        yield mine, Dataset(folder / "theirs"), folder


@given(REVIEWS, REVIEWS, st.sampled_from(["csv", "jsonl"]))
@settings(max_examples=100, deadline=None)
def test_a_merge_takes_what_is_new_and_never_overwrites(two, my_review, their_review, suffix):
    mine, theirs, folder = two
    for ds, review in ((mine, my_review), (theirs, their_review)):
        while ds.undo_decision():
            pass
        paths = sorted((record.path for record in ds.images), key=lambda path: path[-5])
        for number, (kind, label) in review.items():
            ds.decide(paths[number], kind, label)
    report = mine.import_decisions(theirs.export_decisions(folder / f"decisions.{suffix}"))
    both = my_review.keys() & their_review.keys()
    same = sum(my_review[number] == their_review[number] for number in both)
    assert (report.added, report.same, len(report.conflicts)) == (len(their_review) - len(both), same, len(both) - same)
    merged = {int(path[-5]): (decision.kind, decision.label) for path, decision in mine.decisions.items()}
    assert merged == their_review | my_review
    assert mine.import_decisions(folder / f"decisions.{suffix}").added == 0
