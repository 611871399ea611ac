"""How the app looks: phones, dark and light, low windows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from _app import BLUE, Card, plain
from _servers import Server, Visitor
from playwright.sync_api import Page, expect

# --- how it looks and feels ---------------------------------------------------------------------------------------


def test_a_phone_needs_no_sideways_scroll_and_has_targets_for_thumbs(visitors: Callable[..., Visitor],
                                                                    server: Server) -> None:
    card = Card(visitors(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page).open(server.url)
    for step in (lambda: None, lambda: card.choose(plain("blue")).expect_answer(BLUE),
                 lambda: card.choose(b"no picture", "n" * 100 + ".jpg").expect_sentence("is not a picture")):
        step()
        widths = card.page.evaluate("""[...document.querySelectorAll("html, body, #main, main, .sbx-app, .sbx-app *")]
            .filter((node) => !node.matches(".sbx-file, .sbx-status") && node.scrollWidth > node.clientWidth
                              && getComputedStyle(node).display !== "inline")
            .map((node) => `${node.tagName}.${node.className}`)""")
        assert widths == []
        assert card.page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [390, 390]
    targets = card.page.locator(".sbx-button:visible, .sbx-classes summary, .sbx-quiet-button:visible")
    heights = targets.evaluate_all("list => list.map(node => node.offsetHeight)")
    assert min(heights) >= 44


@pytest.mark.parametrize("locale", ["en-GB", "ru-RU", "zh-CN"])
def test_on_a_phone_the_table_s_headings_stay_whole_and_its_sentences_have_room(
        visitors: Callable[..., Visitor], server: Server, locale: str) -> None:
    card = Card(visitors(viewport={"width": 390, "height": 844}, locale=locale).page).open(server.url)
    card.choose_several({"a.jpg": plain("blue"), "broken.jpg": b"no picture"}).expect_state("done")
    lines = card.page.locator(".sbx-table th").evaluate_all("""list => list.map((node) => {
        const range = document.createRange();
        range.selectNodeContents(node);
        return range.getClientRects().length;
    })""")
    assert lines == [1, 1, 1]
    table, fault = (card.page.locator(name).bounding_box() for name in (".sbx-table", ".sbx-fault"))
    assert table is not None and fault is not None and fault["width"] > table["width"] / 2


def test_on_a_phone_a_very_long_name_takes_three_lines_of_the_table(visitors: Callable[..., Visitor],
                                                                   server: Server) -> None:
    card = Card(visitors(viewport={"width": 390, "height": 844}).page).open(server.url)
    names = ["n" * 200 + ".jpg", "m" * 200 + ".jpg"]
    card.choose_several(dict(zip(names, (plain("blue"), b"no picture"), strict=True))).expect_state("done")
    titles = card.page.locator(".sbx-table [title]")
    assert [title.get_attribute("title") for title in titles.all()] == names
    lines = titles.evaluate_all("""list => list.map((node) => Math.round(
        node.getBoundingClientRect().height / (1.15 * parseFloat(getComputedStyle(node).fontSize))))""")
    assert all(3 <= count <= 5 for count in lines), f"{lines} lines, by the least height of one; about 20 before"
    assert card.page.evaluate("document.documentElement.scrollWidth") == 390


TEXT_ON_THE_PAGE = (".sbx-label", ".sbx-number", ".sbx-button", ".sbx-facts p", ".sbx-hint", ".sbx-took")


def test_dark_and_light_follow_the_reader_and_can_be_read(visitors: Callable[..., Visitor], server: Server) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        card = Card(visitors(color_scheme=scheme).page).open(server.url)
        card.choose(plain("red")).expect_answer("red")
        shades[scheme] = {name: contrast(card.page, name) for name in TEXT_ON_THE_PAGE}
        assert min(shades[scheme].values()) >= 4.5, shades
    ground = "getComputedStyle(document.querySelector('.sbx-answer')).backgroundColor"
    assert card.page.evaluate(ground) != "rgb(255, 255, 255)"


def contrast(page: Page, selector: str) -> float:
    """WCAG contrast of a text against the nearest ground behind it."""
    text, ground = page.locator(selector).first.evaluate("""(node) => {
        const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
        let behind = node;
        while (behind.parentElement && numbers(getComputedStyle(behind).backgroundColor)[3] === 0) {
            behind = behind.parentElement;
        }
        return [numbers(getComputedStyle(node).color), numbers(getComputedStyle(behind).backgroundColor)];
    }""")

    def luminance(colour: list[float]) -> float:
        parts = [v / 255 / 12.92 if v / 255 <= 0.04045 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in colour[:3]]
        return float(np.dot(parts, [0.2126, 0.7152, 0.0722]))

    light, dark = sorted([luminance(text), luminance(ground)], reverse=True)
    return (light + 0.05) / (dark + 0.05)

def test_a_low_window_can_be_scrolled_to_the_end(visitors: Callable[..., Visitor], server: Server) -> None:
    card = Card(visitors(viewport={"width": 640, "height": 260}).page).open(server.url)
    card.choose(plain("blue")).expect_answer(BLUE)
    last = card.page.get_by_text("is not stored")
    expect(last).not_to_be_in_viewport()
    card.page.mouse.move(320, 200)
    card.page.mouse.wheel(0, 5000)
    expect(last).to_be_in_viewport()
