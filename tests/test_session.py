"""What the cleaner shows, as pure functions: whatever a person does, nothing is lost and nothing changes place."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoebox.data import ImageRecord, Plan
from shoebox.data._records import Move
from shoebox.review import View, page_of, snapshot, summarise
from shoebox.types import Issue

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
CLASSES = ("black", "grizzly", "Бурый медведь", '<img src=x onerror="hacked">')


@dataclass(frozen=True)
class Stands:
    kind: str
    label: str | None
    image_id: str


def issue(number, label=CLASSES[0], suggestion=CLASSES[1], side="train"):
    return Issue(f"{label}/{number:04}.jpg", f"id-{number}", "label", min(1, number / 100), label, suggestion, .1, .8,
                 f"looks like {suggestion}", side)


classes = st.sampled_from(CLASSES)
sides = st.sampled_from(["train", "valid"])
rankings = st.lists(st.tuples(classes, classes, sides), max_size=40).map(
    lambda rows: tuple(issue(number, *row) for number, row in enumerate(rows)))
kinds = st.sampled_from(["keep", "relabel", "remove", "unsure"])
deeds = st.lists(st.one_of(
    st.tuples(st.just("decide"), st.integers(0, 39), kinds, classes),
    st.tuples(st.just("undo")),
    st.tuples(st.just("change the file"), st.integers(0, 39)),
    st.tuples(st.just("lose the file"), st.integers(0, 39)),
    st.tuples(st.just("filter"), st.none() | classes, st.none() | sides,
              st.sampled_from(["all", "undecided", "decided"])),
    st.tuples(st.just("page"), st.integers(-3, 60)),
), max_size=25)


class Person:
    """Somebody who decides, takes back, filters and turns pages; and files that change behind their back."""

    def __init__(self, issues, page_size):
        self.issues, self.view = issues, View(page_size=page_size)
        self.journal, self.gone = [], set()

    def do(self, deed, *arguments):
        if deed == "filter":
            self.view = replace(self.view, **dict(zip(("label", "side", "status"), arguments, strict=True)))
        elif deed == "page":
            self.view = replace(self.view, page=arguments[0])
        elif deed == "undo" and self.journal:
            self.journal.pop()
        elif self.issues and arguments:
            self.touch(deed, self.issues[arguments[0] % len(self.issues)], *arguments[1:])

    def touch(self, deed, issue, kind="keep", label=""):
        if deed == "lose the file":
            self.gone.add(issue.path)
        elif deed == "change the file":
            self.journal.append((issue.path, Stands("remove", None, "other bytes")))
        else:
            self.journal.append((issue.path, Stands(kind, label if kind == "relabel" else None, issue.image_id)))

    @property
    def decisions(self):
        return dict(self.journal)

    def see(self, **view):
        return snapshot(self.issues, self.decisions, replace(self.view, **view), gone=self.gone)

    def see_all(self, **view):
        pages = self.see(**view, page=0).pages
        return [item for page in range(pages) for item in self.see(**view, page=page).items]


@unhurried
@given(rankings, st.integers(1, 7), deeds)
def test_whatever_a_person_does_nothing_is_lost_and_nothing_changes_place(issues, page_size, deeds):
    person = Person(issues, page_size)
    for deed in deeds:
        person.do(*deed)
        there = [issue for issue in issues if issue.path not in person.gone]
        shown = person.see()
        counts = shown.counts
        assert counts.total == len(there) and counts.gone == len(issues) - len(there)
        assert counts.decided == counts.keep + counts.relabel + counts.remove + counts.unsure <= counts.total
        assert counts.stale <= counts.total - counts.decided
        assert sum(row.total for row in shown.classes) == counts.total
        assert sum(row.decided for row in shown.classes) == counts.decided
        assert 0 <= shown.page < shown.pages and len(shown.items) <= page_size
        assert bool(shown.items) == (counts.shown > 0), "a page is empty only when there is nothing to show"

        everything = person.see_all(label=None, side=None, status="all")
        assert [item.path for item in everything] == [issue.path for issue in there], "the ranking's order stands"
        assert all(issues[item.index].path == item.path for item in everything)

        undecided = person.see_all(label=None, side=None, status="undecided")
        decided = person.see_all(label=None, side=None, status="decided")
        assert len(undecided) == counts.total - counts.decided, "every undecided picture can be reached"
        assert {item.path for item in undecided} | {item.path for item in decided} == {i.path for i in there}
        assert all(item.decision is None or item.stale for item in undecided)


@unhurried
@given(rankings, st.integers(1, 7), deeds)
def test_a_filter_lets_through_what_fits_and_only_that(issues, page_size, deeds):
    person = Person(issues, page_size)
    for deed in deeds:
        person.do(*deed)
    view, found = person.view, person.see_all()
    for issue in issues:
        decision = person.decisions.get(issue.path)
        stands = decision is not None and decision.image_id == issue.image_id
        fits = (issue.path not in person.gone and view.label in (None, issue.given_label)
                and view.side in (None, issue.side)
                and {"all": True, "decided": stands, "undecided": not stands}[view.status])
        assert fits == (issue.path in {item.path for item in found})
        where = page_of(issue.path, issues, person.decisions, view, gone=person.gone)
        assert (where is not None) == fits
        assert not fits or issue.path in {item.path for item in person.see(page=where).items}


@unhurried
@given(rankings, deeds, st.integers(0, 39), kinds, classes)
def test_undoing_a_decision_brings_back_what_was_shown(issues, deeds, place, kind, label):
    person = Person(issues, 5)
    for deed in deeds:
        person.do(*deed)
    before = person.see()
    if issues:
        person.do("decide", place, kind, label)
        person.do("undo")
    assert person.see() == before


@unhurried
@given(rankings, deeds)
def test_a_snapshot_survives_json(issues, deeds):
    person = Person(issues, 6)
    for deed in deeds:
        person.do(*deed)
    shown = person.see()
    again = json.loads(json.dumps(shown.as_json()))
    assert [item["path"] for item in again["items"]] == [item.path for item in shown.items]
    assert again["counts"]["total"] == shown.counts.total and again["page"] == shown.page


def test_a_decision_for_other_bytes_is_shown_as_stale_and_counts_as_undecided():
    issues = (issue(0), issue(1))
    shown = snapshot(issues, {issues[0].path: Stands("remove", None, "other bytes")}, View())
    assert (shown.items[0].decision, shown.items[0].stale) == ("remove", True)
    assert (shown.counts.decided, shown.counts.remove, shown.counts.stale) == (0, 0, 1)
    assert not shown.items[1].stale


def test_decisions_about_pictures_outside_the_ranking_count_nothing():
    shown = snapshot((issue(0),), {"elsewhere/1.jpg": Stands("remove", None, "x")}, View())
    assert shown.counts.decided == 0 and shown.counts.total == 1


def test_an_empty_ranking_has_one_empty_page():
    shown = snapshot((), {}, View(page=9))
    assert (shown.items, shown.page, shown.pages, shown.counts.total) == ((), 0, 1, 0)


@pytest.mark.parametrize(("wish", "words"), [
    ({"side": "test"}, "side is 'train', 'valid' or None"),
    ({"status": "done"}, "status is 'all', 'undecided' or 'decided'"),
    ({"page_size": 0}, "at least 1 picture"),
])
def test_a_view_refuses_what_it_does_not_know(wish, words):
    with pytest.raises(ValueError, match=words):
        View(**wish)


def moving(number, label, target):
    record = ImageRecord(f"{label}/{number}.jpg", f"id-{number}", label, "train", "g", 8, 8, 10, 0, "JPEG")
    return Move(record, f"{target or '.shoebox/trash'}/{number}.jpg", target, number)


def test_a_plan_in_numbers_adds_up():
    moves = (moving(1, "black", "grizzly"), moving(2, "grizzly", "black"), moving(3, "black", None),
             moving(4, "black", "polar"))
    summary = summarise(Plan(moves), ["black"] * 5 + ["grizzly"] * 3 + ["panda"] * 4)
    assert (summary.total, summary.relabel, summary.remove) == (4, 3, 1)
    assert {(row.label, row.before, row.after) for row in summary.classes} == {
        ("black", 5, 3), ("grizzly", 3, 3), ("polar", 0, 1)}, "classes that nothing moves in or out of are left out"
    assert summary.moves[2] == ("black/3.jpg", None)
    json.dumps(summary.as_json())


def test_a_token_stands_for_these_moves_and_no_others():
    one, two = moving(1, "black", "grizzly"), moving(2, "grizzly", "black")
    token = summarise(Plan((one, two)), []).token
    assert token == summarise(Plan((one, two)), ["black"]).token
    others = [Plan((one,)), Plan((one, replace(two, target="black/other.jpg"))), Plan((one, replace(two, decision=9)))]
    assert token not in {summarise(plan, []).token for plan in others}


def test_a_long_plan_lists_the_first_moves_and_says_how_many_there_are():
    summary = summarise(Plan(tuple(moving(n, "black", None) for n in range(70))), ["black"] * 100)
    assert len(summary.moves) == 50 and summary.total == 70
