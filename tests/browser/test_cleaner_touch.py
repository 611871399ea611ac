"""The cleaner under a finger: a tap decides, a swipe, a slip and a long press do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from _alone import draw, open_alone, sent
from _cleaner import card
from _servers import Visitor
from playwright.sync_api import Locator, Page, expect

Point = tuple[float, float]


@pytest.fixture
def phone(visitors: Callable[..., Visitor], tmp_path: Path) -> Page:
    """A thousand pictures on a phone 390 px wide."""
    visitor = visitors(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2)
    page = open_alone(visitor.page)
    draw(page, tmp_path, n=23, many=1_000)
    return page


def middle(place: Locator) -> Point:
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, start: Point, end: Point, *, steps: int = 12, rest_ms: int = 0) -> None:
    """A finger goes down, rests, moves and is lifted, as the screen tells it."""
    screen = page.context.new_cdp_session(page)

    def tell(kind: str, *points: Point) -> None:
        screen.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    tell("touchStart", start)
    page.wait_for_timeout(rest_ms)
    for step in range(1, steps + 1):
        share = step / steps
        tell("touchMove", (start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])))
        page.wait_for_timeout(16)
    tell("touchEnd")
    page.wait_for_timeout(400)  # a click would come after it


def decided(page: Page) -> list[dict[str, Any]]:
    return [wish for wish in sent(page) if wish["kind"].startswith("decide")]


def scrolled(page: Page) -> float:
    return float(page.evaluate("document.querySelector('.sbx-grid').scrollTop + document.scrollingElement.scrollTop"))


def test_a_tap_decides_about_that_picture_and_stays_there(phone: Page) -> None:
    for number, (name, decision) in enumerate((("Keep", "keep"), ("Remove", "remove"), ("Unsure", "unsure")), start=1):
        own = card(phone, number)
        own.get_by_role("button", name=name).tap()
        wish = decided(phone)[-1]
        assert (wish["decision"], wish["path"]) == (decision, own.get_attribute("data-path"))
        assert own.evaluate("(card) => card.contains(document.activeElement)"), "the next picture may be out of sight"
    assert len(decided(phone)) == 3


def test_a_tap_on_the_picture_decides_nothing(phone: Page) -> None:
    phone.touchscreen.tap(*middle(card(phone, 2).locator(".sbx-picture").get_by_role("img")))
    expect(card(phone, 2)).to_be_focused()
    assert decided(phone) == []


def test_several_are_selected_and_removed_with_taps(phone: Page) -> None:
    for number in (1, 2, 4):
        card(phone, number).get_by_role("button", name="Select").tap()
    bar = phone.get_by_role("toolbar", name="Selected pictures")
    expect(bar).to_contain_text("3 pictures selected")
    card(phone, 2).get_by_role("button", name="Select").tap()
    expect(bar).to_contain_text("2 pictures selected")
    wanted = [card(phone, number).get_attribute("data-path") for number in (1, 4)]
    assert decided(phone) == []
    bar.get_by_role("button", name="Remove").tap()
    wish, = decided(phone)
    assert (wish["kind"], wish["decision"], wish["paths"]) == ("decide_many", "remove", wanted)


def test_the_bar_for_many_stays_in_sight_while_the_page_is_scrolled(phone: Page) -> None:
    card(phone, 1).get_by_role("button", name="Select").tap()
    bar = phone.get_by_role("toolbar", name="Selected pictures")
    phone.evaluate("document.body.style.paddingBottom = '1000px'")
    top = phone.evaluate("() => { const box = document.querySelector('.sbx-grid').getBoundingClientRect();"
                         "window.scrollBy(0, box.top + 50); return window.scrollY; }")
    assert top > 100, "the bar's own place lies above the window"
    expect(bar).to_be_in_viewport(ratio=1)
    bar.get_by_role("button", name="Keep").tap()
    assert decided(phone)[0]["decision"] == "keep"


@pytest.mark.parametrize("name", ["Remove", "Keep", "Select"])
def test_a_swipe_that_begins_on_a_button_scrolls_and_decides_nothing(phone: Page, name: str) -> None:
    own = card(phone, 3).get_by_role("button", name=name)
    x, y = middle(own)
    before = scrolled(phone)
    drag(phone, (x, y), (x, y - 300))
    assert scrolled(phone) > before + 100
    assert decided(phone) == []
    expect(phone.get_by_role("toolbar", name="Selected pictures")).to_be_hidden()


def test_a_finger_that_slips_off_a_button_decides_nothing_and_one_that_stays_does(phone: Page) -> None:
    own = card(phone, 1).get_by_role("button", name="Remove")
    x, y = middle(own)
    drag(phone, (x, y), (x + 120, y), steps=6)
    assert decided(phone) == []
    drag(phone, (x, y), (x, y), steps=0)
    assert [wish["decision"] for wish in decided(phone)] == ["remove"]


def test_a_long_press_on_a_picture_decides_nothing_and_starts_no_drag(phone: Page) -> None:
    point = middle(card(phone, 1).locator(".sbx-picture").get_by_role("img"))
    drag(phone, point, point, steps=0, rest_ms=900)
    assert decided(phone) == []
    expect(card(phone, 1)).to_have_attribute("data-state", "")
    assert phone.evaluate("getSelection().toString()") == ""
