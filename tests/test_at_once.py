"""Two threads, or two notebooks, that do the same thing to one data set at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from shoebox.data import Choice, ConflictError, Dataset, sha256_file
from shoebox.errors import DatasetError
from tests._pictures import folders

ROUNDS = 30
PATH = "black/picture-000.jpg"


@pytest.fixture
def root(tmp_path):
    return folders(tmp_path / "bears", {"black": 4, "grizzly": 4}, size=(16, 12))


def tree(root):
    return {p.relative_to(root).as_posix(): sha256_file(p) for p in root.glob("[!.]*/*")}


def at_once(*jobs):
    """What each gave or raised, all begun at the same moment."""
    gate = threading.Barrier(len(jobs))

    def run(job):
        gate.wait()
        try:
            return job()
        except DatasetError as error:
            return error

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


@pytest.mark.parametrize("notebooks", [1, 2])
def test_of_two_decisions_at_once_on_what_both_saw_one_stands_and_the_other_is_told(root, notebooks):
    """A second one that looked before the first one wrote must not replace it in silence."""
    both = [Dataset(root) for _ in range(notebooks)]
    one, other = both[0], both[-1]
    seen = 0
    for number in range(ROUNDS):
        kinds = ("keep", "remove") if number % 2 else ("unsure", "keep")
        answers = at_once(*(partial(ds.decide_many, [Choice(PATH, kind, seen=seen)], who=kind)
                            for ds, kind in zip((one, other), kinds, strict=True)))
        stood = one.decisions[PATH]
        won = [answer for answer in answers if not isinstance(answer, Exception)]
        told = [answer for answer in answers if isinstance(answer, ConflictError)]
        assert (len(won), len(told)) == (1, 1) and won[0][0].seq == stood.seq > seen
        assert told[0].standing[0].seq == stood.seq and other.decisions[PATH] == stood
        seen = stood.seq
    assert len(one.history(PATH)) == ROUNDS


@pytest.mark.parametrize("notebooks", [1, 2])
def test_decisions_at_once_without_a_look_are_all_on_record_in_order(root, notebooks):
    both = [Dataset(root) for _ in range(notebooks)]

    def decide(ds, who):
        return lambda: [ds.decide(PATH, kind, who=who).seq for kind in ("keep", "remove", "unsure") * (ROUNDS // 3)]

    mine, theirs = at_once(decide(both[0], "mine"), decide(both[-1], "theirs"))
    history = Dataset(root).history(PATH)
    assert sorted(mine + theirs) == [past.decision.seq for past in history] and len(set(mine + theirs)) == 2 * ROUNDS
    assert {past.decision.seq for past in history if past.decision.who == "mine"} == set(mine)
    assert both[0].decisions[PATH].seq == both[-1].decisions[PATH].seq == max(mine + theirs)


@pytest.fixture
def applied_twice(root):
    """A data set after two applies, and its files before each and after both."""
    ds = Dataset(root)
    trees = [tree(root)]
    for number in range(2):
        ds.decide(f"black/picture-00{number}.jpg", "relabel", "grizzly")
        assert ds.apply().moved == 1
        trees.append(tree(root))
    return trees


def test_an_undo_of_two_notebooks_one_after_the_other_takes_one_apply_back(root, applied_twice):
    """Shipped bug: the second one took back an apply that nobody had in view."""
    one, other = Dataset(root), Dataset(root)
    assert one.undo_apply().moved == 1 and tree(root) == applied_twice[1]
    with pytest.raises(DatasetError, match="taken back already, so nothing was moved"):
        other.undo_apply()
    assert tree(root) == applied_twice[1]
    other.scan()
    assert other.undo_apply().moved == 1 and tree(root) == applied_twice[0]
    with pytest.raises(DatasetError, match="taken back already"):
        one.undo_apply()


def test_an_undo_does_not_take_back_what_another_notebook_has_applied_since(root, applied_twice):
    one, other = Dataset(root), Dataset(root)
    other.decide("black/picture-002.jpg", "remove")
    assert other.apply().moved == 1
    with pytest.raises(DatasetError, match="Another notebook has moved files"):
        one.undo_apply()
    assert other.undo_apply().moved == 1 and tree(root) == applied_twice[2]


def test_two_undos_at_once_take_one_apply_back(root, applied_twice):
    for _ in range(5):
        answers = at_once(*(Dataset(root).undo_apply for _ in range(2)))
        told = [answer for answer in answers if isinstance(answer, DatasetError)]
        assert len(told) == 1 and ("taken back already" in str(told[0]) or "is moving files" in str(told[0]))
        assert tree(root) == applied_twice[1]
        assert Dataset(root).apply().moved == 1 and tree(root) == applied_twice[2]


def test_one_notebook_takes_back_one_apply_after_the_other(root, applied_twice):
    ds = Dataset(root)
    assert ds.undo_apply().moved == 1 and ds.undo_apply().moved == 1 and tree(root) == applied_twice[0]
