"""The app as a visitor meets it: a real Voila, a real Chromium, real picture files."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
from _servers import Server, Visitor, http_status, start_voila, wait_until
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from shoebox.bundle import Manifest
from shoebox.bundle._records import DatasetRecord, FileRecord, Parity, Preprocessing
from shoebox.widgets.uploader import LIMITS, TEXTS, Uploader

BLUE = "<b onclick=window.hacked=1>blue</b>"
GREEN = "зелёный"

CLASSES = ("red", GREEN, BLUE)
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "app.ipynb"  # the one that is shipped

# A whole model, if a small one: how red, green and blue the upper half of the picture is, as three shares.
GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
colours (uint8[N, H, W, 3] image) => (float[N, 3] probabilities) {
    zero = Constant<value = int64[1] {0}>()
    one = Constant<value = int64[1] {1}>()
    two = Constant<value = int64[1] {2}>()
    sides = Constant<value = int64[2] {1, 2}>()
    faint = Constant<value = float[1] {1.0}>()
    pixels = Cast<to = 1>(image)
    height = Shape<start = 1, end = 2>(image)
    half = Div(height, two)
    end = Max(half, one)
    upper = Slice(pixels, zero, end, one)
    mean = ReduceMean<keepdims = 0>(upper, sides)
    parts = Add(mean, faint)
    total = ReduceSum<keepdims = 1>(parts, one)
    probabilities = Div(parts, total)
}
"""


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "colours"
    folder.mkdir()
    model, card = onnx.parser.parse_model(GRAPH).SerializeToString(), b"# Colours\n"
    files = {"model.onnx": model, "MODEL_CARD.md": card}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    records = {name: FileRecord(hashlib.sha256(data).hexdigest(), len(data)) for name, data in files.items()}
    manifest = Manifest(
        protocol=1, name="colours", created="2025-11-20T10:00:00+00:00", classes=CLASSES,
        preprocessing=Preprocessing("squish", (8, 8), (8, 8)), temperature=1.0, thresholds=None,
        metrics={"accuracy": 0.975, "n_images": 40}, parity=Parity(40, 0.0, 1e-4, 40),
        dataset=DatasetRecord("0" * 64, dict.fromkeys(CLASSES, 20)), versions={"shoebox": "0.1.0"}, files=records)
    (folder / "manifest.json").write_bytes(manifest.to_json())
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, bundle: Path, chromium: Browser) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("app")
    with start_voila(NOTEBOOK, folder, model=bundle, max_visitors=100, preheat=1) as running:
        yield running


class Card:
    """What a person can see and do on the page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator(".sbx-app")
        self.status = page.get_by_role("status").and_(page.locator(".sbx-status"))
        self.answer = page.get_by_role("article", name="Answer")
        self.input = page.locator("input[type=file]")

    def open(self, url: str) -> Card:
        self.page.goto(url, wait_until="commit")
        self.expect_state("ready")
        return self

    def choose(self, data: bytes, name: str = "picture.jpg", kind: str = "image/jpeg") -> Card:
        self.input.set_input_files({"name": name, "mimeType": kind, "buffer": data})
        return self

    def expect_state(self, state: str, timeout_s: float = 30) -> None:
        expect(self.root).to_have_attribute("data-state", state, timeout=timeout_s * 1000)

    def expect_answer(self, label: str) -> Locator:
        self.expect_state("done")
        expect(self.answer.get_by_role("heading")).to_have_text(label)
        return self.answer

    def expect_sentence(self, words: str, timeout_s: float = 30) -> None:
        self.expect_state("error", timeout_s)
        expect(self.status).to_contain_text(words)
        expect(self.answer).to_be_hidden()


@pytest.fixture
def card(visitor: Visitor, server: Server) -> Card:
    return Card(visitor.page).open(server.url)


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def plain(colour: str | tuple[int, int, int] = "red", size: tuple[int, int] = (320, 240)) -> bytes:
    return encode(Image.new("RGB", size, colour))


def photo(width: int = 4300, height: int = 3225) -> bytes:
    """As large as a phone's: noise, as nothing compresses worse, with a red cast."""
    pixels = np.random.default_rng(0).integers(0, 200, (height, width, 3), np.uint8)
    pixels[..., 0] += 50
    return encode(Image.fromarray(pixels), quality=93)


def sideways(width: int, height: int) -> bytes:
    """Stored lying on its side; upright, its upper half is blue and its lower half red."""
    upright = Image.new("RGB", (width, height), "red")
    upright.paste("blue", (0, 0, width, height // 2))
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(upright.transpose(Image.Transpose.ROTATE_90), exif=exif, quality=95)


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
    facts = "Model: colours, made on 2025-11-20, right for 97.5% of 40 pictures it had not learned from."
    expect(card.page.get_by_text(facts)).to_be_visible()
    expect(card.page.get_by_text("stays in this server's memory and is not stored")).to_be_visible()
    assert card.page.title() == "Shoebox classifier"


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
    assert 2**16 < max(frames) < 3 * 2**20
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


def test_of_several_dropped_pictures_the_first_is_used_and_that_is_said(card: Card) -> None:
    said = card.page.evaluate_handle("""() => {
        const said = [];
        const status = document.querySelector(".sbx-status");
        new MutationObserver(() => said.push(status.textContent)).observe(status, {childList: true});
        return said;
    }""")
    card.page.evaluate(_HAND_OVER, ["drop", ".sbx-drop", list(plain("blue")), 3])
    card.expect_answer(BLUE)
    assert any("only the first is used" in sentence for sentence in said.json_value())


def test_a_drop_without_a_file_is_left_alone_and_an_empty_one_is_explained(card: Card) -> None:
    assert card.page.evaluate(_HAND_OVER, ["drop", ".sbx-drop", [], 0]) is False
    card.expect_state("ready")


def test_the_keyboard_reaches_the_button(card: Card) -> None:
    card.page.keyboard.press("Tab")
    expect(card.input).to_be_focused()
    assert card.page.locator(".sbx-button").evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    for last in (False, False, True):  # headless Chromium on a loaded machine loses a chooser now and then
        try:
            with card.page.expect_file_chooser(timeout=10_000) as chooser:
                card.page.keyboard.press("Enter")
            break
        except PlaywrightTimeoutError:
            assert not last, "three times Enter, and no file chooser"
    chooser.value.set_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": plain("red")})
    card.expect_answer("red")


def test_a_click_on_the_button_opens_the_file_chooser(card: Card) -> None:
    with card.page.expect_file_chooser() as chooser:
        card.page.get_by_text("Choose a picture").click()
    assert not chooser.value.is_multiple()
    assert card.input.get_attribute("accept") == "image/jpeg,image/png,image/webp,image/gif,image/bmp,image/avif"
    expect(card.page.get_by_label("Choose a picture")).to_have_count(1)


# --- bad files ----------------------------------------------------------------------------------------------------

HEIC = b"\x00\x00\x00\x18ftypheic" + bytes(200)
BAD_FILES = {
    "damaged": (plain()[:300] + bytes(300), "'bad.jpg'"),
    "cut off": (plain(size=(900, 900))[:2000], "ends too early"),
    "a text file": (b"This is not a picture at all.", "is not a picture"),
    "empty": (b"", "empty (0 bytes)"),
    "a web page": (b"<!doctype html><script>window.hacked=1</script>", "is not a picture"),
    "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.hacked=1'/>", "SVG drawing"),
    "a HEIC photo": (HEIC, "HEIC photo"),
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


# --- what happens to servers --------------------------------------------------------------------------------------


def kernel_id(page: Page) -> str:
    return str(page.evaluate("JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId"))


def kernel_process(server: Server, kernel: str) -> psutil.Process:
    family = psutil.Process(server.process.pid).children(recursive=True)
    return next(process for process in family if kernel in " ".join(process.cmdline()))


def test_a_killed_kernel_is_told_within_seconds(visitor: Visitor, card: Card, server: Server) -> None:
    visitor.expect_trouble = True
    card.choose(plain("red")).expect_answer("red")
    os.kill(kernel_process(server, kernel_id(card.page)).pid, signal.SIGKILL)
    card.choose(plain("blue")).expect_sentence("The server does not answer. Reload the page.", timeout_s=7)


def test_a_page_whose_server_is_gone_says_so(visitor: Visitor, bundle: Path, tmp_path: Path) -> None:
    visitor.expect_trouble = True
    with start_voila(NOTEBOOK, tmp_path, model=bundle) as server:
        card = Card(visitor.page).open(server.url)
    card.choose(plain("red")).expect_sentence("The server does not answer.", timeout_s=7)


def test_a_closed_tab_ends_its_kernel(visitor: Visitor, card: Card, server: Server) -> None:
    page = visitor.context.new_page()
    Card(page).open(server.url)
    kernel = kernel_id(page)
    process = kernel_process(server, kernel)
    assert http_status(f"{server.url}api/kernels/{kernel}") == 200
    page.close(run_before_unload=True)
    wait_until(lambda: http_status(f"{server.url}api/kernels/{kernel}") == 404, "the kernel is gone")
    wait_until(lambda: not process.is_running(), "its process is gone")
    card.choose(plain("red")).expect_answer("red")


def test_visitors_are_apart(visitors: Callable[..., Visitor], server: Server) -> None:
    cards = [Card(visitors().page).open(server.url) for _ in range(2)]
    assert kernel_id(cards[0].page) != kernel_id(cards[1].page)
    cards[0].choose(plain("red")).expect_answer("red")
    expect(cards[1].answer).to_be_hidden()
    cards[1].expect_state("ready")


def test_who_comes_when_it_is_full_reads_a_friendly_page(visitors: Callable[..., Visitor], bundle: Path,
                                                         tmp_path: Path) -> None:
    with start_voila(NOTEBOOK, tmp_path, model=bundle, max_visitors=1, preheat=1) as server:
        first, second = visitors(), visitors()
        Card(first.page).open(server.url)
        second.expect_trouble = True  # the browser notes the status itself
        response = second.page.goto(server.url)
        assert response is not None
        assert response.status == 503
        expect(second.page.get_by_text("Too many visitors just now. Please try again in a minute.")).to_be_visible()
        kernel = kernel_id(first.page)
        first.page.close(run_before_unload=True)
        wait_until(lambda: http_status(f"{server.url}api/kernels/{kernel}") == 404, "the first visitor is gone")
        Card(second.page).open(server.url)


def test_without_kernels_made_ready_beforehand_the_page_comes_too(visitor: Visitor, bundle: Path,
                                                                  tmp_path: Path) -> None:
    with start_voila(NOTEBOOK, tmp_path, model=bundle, preheat=0) as server:
        Card(visitor.page).open(server.url).choose(plain("red")).expect_answer("red")
        visitor.page.close()


def test_a_bundle_that_cannot_be_used_is_a_sentence_on_the_page(visitor: Visitor, tmp_path: Path) -> None:
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    notebook["cells"][1]["source"] = "import shoebox\nshoebox.app('none-such', title='Digits')"
    (tmp_path / "app.ipynb").write_text(json.dumps(notebook))
    with start_voila(tmp_path / "app.ipynb", tmp_path) as server:
        card = Card(visitor.page)
        card.page.goto(server.url, wait_until="commit")
        card.expect_sentence("none-such")
        expect(card.page.get_by_role("heading", name="Digits")).to_be_visible()
        expect(card.input).to_have_count(0)
        assert "The app cannot start" in server.log
        card.page.close()


def test_query_tricks_change_nothing(visitor: Visitor, server: Server) -> None:
    page = visitor.page
    Card(page).open(f"{server.url}?theme=%22%3E%3Cscript%3Ewindow.hacked%3D1%3C%2Fscript%3E&template=none-such")
    assert page.evaluate("window.hacked") is None


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
    targets = card.page.locator(".sbx-button, .sbx-classes summary")
    heights = targets.evaluate_all("list => list.map(node => node.offsetHeight)")
    assert min(heights) >= 44


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


# --- the module by itself, with a model that a test can silence ---------------------------------------------------

_STAGE = """async ([source, css, texts, limits, behaviour]) => {
    const stage = {listeners: 0, urls: new Set(), open: new Set(), sent: []};
    window.stage = stage;
    const add = EventTarget.prototype.addEventListener;
    EventTarget.prototype.addEventListener = function (name, callback, options) {
        if (!(this instanceof AbortSignal)) {
            stage.open.add(options?.signal ?? `${name} without a signal`);
        }
        return add.call(this, name, callback, options);
    };
    const create = URL.createObjectURL, revoke = URL.revokeObjectURL;
    const module = await import(create.call(URL, new Blob([source], {type: "text/javascript"})));
    URL.createObjectURL = (blob) => { const url = create.call(URL, blob); stage.urls.add(url); return url; };
    URL.revokeObjectURL = (url) => { stage.urls.delete(url); revoke.call(URL, url); };
    const callbacks = new Set();
    const traits = {texts, limits, about: {}, problem: ""};
    const model = {
        get: (name) => traits[name],
        on: (name, callback) => { callbacks.add(callback); stage.listeners = callbacks.size; },
        off: (name, callback) => { callbacks.delete(callback); stage.listeners = callbacks.size; },
        send: (content, _, buffers) => {
            stage.sent.push(content.kind);
            const reply = behaviour[content.kind];
            if (!reply) return;
            queueMicrotask(() => callbacks.forEach((callback) => callback(
                {id: content.id, ...reply}, content.kind === "picture" ? [new DataView(new ArrayBuffer(4))] : [])));
        },
    };
    const style = document.createElement("style");
    style.textContent = css;
    document.head.append(style);
    stage.module = module;
    stage.end = module.default.render({model, el: document.body});
}"""
ANSWER = {"ok": True, "label": "cat", "probability": 0.5, "top": [["cat", 0.5], ["dog", 0.45]], "confidence": "unsure",
          "elapsed_ms": 3, "width_px": 1, "height_px": 1, "note": "Look twice."}
ALIVE = {"hello": {"ok": True}, "ping": {"ok": True}}


def stage(page: Page, behaviour: dict[str, Any]) -> Card:
    limits = {**LIMITS, "ping_timeout_ms": 300, "answer_timeout_ms": 300}
    page.goto("about:blank")
    page.evaluate(_STAGE, [str(Uploader._esm), str(Uploader._css), TEXTS, limits, behaviour])
    return Card(page)


def test_nothing_is_left_when_the_view_is_removed(visitor: Visitor) -> None:
    page = visitor.page
    card = stage(page, {**ALIVE, "picture": ANSWER})
    for _ in range(3):
        card.choose(plain()).expect_answer("cat")
    assert page.evaluate("[stage.urls.size, stage.listeners]") == [1, 1]
    page.evaluate("stage.end()")
    assert page.evaluate("[stage.urls.size, stage.listeners]") == [0, 0]
    left = page.evaluate("[...stage.open].map((s) => typeof s === 'string' ? s : s.aborted)")
    assert left == [True]


def test_a_silent_kernel_and_a_slow_answer_have_their_own_sentences(visitor: Visitor) -> None:
    stage(visitor.page, {"hello": {"ok": True}}).choose(plain()).expect_sentence("The server does not answer.")
    assert visitor.page.evaluate("stage.sent") == ["hello", "ping"]
    stage(visitor.page, ALIVE).choose(plain()).expect_sentence("The answer took too long.")


def test_unsure_is_said_in_words_with_both_names(visitor: Visitor) -> None:
    answer = stage(visitor.page, {**ALIVE, "picture": ANSWER}).choose(plain()).expect_answer("cat")
    expect(answer.get_by_text("Unsure between cat and dog; a little more like")).to_be_visible()
    expect(answer.get_by_text("Look twice.")).to_be_visible()


def test_a_refusal_is_shown_as_text(visitor: Visitor) -> None:
    refusal = {"ok": False, "error": "No <b>cats</b> today."}
    stage(visitor.page, {**ALIVE, "picture": refusal}).choose(plain()).expect_sentence("No <b>cats</b> today.")


def test_percentages_never_claim_certainty(visitor: Visitor) -> None:
    stage(visitor.page, ALIVE)
    words = visitor.page.evaluate("""[1, 0.9999, 0.99, 0.5, 0.0101, 0.0099, 0].map((p) => stage.module.percent(p,
        {more_than: "over {percent}", less_than: "under {percent}"}))""")
    assert words == ["100%", "over 99%", "99%", "50%", "1%", "under 1%", "0%"]
    assert visitor.page.evaluate("stage.module.fit(4000, 1, 1280)") == {"width": 1280, "height": 1}
    assert visitor.page.evaluate("stage.module.fit(30, 40, 1280)") == {"width": 30, "height": 40}


def test_a_low_window_can_be_scrolled_to_the_end(visitors: Callable[..., Visitor], server: Server) -> None:
    card = Card(visitors(viewport={"width": 640, "height": 260}).page).open(server.url)
    card.choose(plain("blue")).expect_answer(BLUE)
    last = card.page.get_by_text("is not stored")
    expect(last).not_to_be_in_viewport()
    card.page.mouse.move(320, 200)
    card.page.mouse.wheel(0, 5000)
    expect(last).to_be_in_viewport()
