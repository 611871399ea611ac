"""The cleaner's page alone, when its next pages come late: where the focus goes, and what keys do until then."""

from __future__ import annotations

from pathlib import Path

import pytest
from _alone import draw, sent
from _cleaner import card
from playwright.sync_api import Page, expect

COMING = "The next pictures are on their way."


def decisions(page: Page) -> list[tuple[str, str]]:
    return [(wish["path"], wish["decision"]) for wish in sent(page) if wish["kind"] == "decide"]


def status(page: Page):
    return page.get_by_role("status").first


@pytest.fixture
def last(alone: Page, tmp_path: Path) -> Page:
    """The focus is on the last picture of the first page; no other page comes until the test lets it."""
    alone.evaluate("kernel.held = []")
    draw(alone, tmp_path, n=23, many=10_000)
    card(alone, 1).focus()
    for _ in range(23):
        alone.keyboard.press("ArrowRight")
    expect(card(alone, 24)).to_be_focused()
    return alone


@pytest.mark.parametrize(("decided", "to"), [([], 25), ([24, 25], 27), (list(range(24, 48)), 1)])
def test_the_focus_goes_on_as_soon_as_the_next_page_is_here(last: Page, decided: list[int], to: int) -> None:
    """Or, where all of that page is decided, back to the first that was passed over, as if the page had been here."""
    last.evaluate("(places) => { kernel.decided = new Set(places); }", decided)
    last.keyboard.press("k")
    last.keyboard.press("d")  # pressed for the next picture: not one more decision on the last one
    assert decisions(last) == [("cat/23.jpg", "keep")]
    expect(status(last)).to_contain_text(COMING)
    last.evaluate("kernel.letThrough()")
    expect(status(last)).not_to_contain_text(COMING)
    expect(card(last, to)).to_be_focused()


def test_an_arrow_goes_on_from_there_and_the_next_key_does_not_decide_the_last_picture_again(last: Page) -> None:
    for key in ("k", "ArrowRight", "d"):
        last.keyboard.press(key)
    assert decisions(last) == [("cat/23.jpg", "keep")]
    last.evaluate("kernel.letThrough()")
    expect(card(last, 26)).to_be_focused()


def test_what_is_not_saved_can_be_tried_again_meanwhile(last: Page) -> None:
    last.evaluate("kernel.replies = { decide: { ok: false, error: 'The disk is full.' } }")
    last.keyboard.press("k")
    expect(card(last, 24)).to_contain_text("not saved: The disk is full.")
    last.evaluate("kernel.replies = {}")
    last.keyboard.press("k")
    assert decisions(last) == [("cat/23.jpg", "keep")] * 2


def test_decided_pictures_that_leave_the_queue_take_nobody_s_turn(last: Page) -> None:
    """In a queue of undecided ones all others move up."""
    last.keyboard.press("k")
    for place in (23, 3, 4):
        last.evaluate("(path) => kernel.drop(path)", f"cat/{place}.jpg")
    expect(last.locator("[data-path='cat/24.jpg']")).to_be_focused()
    last.keyboard.press("d")
    assert decisions(last) == [("cat/23.jpg", "keep"), ("cat/24.jpg", "remove")]


def test_the_close_look_goes_on_too(last: Page) -> None:
    for key in ("f", "k", "d"):
        last.keyboard.press(key)
    assert decisions(last) == [("cat/23.jpg", "keep")]
    last.evaluate("kernel.letThrough()")
    expect(last.locator(".sbx-close-up")).to_have_attribute("data-path", "cat/24.jpg")
    last.keyboard.press("d")
    assert decisions(last) == [("cat/23.jpg", "keep"), ("cat/24.jpg", "remove")]


def test_a_question_in_the_close_look_keeps_the_focus(last: Page) -> None:
    last.evaluate("kernel.replies = { decide: { conflict: [{ seq: 5 }], error: 'Bo has decided: remove.' } }")
    last.keyboard.press("f")
    last.keyboard.press("k")
    leave = last.get_by_role("button", name="Leave it")
    expect(leave).to_be_focused()
    last.evaluate("kernel.letThrough()")
    expect(status(last)).not_to_contain_text(COMING)
    expect(leave).to_be_focused()


def test_who_went_elsewhere_meanwhile_is_not_fetched_back(last: Page) -> None:
    last.keyboard.press("k")
    last.get_by_label("Show").focus()
    last.evaluate("kernel.letThrough()")
    expect(card(last, 25)).to_be_visible()
    expect(last.get_by_label("Show")).to_be_focused()
    last.keyboard.press("Escape")
    expect(card(last, 25)).to_be_focused()


def test_who_scrolled_back_meanwhile_is_left_there(last: Page) -> None:
    last.keyboard.press("k")
    grid = last.get_by_role("grid")
    grid.evaluate("(grid) => { grid.scrollTop = 0; }")
    expect(card(last, 1)).to_be_visible()
    last.evaluate("kernel.letThrough()")
    last.wait_for_function("document.querySelector('.sbx-cleaner').dataset.state === 'ready'")
    assert grid.evaluate("(grid) => grid.scrollTop") == 0
    expect(card(last, 24)).to_be_focused()
