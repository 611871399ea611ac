"""Answers that say more: several pictures, none of these, what is plausible, where it looked, the card, languages."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from _app import BLUE, NOTEBOOK, Card, encode, plain
from _servers import Server, Visitor, start_voila
from _stages import write_stage
from PIL import Image
from playwright.sync_api import Browser, expect


@pytest.fixture(scope="module")
def explaining(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("explaining")
    notebook = write_stage(folder, "title={'en': 'Which colour?', 'ru': 'Какой цвет?'}, "
                                   "card='# Card\\n<b>not bold</b>'")
    with start_voila(notebook, folder, max_visitors=100) as running:
        yield running


@pytest.fixture
def page(visitor: Visitor, explaining: Server) -> Card:
    return Card(visitor.page).open(explaining.url)


def test_several_pictures_are_a_table_to_choose_from_and_a_csv(card: Card) -> None:
    pictures = {"a.jpg": plain("red"), "=2+5.jpg": plain("blue"), "c.jpg": b"no picture",
                'd, "e".jpg': plain("green")}
    card.choose_several(pictures).expect_state("done")
    expect(card.status).to_have_text("3 of 4 pictures answered.")
    expect(card.answer.get_by_role("heading")).to_have_text("red")
    rows = card.page.get_by_role("row")
    expect(rows).to_have_count(5)
    expect(rows.nth(2)).to_contain_text(BLUE)
    expect(rows.nth(3)).to_contain_text("is not a picture")
    rows.nth(2).get_by_role("button").click()
    expect(card.answer.get_by_role("heading")).to_have_text(BLUE)
    with card.page.expect_download() as download:
        card.page.get_by_role("button", name="Save as CSV").click()
    text = Path(download.value.path()).read_text("utf-8-sig")
    table = list(csv.reader(io.StringIO(text)))
    assert table[0] == ["File", "Answer", "Probability", "Model", "Model made on"]
    assert [row[0] for row in table[1:]] == ["a.jpg", "'=2+5.jpg", "c.jpg", 'd, "e".jpg']
    assert (table[2][1], table[2][3:]) == (BLUE, ["colours", "2025-11-20"])
    assert 0.9 < float(table[1][2]) < 1 and table[3][2] == ""
    card.choose(plain("red")).expect_answer("red")  # the page is still alive, and the table gone
    expect(rows).to_have_count(0)


def test_the_status_line_counts_several_pictures_and_stays_one(card: Card) -> None:
    said = card.page.evaluate_handle("""() => {
        const said = [];
        const status = document.querySelector(".sbx-status");
        new MutationObserver(() => said.push(status.textContent)).observe(status, {childList: true});
        return said;
    }""")
    card.choose_several({f"{n}.jpg": plain("red") for n in range(3)}).expect_state("done")
    sentences = said.json_value()
    assert "Opening picture 2 of 3 …" in sentences and sentences[-1] == "3 of 3 pictures answered."
    expect(card.page.locator("[role=status].sbx-status")).to_have_count(1)


def test_an_answer_that_takes_a_while_is_said_to_be_on_its_way(card: Card) -> None:
    card.page.evaluate("""() => {
        const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function (data) {
            setTimeout(() => send.call(this, data), (data.byteLength ?? data.size ?? data.length) > 2 ** 15 ? 2000 : 0);
        };
    }""")
    card.choose(encode(Image.effect_noise((500, 400), 60).convert("RGB"), quality=95))
    expect(card.status).to_have_text("Looking at the picture …", timeout=1900)
    card.expect_state("done")


def test_a_large_photo_says_how_it_was_made_smaller(card: Card) -> None:
    large = encode(Image.effect_noise((2000, 1500), 60).convert("RGB"), quality=95)
    card.choose(large).expect_state("done")
    expect(card.answer).to_contain_text("Made smaller before it was sent: from 2,000 × 1,500 pixels (")
    expect(card.answer).to_contain_text("to 500 × 375 (")  # two eighths, which is near enough to 512
    card.choose(plain("red")).expect_answer("red")
    expect(card.answer).not_to_contain_text("Made smaller")


@pytest.mark.parametrize(("missing", "size"), [("ImageDecoder", "512 × 384"), ("OffscreenCanvas", "500 × 375")])
def test_a_browser_that_lacks_something_makes_it_smaller_in_another_way(visitor: Visitor, server: Server, missing: str,
                                                                        size: str) -> None:
    visitor.page.add_init_script(f"delete globalThis.{missing};")
    card = Card(visitor.page).open(server.url).choose(plain("blue", (2000, 1500)))
    card.expect_answer(BLUE)
    expect(card.answer).to_contain_text(f"to {size} (")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animated_picture_says_that_its_first_frame_was_used(card: Card, kind: str) -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue", "green")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
    card.choose(data, f"a.{kind.lower()}", f"image/{kind.lower()}").expect_answer("red")
    expect(card.answer).to_contain_text("only its first frame was looked at")
    still = encode(frames[0], kind)
    card.choose(still, f"b.{kind.lower()}", f"image/{kind.lower()}").expect_answer("red")
    expect(card.answer).not_to_contain_text("first frame")


def test_none_of_these_says_why_and_what_would_be_nearest(page: Card) -> None:
    page.choose(plain((120, 118, 119)))
    page.expect_state("done")
    expect(page.answer.get_by_role("heading")).to_have_text("Probably none of these")
    expect(page.answer).to_contain_text("The nearest would be red, 34%.")
    expect(page.answer).to_contain_text("only under 1% looked at least as strange")
    expect(page.status).to_have_text("Answer: probably none of these.")


def test_what_is_plausible_is_named_and_nothing_plausible_is_said(page: Card) -> None:
    page.choose(plain((250, 248, 10))).expect_answer("red")
    expect(page.answer).to_contain_text("Any of these is plausible: red, green.")
    page.choose(plain("black"))
    expect(page.answer.get_by_role("heading")).to_have_text("Not sure it is any of these.")
    expect(page.status).to_have_text("Not sure it is any of these.")


def test_none_of_these_stands_beside_no_probability_of_another_answer(page: Card) -> None:
    page.choose_several({"a.jpg": plain("red"), "strange.jpg": plain((120, 118, 119)), "dark.jpg": plain("black")})
    page.expect_state("done")
    rows = page.page.get_by_role("row")
    expect(rows.nth(2).get_by_role("cell")).to_have_text(["strange.jpg", "none of these", ""])
    expect(rows.nth(3).get_by_role("cell")).to_have_text(["dark.jpg", "Not sure it is any of these.", ""])
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name="Save as CSV").click()
    table = list(csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))
    assert [row[1:3] for row in table[2:]] == [["none of these", ""], ["Not sure it is any of these.", ""]]
    assert float(table[1][2]) > 0.9


def test_the_tab_has_the_title_of_the_page_in_the_readers_language(visitors: Callable[..., Visitor],
                                                                   explaining: Server) -> None:
    for locale, title in (("en", "Which colour?"), ("ru", "Какой цвет?")):
        page = visitors(locale=locale).page
        Card(page).open(explaining.url)
        expect(page).to_have_title(title)


def test_where_it_looked_can_be_laid_over_the_picture_and_taken_away(page: Card) -> None:
    picture = Image.new("RGB", (320, 240), "black")
    picture.paste("red", (0, 0, 160, 240))
    page.choose(encode(picture)).expect_answer("red")
    heat = page.answer.locator("canvas")
    expect(heat).to_be_hidden()
    button = page.answer.get_by_role("button", name="Show where it looked")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(heat).to_be_visible()
    boxes = [page.answer.locator(name).bounding_box() for name in ("canvas", "img")]
    assert boxes[0] and boxes[1] and all(abs(boxes[0][key] - boxes[1][key]) < 2 for key in boxes[0])
    left, right = heat.evaluate("""(canvas) => [0.25, 0.75].map((x) => canvas.getContext("2d")
        .getImageData(canvas.width * x, canvas.height / 2, 1, 1).data[3])""")
    assert left > 150 > 20 > right
    page.answer.get_by_role("button", name="Hide where it looked").click()
    expect(heat).to_be_hidden()


def test_the_card_is_one_click_away_and_is_text(page: Card) -> None:
    text = page.page.locator(".sbx-card-text")
    expect(text).to_be_hidden()
    page.page.get_by_text("About this model").click()
    expect(text).to_have_text("# Card\n<b>not bold</b>")
    assert text.locator("b").count() == 0


@pytest.mark.parametrize(("locale", "button", "heading", "sentence"), [
    ("ru-RU", "Выбрать снимок", "Какой цвет?", "bad.jpg не снимок."),
    ("zh-CN", "选择图片", "Which colour?", "bad.jpg 不是图片"),
    ("fr-FR", "Choose a picture", "Which colour?", "bad.jpg is not a picture"),
])
def test_the_browser_s_language_chooses_the_texts(visitors: Callable[..., Visitor], explaining: Server, locale: str,
                                                  button: str, heading: str, sentence: str) -> None:
    card = Card(visitors(locale=locale).page)
    card.page.goto(explaining.url, wait_until="commit")
    card.expect_state("ready")
    expect(card.page.get_by_text(button, exact=True)).to_be_visible()
    expect(card.page.get_by_role("heading", level=1)).to_have_text(heading)
    card.choose(b"no picture", "bad.jpg").expect_state("error")
    expect(card.status).to_contain_text(sentence)
    assert card.page.evaluate("document.documentElement.lang") == card.root.get_attribute("lang") == (
        locale[:2] if locale[:2] in ("ru", "zh") else "en")


def test_a_file_of_the_maker_s_own_texts_is_used(visitors: Callable[..., Visitor], tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "de.json").write_text('{"choose": "Bild wählen"}', "utf-8")
    notebook = write_stage(tmp_path, "languages=['en', 'de.json']")
    with start_voila(notebook, tmp_path) as server:
        card = Card(visitors(locale="de-DE").page).open(server.url)
        expect(card.page.get_by_text("Bild wählen")).to_be_visible()
        card.page.close()


def test_a_phone_has_a_button_for_its_camera_and_a_desk_has_not(visitors: Callable[..., Visitor], server: Server,
                                                               ) -> None:
    phone = Card(visitors(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page).open(server.url)
    camera = phone.page.locator("input.sbx-camera")
    expect(phone.page.get_by_text("Take a photo")).to_be_visible()
    assert (camera.get_attribute("capture"), camera.get_attribute("accept")) == ("environment", "image/*")
    camera.set_input_files({"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": plain("blue")})
    phone.expect_answer(BLUE)
    desk = Card(visitors().page).open(server.url)
    expect(desk.page.get_by_text("Take a photo")).to_be_hidden()


def test_a_photo_of_forty_megabytes_is_answered_and_forty_of_nothing_are_refused(card: Card, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    huge = encode(Image.fromarray(rng.integers(0, 255, (5200, 5200, 3), np.uint8)), quality=98)
    assert len(huge) > 38_000_000
    for name, data in (("huge.jpg", huge), ("nothing.jpg", bytes(40_000_000))):
        (tmp_path / name).write_bytes(data)  # as files: Playwright takes minutes to hand over so many bytes itself
    card.input.set_input_files(tmp_path / "huge.jpg")
    card.expect_state("done")
    expect(card.answer).to_contain_text("from 5,200 × 5,200 pixels")
    card.input.set_input_files(tmp_path / "nothing.jpg")
    card.expect_sentence("too large to send as it is")
    card.choose(plain("blue")).expect_answer(BLUE)


def test_the_shipped_notebook_is_one_cell_to_edit_and_one_of_code() -> None:
    import nbformat

    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert [cell.cell_type for cell in cells] == ["markdown", "code"]
    assert "shoebox.app(" in cells[1].source
