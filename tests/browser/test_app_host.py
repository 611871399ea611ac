"""The page's own small front end, and Voila's where a notebook shows more than the card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from _app import BLUE, NOTEBOOK, Card, kernel_id, plain
from _servers import Server, Visitor, http_status, start_voila, wait_until
from playwright.sync_api import expect

_SOCKETS = """
    const Plain = WebSocket;
    window.sockets = [];
    window.WebSocket = class extends Plain { constructor(...all) { super(...all); window.sockets.push(this); } };
"""


def with_cells(folder: Path, *sources: str, model: str = "") -> Path:
    """The shipped notebook with other code cells."""
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    first = notebook["cells"][1]
    first["source"] = f"import shoebox\nshoebox.app({model!r})" if model else first["source"]
    notebook["cells"] += [{**first, "id": f"more{place}", "source": source} for place, source in enumerate(sources)]
    (folder / "app.ipynb").write_text(json.dumps(notebook))
    return folder / "app.ipynb"


def scripts(visitor: Visitor) -> list[str]:
    asked: list[str] = []
    visitor.page.on("request", lambda request: request.url.endswith(".js") and asked.append(request.url))
    return asked


def test_a_page_with_nothing_but_the_card_asks_for_no_script(visitor: Visitor, server: Server) -> None:
    asked = scripts(visitor)
    Card(visitor.page).open(server.url).choose(plain("blue")).expect_answer(BLUE)
    assert asked == []  # but the card's own module, which its kernel sends
    expect(visitor.page.get_by_role("heading", name="Which digit is it?")).to_be_visible()


@pytest.mark.parametrize(("source", "shown"), [
    ("import ipywidgets\nipywidgets.Button(description='Press here')", "Press here"),
    ("from IPython.display import HTML\nHTML('<em>Opening hours</em>')", "Opening hours"),
    ("print('Opening hours')", "Opening hours"),
])
def test_a_page_with_more_is_shown_by_voila_as_before(visitor: Visitor, bundle: Path, tmp_path: Path, source: str,
                                                      shown: str) -> None:
    with start_voila(with_cells(tmp_path, source), tmp_path, model=bundle) as server:
        asked = scripts(visitor)
        card = Card(visitor.page).open(server.url)
        expect(visitor.page.get_by_text(shown)).to_be_visible()
        card.choose(plain("blue")).expect_answer(BLUE)
        assert any(url.endswith("voila.js") for url in asked)
        visitor.page.close()


def test_a_cell_that_fails_is_told_in_voila_s_words(visitor: Visitor, tmp_path: Path) -> None:
    visitor.expect_trouble = True
    with start_voila(with_cells(tmp_path, "1 / 0", model="none-such"), tmp_path) as server:
        visitor.page.goto(server.url, wait_until="commit")
        told = visitor.page.get_by_text("Sorry, the app could not start.")
        expect(told).to_be_visible(timeout=30_000)
        expect(told).to_contain_text("приложение не запустилось")
        expect(told).to_contain_text("应用未能启动")
        visitor.page.close()


def test_a_line_that_was_cut_is_taken_up_again(visitor: Visitor, server: Server) -> None:
    page = visitor.page
    page.add_init_script(_SOCKETS)
    card = Card(page).open(server.url)
    assert page.evaluate("sockets.length") == 1
    page.evaluate("sockets[0].close()")
    card.choose(plain("blue")).expect_answer(BLUE)
    assert page.evaluate("sockets.length") == 2
    card.choose(plain("red")).expect_answer("red")


def test_a_message_that_is_too_large_ends_the_line_and_the_page_goes_on(visitor: Visitor, server: Server) -> None:
    visitor.expect_trouble = True
    page = visitor.page
    page.add_init_script(_SOCKETS)
    card = Card(page).open(server.url)
    page.evaluate("sockets[0].send(new Uint8Array(21 * 2 ** 20))")
    page.wait_for_function("sockets.length === 2")
    card.choose(plain("blue")).expect_answer(BLUE)


def test_below_a_prefix_the_page_answers_and_its_kernel_ends_with_it(visitor: Visitor, bundle: Path, tmp_path: Path,
                                                                    ) -> None:
    with start_voila(NOTEBOOK, tmp_path, model=bundle, base_url="/apps/colours/") as server:
        assert server.url.endswith("/apps/colours/")
        card = Card(visitor.page).open(server.url)
        card.choose(plain("blue")).expect_answer(BLUE)
        kernel = kernel_id(card.page)
        card.page.close(run_before_unload=True)
        wait_until(lambda: http_status(f"{server.url}api/kernels/{kernel}") == 404, "the kernel has ended")


def test_a_model_that_was_changed_since_is_a_sentence_in_place_of_the_card(visitor: Visitor, tmp_path: Path,
                                                                           bundle: Path) -> None:
    """The server refuses one that is changed when it starts; what is changed later each kernel finds."""
    copy = shutil.copytree(bundle, tmp_path / "copy")
    with start_voila(NOTEBOOK, tmp_path, model=copy, preheat=0) as server:
        data = bytearray((copy / "model.onnx").read_bytes())
        data[-1] ^= 1
        (copy / "model.onnx").write_bytes(data)
        card = Card(visitor.page)
        card.page.goto(server.url, wait_until="commit")
        card.expect_sentence("is not the file that was exported")
        expect(card.input).to_have_count(0)
        assert "The app cannot start" in server.log
        card.page.close()


@pytest.mark.parametrize(("locale", "sentence"), [
    ("en-GB", "The app does not answer. Please reload the page."), ("ru-RU", "Приложение не отвечает."),
    ("zh-CN", "应用没有回应。"), ("fr-FR", "The app does not answer.")])
def test_a_kernel_that_never_answers_is_told(visitors: Callable[..., Visitor], server: Server, locale: str,
                                             sentence: str) -> None:
    visitor = visitors(locale=locale)
    visitor.expect_trouble = True
    page = visitor.page
    page.clock.install()
    page.add_init_script("WebSocket.prototype.send = function () {};")
    page.goto(server.url, wait_until="commit")
    page.wait_for_function("!document.getElementById('loading') && document.getElementById('rendered_cells')")
    page.clock.run_for(21_000)
    expect(page.get_by_role("alert")).to_contain_text(sentence)


def test_a_mailto_link_does_not_end_the_kernel(visitor: Visitor, server: Server) -> None:
    visitor.expect_trouble = True  # nobody here opens a mail
    page = visitor.page
    card = Card(page).open(server.url)
    page.evaluate("""() => {
        const link = Object.assign(document.createElement("a"), {href: "mailto:someone@example.org"});
        document.body.append(link);
        link.click();
    }""")
    card.choose(plain("blue")).expect_answer(BLUE)
    kernel = kernel_id(page)
    assert http_status(f"{server.url}api/kernels/{kernel}") == 200
    page.reload(wait_until="commit")
    wait_until(lambda: http_status(f"{server.url}api/kernels/{kernel}") == 404, "a reload ends the kernel before it")
    card.expect_state("ready")

