"""The cleaner's page when the kernel is silent or late: what is not stored is never shown as stored."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from _alone import draw, sent
from _cleaner import card
from playwright.sync_api import Page, expect

SILENT = "the kernel does not answer"


def answer(page: Page, wish: dict[str, Any], **fields: Any) -> None:
    page.evaluate("(reply) => kernel.hear('msg:custom', reply, [])", {"id": wish["id"], "ok": True, **fields})


def status(page: Page) -> Any:
    return expect(page.locator(".sbx-status"))


def conflict(path: str) -> dict[str, Any]:
    theirs = {"path": path, "kind": "remove", "label": None, "who": "Ada", "at": "", "seq": 7}
    return {"conflict": [theirs], "error": "Ada has decided “remove” on this picture."}


def test_a_silent_kernel_is_told_within_five_seconds_and_a_late_answer_clears_it(alone: Page, tmp_path: Path) -> None:
    first = draw(alone, tmp_path)[0]
    card(alone, 1).focus()
    alone.keyboard.press("k")
    alone.clock.fast_forward(4_400)
    expect(card(alone, 1)).to_have_attribute("data-state", "saving")
    alone.clock.fast_forward(200)
    expect(card(alone, 1)).to_contain_text(f"not saved: {SILENT}")
    expect(card(alone, 1)).to_have_attribute("data-decision", "")
    status(alone).to_contain_text(SILENT)
    revision = alone.evaluate("(path) => kernel.decide(path, 'keep')", first)
    answer(alone, sent(alone)[0], revision=revision)
    expect(card(alone, 1)).to_have_attribute("data-decision", "keep")
    expect(card(alone, 1)).not_to_contain_text("not saved")
    status(alone).to_contain_text("saved now")


@pytest.mark.parametrize("many", [False, True])
def test_somebody_else_s_decision_that_is_told_late_leaves_not_saved_on_the_card(
        alone: Page, tmp_path: Path, many: bool) -> None:
    first = draw(alone, tmp_path)[0]
    card(alone, 1).focus()
    if many:
        alone.keyboard.press("s")
        alone.get_by_role("toolbar", name="Selected").get_by_role("button", name="Keep").click()
    else:
        alone.keyboard.press("k")
    alone.clock.fast_forward(20_100)
    expect(card(alone, 1)).to_contain_text(f"not saved: {SILENT}")
    answer(alone, sent(alone)[0], **conflict(first))
    expect(card(alone, 1)).to_contain_text("not saved: Ada has decided “remove” on this picture.")
    expect(card(alone, 1)).to_have_attribute("data-state", "error")
    expect(card(alone, 1)).to_have_accessible_name(re.compile("not saved: Ada has decided"))
    status(alone).to_contain_text("not saved: Ada has decided")
    status(alone).to_have_attribute("data-kind", "error")


def test_a_refusal_that_comes_late_gives_its_reason(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path)
    card(alone, 1).focus()
    alone.keyboard.press("k")
    alone.clock.fast_forward(4_600)
    answer(alone, sent(alone)[0], ok=False, error="The disk is full.")
    expect(card(alone, 1)).to_contain_text("not saved: The disk is full.")


def test_a_late_answer_says_nothing_of_a_picture_that_was_decided_again_meanwhile(alone: Page, tmp_path: Path) -> None:
    first = draw(alone, tmp_path)[0]
    for key in ("k", "d"):
        card(alone, 1).focus()
        alone.keyboard.press(key)
        alone.clock.fast_forward(4_600 if key == "k" else 0)
    answer(alone, sent(alone)[0], **conflict(first))
    expect(card(alone, 1)).to_have_attribute("data-state", "saving")
    expect(card(alone, 1)).not_to_contain_text("not saved")


def test_many_at_once_are_told_on_their_cards_within_five_seconds_and_a_long_answer_still_counts(
        alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path)
    for number in (1, 3):
        card(alone, number).get_by_role("button", name="Select").click()
    alone.get_by_role("toolbar", name="Selected").get_by_role("button", name="Keep").click()
    alone.clock.fast_forward(4_400)
    expect(card(alone, 1)).not_to_contain_text("not saved")
    alone.clock.fast_forward(200)
    for number in (1, 3):
        expect(card(alone, number)).to_contain_text(f"not saved yet: {SILENT}")
        expect(card(alone, number)).to_have_accessible_name(re.compile("not saved yet"))
    expect(card(alone, 2)).not_to_contain_text("not saved")
    status(alone).to_contain_text("2 pictures are not saved yet")
    alone.clock.fast_forward(10_000)
    wish, = sent(alone)
    answer(alone, wish, rows=[])
    for number in (1, 3):
        expect(card(alone, number)).not_to_contain_text("not saved")
        expect(card(alone, number)).to_have_attribute("data-state", "")
    status(alone).to_have_text("2 pictures: keep.")
    expect(alone.get_by_role("toolbar", name="Selected")).to_be_hidden()


def test_many_at_once_that_are_never_answered_say_so_on_their_cards_until_they_are(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path)
    card(alone, 1).get_by_role("button", name="Select").click()
    alone.get_by_role("toolbar", name="Selected").get_by_role("button", name="Unsure").click()
    alone.clock.fast_forward(20_100)
    expect(card(alone, 1)).to_contain_text(f"not saved: {SILENT}")
    expect(card(alone, 1)).to_have_attribute("data-state", "error")
    status(alone).to_contain_text("1 picture is not saved")
    answer(alone, sent(alone)[0], rows=[])
    expect(card(alone, 1)).not_to_contain_text("not saved")
    status(alone).to_contain_text("saved now")


def test_an_undo_that_is_not_answered_is_told_within_five_seconds_and_shown_when_it_comes(
        alone: Page, tmp_path: Path) -> None:
    first = draw(alone, tmp_path)[0]
    alone.get_by_role("textbox", name="Your name").fill("Ben")
    card(alone, 1).focus()
    alone.keyboard.press("z")
    wish, = sent(alone)
    assert (wish["kind"], wish["who"]) == ("undo", "Ben"), "whose step it is"
    alone.clock.fast_forward(4_600)
    status(alone).to_contain_text(f"Nothing was undone yet: {SILENT}")
    alone.clock.fast_forward(16_000)
    status(alone).to_contain_text(f"Nothing was undone: {SILENT}")
    answer(alone, wish, path=first, count=1, rows=[])
    status(alone).to_have_text(f"{first.rpartition('/')[2]}: taken back.")


def test_nothing_is_left_of_what_waits(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path)
    card(alone, 1).get_by_role("button", name="Select").click()
    alone.get_by_role("toolbar", name="Selected").get_by_role("button", name="Keep").click()
    alone.evaluate("kernel.clean()")
    assert alone.evaluate("[kernel.live.handlers, kernel.live.timers.size]") == [0, 0]
