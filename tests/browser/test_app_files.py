"""Ways to bring a picture to the app, and files that are none."""

from __future__ import annotations

import pytest
from _app import BLUE, Card, encode, plain
from PIL import Image
from playwright.sync_api import expect

# --- ways to bring a picture --------------------------------------------------------------------------------------

_HAND_OVER = """([kind, target, bytes, files]) => {
    const data = new DataTransfer();
    for (let n = 0; n < files; n++) data.items.add(new File([new Uint8Array(bytes)], "a.jpg", {type: "image/jpeg"}));
    const init = {bubbles: true, cancelable: true};
    const event = kind === "paste" ? new ClipboardEvent(kind, {...init, clipboardData: data})
                                   : new DragEvent(kind, {...init, dataTransfer: data});
    document.querySelector(target).dispatchEvent(event);
    return event.defaultPrevented;
}"""


@pytest.mark.parametrize(("kind", "target"), [("drop", ".sbx-drop"), ("drop", "body"), ("paste", "body")])
def test_a_picture_can_be_dropped_and_pasted(card: Card, kind: str, target: str) -> None:
    assert card.page.evaluate(_HAND_OVER, [kind, target, list(plain("blue")), 1]) is True
    card.expect_answer(BLUE)


def test_a_drop_without_a_file_is_left_alone_and_an_empty_one_is_explained(card: Card) -> None:
    assert card.page.evaluate(_HAND_OVER, ["drop", ".sbx-drop", [], 0]) is False
    card.expect_state("ready")


def test_the_keyboard_reaches_the_button(card: Card) -> None:
    card.page.keyboard.press("Tab")
    expect(card.input).to_be_focused()
    button = card.page.locator(".sbx-button:not(.sbx-second)").first
    assert button.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    card.page.on("filechooser", lambda _: None)  # from now on Chromium hands choosers over ...
    card.page.evaluate("1")  # ... and knows it: a key pressed without an answer from the page overtakes that
    with card.page.expect_file_chooser() as chooser:
        card.page.keyboard.press("Enter")
    chooser.value.set_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": plain("red")})
    card.expect_answer("red")


def test_a_click_on_the_button_opens_the_file_chooser(card: Card) -> None:
    with card.page.expect_file_chooser() as chooser:
        card.page.get_by_text("Choose a picture").click()
    assert chooser.value.is_multiple()
    assert card.input.get_attribute("accept") == "image/jpeg,image/png,image/webp,image/gif,image/bmp,image/avif"
    expect(card.page.get_by_label("Choose a picture")).to_have_count(1)

# --- bad files ----------------------------------------------------------------------------------------------------

HEIC = b"\x00\x00\x00\x18ftypheic" + bytes(200)
BAD_FILES = {
    "damaged": (plain()[:300] + bytes(300), "bad.jpg ends too early"),
    "cut off": (plain(size=(900, 900))[:2000], "ends too early"),
    "a text file": (b"This is not a picture at all.", "is not a picture"),
    "empty": (b"", "empty (0 bytes)"),
    "a web page": (b"<!doctype html><script>window.hacked=1</script>", "is not a picture"),
    "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.hacked=1'/>", "a kind that cannot be opened"),
    "the head of a HEIC photo": (HEIC, "is damaged"),  # its library is installed with the tests
    "nine megabytes of nothing": (bytes(9 * 2**20), "too large to send as it is"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_a_sentence_and_the_next_picture_works(card: Card, case: str) -> None:
    data, words = BAD_FILES[case]
    card.choose(plain("red")).expect_answer("red")
    card.choose(data, "bad.jpg").expect_sentence(words)
    assert "Traceback" not in (card.status.text_content() or "")
    card.choose(plain("blue")).expect_answer(BLUE)


def test_names_are_shown_as_they_are_and_never_run(card: Card) -> None:
    name = "<img src=x onerror=window.hacked=1>.jpg"
    answer = card.choose(plain("blue"), name).expect_answer(BLUE)
    expect(answer.get_by_role("img")).to_have_attribute("alt", f"The picture that was looked at: {name}")
    card.choose(b"no picture", name).expect_sentence("onerror=window.hacked=1")
    card.page.get_by_text("What it knows (3)").click()
    expect(card.page.locator(".sbx-classes").get_by_text(BLUE)).to_be_visible()
    assert card.page.evaluate("window.hacked") is None
    assert card.page.locator(".sbx-app b, .sbx-app img[src=x]").count() == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_large_photo_is_upright_whatever_its_orientation_says(card: Card, orientation: int) -> None:
    """Large JPEGs are decoded at a fraction of their size, by another way than small ones."""
    turns = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
             5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
             8: Image.Transpose.ROTATE_270}  # from upright to how it is stored
    upright = Image.new("RGB", (1800, 2400), "red")
    upright.paste("blue", (0, 0, 1800, 1200))
    upright.paste("green", (0, 0, 900, 300))
    stored = upright.transpose(turns[orientation]) if orientation in turns else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    card.choose(encode(stored, exif=exif, quality=95)).expect_state("done")
    expect(card.answer).to_contain_text("from 1,800 × 2,400 pixels")
    size, corner, right, low = card.answer.get_by_role("img").evaluate("""async (img) => {
        await img.decode();
        const canvas = Object.assign(document.createElement("canvas"),
                                     {width: img.naturalWidth, height: img.naturalHeight});
        const context = canvas.getContext("2d");
        context.drawImage(img, 0, 0);
        const at = (x, y) => Array.from(context.getImageData(canvas.width * x, canvas.height * y, 1, 1).data)
            .slice(0, 3).map((value) => value > 100);
        return [[canvas.width, canvas.height], at(0.2, 0.05), at(0.8, 0.05), at(0.5, 0.9)];
    }""")
    assert size == [384, 512]
    assert corner == [False, True, False] and right == [False, False, True] and low == [True, False, False]
