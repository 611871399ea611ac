"""The cleaner's kernel side: requests, traits, files, and fastai's names, without a browser."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import threading

import pytest

from shoebox.data import Dataset
from shoebox.errors import DatasetError
from shoebox.types import Issue
from shoebox.widgets import Cleaner
from shoebox.widgets._modules import join_modules
from tests._pictures import AWKWARD, CYRILLIC, folders

IDS = itertools.count(1)


@pytest.fixture
def root(tmp_path):
    return folders(tmp_path / "bears", {"black": 7, "grizzly": 7, CYRILLIC: 4})


@pytest.fixture
def ds(root):
    return Dataset(root)


def rank(ds):
    """Every picture, the last class first, each suggested to be the class after its own."""
    others = {label: ds.classes[(place + 1) % len(ds.classes)] for place, label in enumerate(ds.classes)}
    return [Issue(record.path, record.image_id, "label", place / 100, record.label, others[record.label], .1, .8,
                  f"looks like {others[record.label]}", record.side)
            for place, record in enumerate(reversed(ds.images))]


@pytest.fixture
def cleaner(ds):
    return Cleaner(ds, rank(ds), page_size=5)


def ask(cleaner, kind, request_id=None, **fields):
    reply, buffers = cleaner._desk.answer({"kind": kind, "id": request_id or f"t{next(IDS)}", **fields})
    assert not buffers
    json.dumps(reply)
    return reply


def paths(cleaner):
    return [item["path"] for item in cleaner.snapshot["items"]]


def walk(cleaner):
    """Every path of the view, page by page."""
    found = []
    for page in range(cleaner.snapshot["pages"]):
        assert ask(cleaner, "view", page=page)["ok"]
        found += paths(cleaner)
    return found


def files(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg") if ".shoebox" not in path.parts)


class TestDeciding:
    def test_a_decision_is_on_the_disk_before_the_reply_and_before_the_traits_change(self, cleaner, root):
        path, seen = paths(cleaner)[0], []
        cleaner.observe(lambda _: seen.append(Dataset(root).decisions.get(path)), names=["snapshot"])
        replies = []
        cleaner.send = lambda content, buffers=None: replies.append((content, Dataset(root).decisions.get(path)))
        cleaner._handle_custom_msg({"kind": "decide", "id": "1", "path": path, "decision": "remove"}, [])
        (reply, stored), = replies
        assert reply["ok"] and reply["revision"] == cleaner.snapshot["revision"]
        assert stored.kind == "remove" and [decision.kind for decision in seen] == ["remove"]
        assert cleaner.snapshot["items"][0]["decision"] == "remove"

    def test_a_repeated_id_is_answered_again_and_not_executed_twice(self, cleaner, ds):
        path = paths(cleaner)[0]
        first = ask(cleaner, "decide", "same", path=path, decision="keep")
        ask(cleaner, "decide", path=path, decision="remove")
        assert ask(cleaner, "decide", "same", path=path, decision="keep") == first
        assert ds.decisions[path].kind == "remove"

    def test_relabel_carries_its_label_in_any_script(self, cleaner, ds):
        path = paths(cleaner)[-1]
        assert ask(cleaner, "decide", path=path, decision="relabel", label="black")["ok"]
        assert ask(cleaner, "decide", path=walk(cleaner)[-1], decision="relabel", label=CYRILLIC)["ok"]
        assert {decision.label for decision in ds.decisions.values()} == {"black", CYRILLIC}

    @pytest.mark.parametrize(("fields", "words"), [
        ({"path": "black/none.jpg", "decision": "keep"}, "no picture 'black/none.jpg'"),
        ({"path": "../../etc/passwd", "decision": "remove"}, "no picture"),
        ({"path": 7, "decision": "keep"}, "'path' as text"),
        ({"decision": "explode"}, "one of keep, relabel, remove, unsure"),
        ({"decision": "relabel"}, "'label' as one of"),
        ({"decision": "relabel", "label": "polar"}, "'label' as one of"),
        ({"decision": "relabel", "label": ["black"]}, "'label' as one of"),
    ])
    def test_what_does_not_fit_is_refused_with_a_sentence_and_changes_nothing(self, cleaner, ds, fields, words):
        before = cleaner.snapshot
        reply = ask(cleaner, "decide", **{"path": paths(cleaner)[0], **fields})
        assert not reply["ok"] and words in reply["error"]
        assert ds.decisions == {} and cleaner.snapshot == before

    def test_a_catalog_that_cannot_be_written_is_said_and_the_card_stays(self, cleaner, ds, monkeypatch):
        def full(*_, **__):
            raise DatasetError("The disk is full.")

        monkeypatch.setattr(ds, "decide_many", full)
        reply = ask(cleaner, "decide", path=paths(cleaner)[0], decision="keep")
        assert reply == {"id": reply["id"], "ok": False, "error": "The disk is full."}
        assert cleaner.snapshot["counts"]["decided"] == 0

    def test_threads_lose_nothing(self, cleaner, ds):
        everything = walk(cleaner)
        threads = [threading.Thread(target=ask, args=(cleaner, "decide"), kwargs={"path": path, "decision": "keep"})
                   for path in everything]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ds.decisions.keys() == set(everything)
        assert cleaner.snapshot["counts"]["keep"] == len(everything)

    def test_undo_takes_back_the_newest_and_turns_to_its_page(self, cleaner, ds):
        first, second = paths(cleaner)[:2]
        ask(cleaner, "decide", path=first, decision="keep")
        ask(cleaner, "decide", path=second, decision="remove")
        ask(cleaner, "view", page=2)
        assert ask(cleaner, "undo")["path"] == second
        assert cleaner.snapshot["page"] == 0 and ds.decisions.keys() == {first}
        assert ask(cleaner, "undo")["path"] == first
        assert ask(cleaner, "undo")["path"] is None
        assert cleaner.snapshot["counts"]["decided"] == 0

    def test_undo_of_a_picture_that_the_filter_hides_stays_on_the_page(self, cleaner):
        ask(cleaner, "decide", path=paths(cleaner)[0], decision="keep")
        ask(cleaner, "view", label="black", page=1)
        assert ask(cleaner, "undo")["ok"]
        assert (cleaner.snapshot["label"], cleaner.snapshot["page"]) == ("black", 1)


class TestLooking:
    def test_the_view_can_be_built_from_the_traits_alone(self, cleaner):
        state = cleaner.get_state()
        shown = state["snapshot"]
        assert [item["given"] for item in shown["items"]] == [CYRILLIC, CYRILLIC, CYRILLIC, CYRILLIC, "grizzly"]
        assert state["thumbnails"].keys() == {item["path"] for item in shown["items"]}
        assert all(data.startswith(b"\xff\xd8") for data in state["thumbnails"].values())
        assert state["classes"] == sorted(["black", "grizzly", CYRILLIC])
        json.dumps({name: value for name, value in state.items() if name in ("snapshot", "classes", "notice")})

    def test_every_picture_is_reached_in_the_ranking_s_order(self, cleaner, ds):
        assert walk(cleaner) == [issue.path for issue in rank(ds)]

    def test_filters_and_pages(self, cleaner, ds):
        ask(cleaner, "view", label="black", page=0)
        assert len(walk(cleaner)) == 7 and all(path.startswith("black/") for path in paths(cleaner))
        ask(cleaner, "view", label=None, side="valid", page=0)
        assert set(walk(cleaner)) == {record.path for record in ds.images if record.side == "valid"}
        ask(cleaner, "view", side=None, status="decided", page=0)
        assert paths(cleaner) == [] and cleaner.snapshot["pages"] == 1
        ask(cleaner, "view", status="all", page=10_000)
        assert cleaner.snapshot["page"] == 3, "past the end is the last page"

    @pytest.mark.parametrize("wish", [{"label": "polar"}, {"side": "test"}, {"status": "none"}, {"page": -1},
                                      {"page": "1"}, {"page": 1.5}, {"label": {}}])
    def test_a_view_that_does_not_exist_is_refused(self, cleaner, wish):
        before = cleaner.snapshot
        reply = ask(cleaner, "view", **wish)
        assert not reply["ok"] and "Reload the page" in reply["error"] and cleaner.snapshot == before

    def test_a_class_switch_a_new_cell_and_a_new_kernel_show_the_same_decisions(self, cleaner, ds, root):
        decided = dict(zip(paths(cleaner)[:3], ["keep", "remove", "unsure"], strict=True))
        for path, kind in decided.items():
            ask(cleaner, "decide", path=path, decision=kind)
        ask(cleaner, "view", label="black", page=0)
        ask(cleaner, "view", label=None, page=0)
        restarted = Dataset(root)
        for shown in (cleaner, Cleaner(ds, rank(ds), page_size=5), Cleaner(restarted, rank(restarted), page_size=9)):
            found = {item["path"]: item["decision"] for item in shown.snapshot["items"] if item["decision"]}
            assert found == decided and shown.snapshot["counts"]["decided"] == 3

    def test_a_picture_that_cannot_be_opened_has_an_empty_thumbnail(self, root):
        ds = Dataset(root)
        ranking = rank(ds)
        (root / ranking[0].path).write_bytes(b"no picture any more")
        (root / ".shoebox" / "thumbnails.sqlite").unlink()
        cleaner = Cleaner(ds, ranking, page_size=5)
        assert [bool(cleaner.thumbnails[path]) for path in paths(cleaner)] == [False, True, True, True, True]

    def test_pictures_that_are_gone_are_left_out_with_a_notice(self, ds, root):
        ranking = rank(ds)
        (root / ranking[0].path).unlink()
        (root / ranking[7].path).unlink()
        cleaner = Cleaner(ds, ranking, page_size=5)
        assert ranking[0].path not in walk(cleaner) and len(walk(cleaner)) == len(ranking) - 2
        assert cleaner.notice.startswith("2 pictures of this ranking are left out")
        assert cleaner.snapshot["counts"]["gone"] == 2 and len(cleaner.fns) == len(ranking)

    def test_a_picture_that_goes_while_one_looks_leaves_the_page(self, cleaner, root):
        lost = paths(cleaner)[1]
        (root / lost).unlink()
        assert ask(cleaner, "view", page=0)["ok"]
        assert lost not in paths(cleaner) and len(paths(cleaner)) == 5
        assert cleaner.notice.startswith("1 picture of this ranking is left out")

    def test_pictures_that_changed_since_the_ranking_are_left_out(self, root):
        ds = Dataset(root)
        ranking = rank(ds)
        shutil.copy(root / ranking[-1].path, root / ranking[0].path)
        ds.scan()
        assert ranking[0].path not in walk(Cleaner(ds, ranking)) and ranking[1].path in walk(Cleaner(ds, ranking))

    def test_a_ranking_of_nothing_and_a_folder_that_is_gone_are_shown_as_empty(self, ds, root):
        assert Cleaner(ds, []).snapshot["items"] == []
        ranking = rank(ds)
        for label in ds.classes:
            shutil.rmtree(root / label)
        cleaner = Cleaner(ds, ranking)
        assert cleaner.snapshot["counts"]["total"] == 0 and cleaner.notice.startswith("18 pictures")

    def test_the_repr_tells_the_state_and_no_address(self, cleaner):
        ask(cleaner, "decide", path=paths(cleaner)[0], decision="keep")
        assert repr(cleaner) == "Cleaner(18 pictures, 1 decided)"

    def test_page_size_is_checked(self, ds):
        with pytest.raises(ValueError, match="at least 1"):
            Cleaner(ds, rank(ds), page_size=0)

    def test_a_closed_cleaner_still_decides(self, cleaner, ds):
        path = paths(cleaner)[0]
        cleaner.close()
        cleaner.decide(path, "keep")
        assert ds.decisions[path].kind == "keep"


class TestApplying:
    @pytest.fixture
    def decided(self, cleaner):
        one, two, three = paths(cleaner)[:3]
        ask(cleaner, "decide", path=one, decision="relabel", label="black")
        ask(cleaner, "decide", path=two, decision="remove")
        ask(cleaner, "decide", path=three, decision="keep")
        return one, two, three

    def test_the_plan_is_shown_in_numbers_before_anything_moves(self, cleaner, root, decided):
        before = files(root)
        assert ask(cleaner, "plan")["ok"] and files(root) == before
        planned = cleaner.planned
        assert (planned["total"], planned["relabel"], planned["remove"]) == (2, 1, 1)
        assert [(row["label"], row["before"], row["after"]) for row in planned["classes"]] == [
            ("black", 7, 8), (CYRILLIC, 4, 2)]
        json.dumps(planned)
        ask(cleaner, "cancel")
        assert cleaner.planned is None and files(root) == before

    def test_apply_moves_the_files_and_undo_brings_them_back(self, cleaner, ds, root, decided):
        one, two, three = decided
        before = files(root)
        ask(cleaner, "plan")
        assert ask(cleaner, "apply", confirm=cleaner.planned["token"])["ok"]
        assert not {one, two} & set(files(root)) and len(files(root)) == len(before) - 1
        assert not {one, two} & set(walk(cleaner)) and three in walk(cleaner), "what moved has left the queue"
        assert (cleaner.planned, cleaner.notice, cleaner.progress) == (None, "", [])
        assert (cleaner.result["moved"], cleaner.result["failed"], cleaner.result["undone"]) == (2, [], False)
        assert cleaner.snapshot["counts"]["decided"] == 1

        assert ask(cleaner, "undo_apply")["ok"] and files(root) == before
        assert cleaner.result["undone"] and cleaner.result["moved"] == 2
        assert set(walk(cleaner)) == {issue.path for issue in rank(ds)}
        assert cleaner.snapshot["counts"]["decided"] == 3, "the decisions stand again"

    def test_a_plan_that_changed_since_it_was_shown_is_not_carried_out(self, cleaner, root, decided):
        before = files(root)
        ask(cleaner, "plan")
        seen = cleaner.planned["token"]
        Dataset(root).decide(paths(cleaner)[4], "remove")
        reply = ask(cleaner, "apply", confirm=seen)
        assert not reply["ok"] and "have changed since this plan was shown" in reply["error"]
        assert files(root) == before and cleaner.planned["total"] == 3, "the new plan is shown"
        assert ask(cleaner, "apply", confirm=cleaner.planned["token"])["ok"]

    @pytest.mark.parametrize("fields", [{}, {"confirm": ""}, {"confirm": True}])
    def test_nothing_moves_without_a_yes_to_a_plan(self, cleaner, root, decided, fields):
        before = files(root)
        assert not ask(cleaner, "apply", **fields)["ok"] and files(root) == before

    def test_a_file_that_stays_is_named(self, cleaner, root, decided):
        (root / decided[1]).write_bytes(b"other bytes")
        ask(cleaner, "plan")
        assert ask(cleaner, "apply", confirm=cleaner.planned["token"])["ok"]
        assert cleaner.result["moved"] == 1 and decided[1] in cleaner.result["failed"][0]

    def test_undo_without_an_apply_is_a_sentence(self, cleaner):
        reply = ask(cleaner, "undo_apply")
        assert not reply["ok"] and "no apply to undo" in reply["error"]
        with pytest.raises(DatasetError, match="no apply to undo"):
            cleaner.undo()

    def test_the_same_in_python(self, cleaner, ds, root, decided):
        before = files(root)
        assert len(cleaner.plan().moves) == 2 and cleaner.apply().moved == 2
        assert cleaner.undo().moved == 2 and files(root) == before
        cleaner.decide(decided[2], "unsure")
        assert ds.decisions[decided[2]].kind == "unsure"
        assert cleaner.undo_decision().path == decided[2] and ds.decisions[decided[2]].kind == "keep"

    def test_progress_is_told_while_files_move(self, cleaner, decided, monkeypatch):
        monkeypatch.setattr("shoebox.widgets.cleaner._PROGRESS_EVERY_S", -1)
        told = []
        cleaner.observe(lambda change: told.append(change.new), names=["progress"])
        cleaner.apply()
        assert told == [[1, 2], [2, 2], []]

    def test_a_ranking_from_before_an_apply_is_shown_without_what_moved(self, cleaner, ds, decided):
        ranking = rank(ds)
        cleaner.apply()
        again = Cleaner(ds, ranking)
        assert again.snapshot["counts"]["total"] == 16 and again.notice.startswith("2 pictures")


class TestBook:
    """Chapter 2's cells, as printed."""

    def test_the_loops_run_unchanged(self, cleaner, root):
        path = root
        everything = walk(cleaner)
        removed, changed = everything[8], everything[4]
        ask(cleaner, "decide", path=removed, decision="remove")
        ask(cleaner, "decide", path=changed, decision="relabel", label=CYRILLIC)
        ask(cleaner, "decide", path=everything[0], decision="keep")
        ask(cleaner, "decide", path=everything[1], decision="unsure")
        before = list(cleaner.fns)

        for idx in cleaner.delete(): cleaner.fns[idx].unlink()  # noqa: E701
        for idx, cat in cleaner.change(): shutil.move(str(cleaner.fns[idx]), path / cat)  # noqa: E701

        assert not (root / removed).exists() and not (root / changed).exists()
        assert (root / CYRILLIC / changed.rpartition("/")[2]).exists()
        assert cleaner.fns == before and cleaner.delete() == [] and cleaner.change() == [], "a second run does nothing"
        assert ask(cleaner, "view", page=0)["ok"] and removed not in walk(cleaner)

    def test_fns_are_absolute_and_in_the_ranking_s_order(self, cleaner, ds):
        assert cleaner.fns == [ds.root / issue.path for issue in rank(ds)]
        assert all(file.is_absolute() for file in cleaner.fns) and cleaner.iw is cleaner

    def test_relabelling_to_the_given_label_moves_nothing(self, cleaner):
        cleaner.decide(paths(cleaner)[0], "relabel", CYRILLIC)
        assert cleaner.change() == [] and not cleaner.plan()

    def test_indices_lead_to_the_decided_pictures(self, cleaner):
        everything = walk(cleaner)
        cleaner.decide(everything[5], "remove")
        cleaner.decide(everything[6], "relabel", "black")
        assert cleaner.delete() == [5] and cleaner.change() == [(6, "black")]


def test_awkward_names_travel_as_they_are(tmp_path):
    ds = Dataset(folders(tmp_path / "d", {AWKWARD: 2, "<img src=x onerror=alert(1)>": 2, "דוב": 2}))
    cleaner = Cleaner(ds, rank(ds))
    path = next(path for path in paths(cleaner) if path.startswith("דוב"))
    assert ask(cleaner, "decide", path=path, decision="relabel", label=AWKWARD)["ok"]
    assert ds.decisions[path].label == AWKWARD
    ask(cleaner, "plan")
    assert ask(cleaner, "apply", confirm=cleaner.planned["token"])["ok"]
    assert ds.counts()[AWKWARD]["train"] + ds.counts()[AWKWARD]["valid"] == 3


def test_the_page_s_code_makes_no_markup_from_text():
    source = str(Cleaner._esm)
    assert "textContent" in source
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", source)


def test_modules_are_joined_each_once_behind_what_they_need(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "words.js").write_text('export const word = "import { a } from b";\n')
    (tmp_path / "parts" / "card.js").write_text('import { word } from "./words.js";\n\nexport const card = word;\n')
    entry = tmp_path / "page.js"
    entry.write_text('import { card } from "./parts/card.js";\nimport { word } from "./parts/words.js";\n\n'
                     "export default { card, word };\n")
    joined = join_modules(entry)
    assert [line for line in joined.splitlines() if line] == [
        'export const word = "import { a } from b";', "export const card = word;", "export default { card, word };"]
    assert "\nimport " not in str(Cleaner._esm)
