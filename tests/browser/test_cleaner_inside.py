"""The full-size look, alone: what it shows, and that all that is said, asked and taken back is seen in it."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from _alone import draw, sent
from _cleaner import card
from playwright.sync_api import Locator, Page, expect
from tests._pictures import draw as picture

SERVE = """
([picture, more]) => {
  const bytes = new DataView(new Uint8Array(picture).buffer);
  kernel.facts = { width_px: 64, height_px: 48, size_bytes: 9, format: "JPEG", reasons: [], sources: [], history: [],
                   ...more };
  kernel.serve = ({ kind, id, path }) => {
    if (kind === "close_look") queueMicrotask(() => kernel.hear("msg:custom", { ...kernel.facts, id, path, ok: true },
                                                                [bytes]));
  };
}
"""


def look(page: Page, tmp_path: Path, **facts: Any) -> tuple[list[str], Locator]:
    """The paths that are shown, and the full-size look at the first of them, in a picture of 64 x 48."""
    paths = draw(page, tmp_path)
    data = io.BytesIO()
    picture(3).save(data, "JPEG")
    page.evaluate(SERVE, [list(data.getvalue()), facts])
    card(page, 1).focus()
    page.keyboard.press("f")
    dialog = page.get_by_role("dialog", name="Close look")
    expect(dialog).to_contain_text(paths[0])
    return paths, dialog


def answer(page: Page, kind: str, **fields: Any) -> None:
    wish = [wish for wish in sent(page) if wish["kind"] == kind][-1]
    page.evaluate("(reply) => kernel.hear('msg:custom', reply, [])", {"id": wish["id"], "ok": True, **fields})


def history(page: Page, *entries: dict[str, Any]) -> None:
    filled = [{"kind": "keep", "label": None, "who": "Ada", "at": "2025-11-20T10:00", "undone": False,
               "applied": False, **entry} for entry in entries]
    page.evaluate("(entries) => { kernel.facts.history = entries; }", filled)


@pytest.mark.parametrize(("size", "words"), [((4_000, 3_000), "4\u202f000 × 3\u202f000, shown at 64 × 48"),
                                             ((64, 48), "64 × 48"), ((9, 9), "9 × 9")])
def test_a_smaller_copy_is_said_to_be_one(alone: Page, tmp_path: Path, size: tuple[int, int], words: str) -> None:
    _, dialog = look(alone, tmp_path, width_px=size[0], height_px=size[1])
    alone.wait_for_function("document.querySelector('.sbx-large img')?.complete")
    expect(dialog.locator(".sbx-pixels")).to_have_text(words)


def test_all_that_is_known_of_a_source_is_shown(alone: Page, tmp_path: Path) -> None:
    note = "suggested 'cat'; the app had said 'dog' (model 2025-11-20)"
    _, dialog = look(alone, tmp_path, sources=[{"source": "feedback", "engine": "2025-11-20", "note": note}])
    expect(dialog).to_contain_text(note)
    expect(dialog.locator("dt").filter(has_text="engine")).to_have_count(1)


@pytest.mark.parametrize(("key", "kind", "words"), [("z", "undo", "taken back"), ("Shift+Z", "redo", "decided again"),
                                                    ("Control+z", "undo", "taken back")])
def test_undo_and_redo_work_in_it_and_it_shows_what_stands_now(
        alone: Page, tmp_path: Path, key: str, kind: str, words: str) -> None:
    paths, dialog = look(alone, tmp_path)
    alone.keyboard.press("ArrowRight")
    expect(dialog).to_contain_text(paths[1])
    alone.keyboard.press(key)
    history(alone, {"undone": kind == "undo"})
    answer(alone, kind, path=paths[0], count=1, rows=[])
    expect(dialog).to_contain_text(paths[0])
    expect(dialog).to_contain_text("Ada: keep" + (" (taken back)" if kind == "undo" else ""))
    expect(dialog.get_by_role("status")).to_have_text(f"{paths[0].rpartition('/')[2]}: {words}.")
    alone.keyboard.press("n")
    alone.keyboard.press("m")
    assert [wish["kind"] for wish in sent(alone) if wish["kind"] != "close_look"] == [kind], "other keys wait"
    alone.keyboard.press("Escape")
    expect(card(alone, 1)).to_be_focused()


def test_undoing_the_very_picture_that_is_shown_shows_its_history_anew(alone: Page, tmp_path: Path) -> None:
    paths, dialog = look(alone, tmp_path)
    expect(dialog).to_contain_text("No decision yet")
    alone.keyboard.press("z")
    history(alone, {"undone": True})
    answer(alone, "undo", path=paths[0], count=1, rows=[])
    expect(dialog).to_contain_text("(taken back)")
    alone.keyboard.press("d")
    assert sent(alone)[-2]["path"] == paths[0], "and the keys go on to decide about it"


def test_a_question_is_asked_in_it_and_the_keys_work_on_after_the_answer(alone: Page, tmp_path: Path) -> None:
    paths, dialog = look(alone, tmp_path)
    alone.keyboard.press("d")
    expect(dialog).to_contain_text(paths[1])
    theirs = {"path": paths[0], "kind": "keep", "label": None, "who": "Ada", "at": "", "seq": 7}
    answer(alone, "decide", conflict=[theirs], error="Ada has decided “keep”.")
    question = dialog.get_by_role("alertdialog", name="Decided by somebody else")
    expect(question).to_contain_text("Ada has decided “keep”.")
    expect(question.get_by_role("button", name="Leave it")).to_be_focused()
    alone.keyboard.press("Enter")
    expect(question).to_be_hidden()
    expect(dialog).to_contain_text(paths[0])
    alone.keyboard.press("u")
    wishes = [wish for wish in sent(alone) if wish["kind"] == "decide"]
    assert [(wish["decision"], wish["path"]) for wish in wishes] == [("remove", paths[0]), ("unsure", paths[0])]


def test_a_question_outlives_it(alone: Page, tmp_path: Path) -> None:
    paths, _ = look(alone, tmp_path)
    alone.keyboard.press("d")
    theirs = {"path": paths[0], "kind": "keep", "label": None, "who": "Ada", "at": "", "seq": 7}
    answer(alone, "decide", conflict=[theirs], error="Ada has decided “keep”.")
    alone.keyboard.press("Escape")
    question = alone.get_by_role("alertdialog", name="Decided by somebody else")
    expect(question.get_by_role("button", name="Leave it")).to_be_focused()
    question.get_by_role("button", name="Decide anyway").click()
    wish = [wish for wish in sent(alone) if wish["kind"] == "decide"][-1]
    assert (wish["path"], wish["decision"], wish["seen"]) == (paths[0], "remove", 7)


def test_another_label_is_chosen_on_the_page_behind_it(alone: Page, tmp_path: Path) -> None:
    paths, dialog = look(alone, tmp_path)
    other = "cat" if paths[0].startswith("dog/") else "dog"
    alone.keyboard.press("o")
    expect(dialog).to_have_count(0)
    expect(alone.get_by_role("combobox", name="Another label")).to_be_focused()
    alone.keyboard.type(other)
    alone.keyboard.press("Enter")
    wish, = (wish for wish in sent(alone) if wish["kind"] == "decide")
    assert (wish["path"], wish["decision"], wish["label"]) == (paths[0], "relabel", other)


def test_what_is_not_saved_is_said_in_it(alone: Page, tmp_path: Path) -> None:
    _, dialog = look(alone, tmp_path)
    alone.keyboard.press("k")
    answer(alone, "decide", ok=False, error="The disk is full.")
    expect(dialog.get_by_role("status")).to_have_text(re.compile("is not saved: The disk is full"))


@pytest.mark.parametrize("how", ["button", "double click"])
def test_it_opens_by_mouse_and_closes_with_its_button(alone: Page, tmp_path: Path, how: str) -> None:
    paths = draw(alone, tmp_path)
    if how == "button":
        card(alone, 2).get_by_role("button", name="Full size").click()
    else:
        card(alone, 2).locator(".sbx-picture").get_by_role("img").dblclick()
    dialog = alone.get_by_role("dialog", name="Close look")
    expect(dialog).to_be_visible()
    assert [wish["path"] for wish in sent(alone)] == [paths[1]]
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    expect(card(alone, 2)).to_be_focused()
