"""The app as a visitor meets it: a real Voila, a real Chromium, real picture files."""

from __future__ import annotations

import re
from typing import Any

import pytest
from _app import BLUE, GREEN, Card, encode, photo, plain, sideways
from _servers import Server, Visitor
from PIL import Image
from playwright.sync_api import expect

# --- an answer ----------------------------------------------------------------------------------------------------


def test_a_small_picture_gets_its_label_and_three_bars(card: Card) -> None:
    answer = card.choose(plain((250, 25, 25))).expect_answer("red")
    expect(answer.get_by_text("Probably")).to_be_visible()
    expect(answer.get_by_text("83% sure")).to_be_visible()
    rows = [re.compile("^red.*83%"), re.compile("[89]%"), re.compile("[89]%")]
    expect(answer.get_by_role("listitem")).to_have_text(rows)
    widths = answer.locator(".sbx-fill").evaluate_all("bars => bars.map(bar => bar.offsetWidth)")
    assert 12 * widths[1] > widths[0] > 8 * widths[1] > 0
    shown = answer.get_by_role("img", name="picture.jpg")
    assert shown.evaluate("img => img.decode().then(() => [img.naturalWidth, img.naturalHeight])") == [320, 240]
    expect(card.status).to_have_text("Answer: red, 83%.")
    facts = "Model: colours · made on 2025-11-20 · right for 97.5% of 40 pictures it had not learned from"
    expect(card.page.get_by_text(facts)).to_be_visible()
    expect(card.page.get_by_text("stays in this server's memory and is not stored")).to_be_visible()
    assert card.page.title() == "Which digit is it?"


def test_a_small_file_is_sent_as_it_is_and_a_large_one_is_not(visitor: Visitor, server: Server) -> None:
    frames: list[int] = []
    closed: list[str] = []

    def watch(socket: Any) -> None:
        socket.on("framesent", lambda frame: frames.append(len(frame)))
        socket.on("close", lambda closing: closed.append(closing.url))

    visitor.page.on("websocket", watch)
    card = Card(visitor.page).open(server.url)
    small, large = plain("blue"), photo()
    card.choose(small).expect_answer(BLUE)
    assert len(small) < max(frames) < len(small) + 2000

    assert len(large) > 12_000_000  # over what a WebSocket message may have by default
    frames.clear()
    card.choose(large, "holiday.jpg").expect_answer("red")
    assert 2**14 < max(frames) < len(large) / 20
    card.choose(plain("green")).expect_answer(GREEN)
    assert closed == []


def test_a_small_file_with_many_pixels_is_made_smaller(card: Card) -> None:
    wide = encode(Image.new("RGB", (2600, 200), "red"))
    assert len(wide) < 2**20
    shown = card.choose(wide).expect_answer("red").get_by_role("img")
    shape = shown.evaluate("img => img.decode().then(() => img.naturalWidth / img.naturalHeight)")
    assert shape == pytest.approx(13, rel=0.02)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "BMP", "AVIF"])
def test_other_kinds_of_pictures_are_taken(card: Card, kind: str) -> None:
    data = encode(Image.new("RGB", (64, 48), "blue"), kind)
    card.choose(data, f"a.{kind.lower()}", f"image/{kind.lower()}").expect_answer(BLUE)


def test_what_is_transparent_is_white_for_large_and_small_alike(card: Card) -> None:
    for side in (60, 2400):
        see_through = encode(Image.new("RGBA", (side, side), (0, 0, 255, 0)), "PNG")
        card.choose(see_through, "a.png", "image/png")
        card.expect_state("done")
        expect(card.answer.get_by_role("listitem").first).to_contain_text("33%")
        card.choose(plain("red")).expect_answer("red")


@pytest.mark.parametrize("size", [(300, 400), (1800, 2400)], ids=["as it is", "made smaller"])
def test_a_sideways_photo_is_seen_and_shown_upright(card: Card, size: tuple[int, int]) -> None:
    shown = card.choose(sideways(*size)).expect_answer(BLUE).get_by_role("img")
    width, height, top, bottom = shown.evaluate("""async (img) => {
        await img.decode();
        const size = {width: img.naturalWidth, height: img.naturalHeight};
        const canvas = Object.assign(document.createElement("canvas"), size);
        const context = canvas.getContext("2d");
        context.drawImage(img, 0, 0);
        const at = (y) => Array.from(context.getImageData(canvas.width >> 1, y, 1, 1).data);
        return [canvas.width, canvas.height, at(5), at(canvas.height - 5)];
    }""")
    assert height > width
    assert top[2] > 200 > 60 > top[0]
    assert bottom[0] > 200 > 60 > bottom[2]


def test_the_same_file_can_be_chosen_twice(card: Card) -> None:
    for _ in range(2):
        card.choose(plain("red")).expect_answer("red")
        card.page.evaluate("document.querySelector('.sbx-answer').dataset.old = 'yes'")
        old = card.page.locator(".sbx-answer[data-old] .sbx-label")
        previous = old.element_handle()
        card.choose(plain("red"))
        assert previous is not None
        card.page.wait_for_function("node => !node.isConnected", arg=previous)
        card.expect_answer("red")


def test_the_last_of_two_quick_choices_wins(card: Card) -> None:
    card.choose(photo(3000, 2000)).choose(plain("green")).expect_answer(GREEN)
    card.choose(plain("blue")).expect_answer(BLUE)
