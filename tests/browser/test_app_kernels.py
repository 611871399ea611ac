"""What a visitor sees of servers and kernels: their end, their number, and tricks with the address."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from _app import BLUE, NOTEBOOK, Card, kernel_id, kernel_process, plain
from _servers import Server, Visitor, http_status, start_voila, wait_until
from playwright.sync_api import expect

from shoebox.widgets._texts import texts_of

# --- what happens to servers --------------------------------------------------------------------------------------


def test_a_killed_kernel_is_told_within_seconds(visitor: Visitor, card: Card, server: Server) -> None:
    visitor.expect_trouble = True
    card.choose(plain("red")).expect_answer("red")
    os.kill(kernel_process(server, kernel_id(card.page)).pid, signal.SIGKILL)
    card.choose(plain("blue"))
    expect(card.status).to_contain_text("The program behind this page has ended. Reload", timeout=7000)
    expect(card.input).to_be_disabled()
    card.page.get_by_role("button", name="Reload the page").click()
    card.expect_state("ready")
    card.choose(plain("blue")).expect_answer(BLUE)


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


@pytest.mark.parametrize("preheat", [0, 1])
def test_who_reloads_a_full_house_is_no_further_visitor(visitor: Visitor, bundle: Path, tmp_path: Path,
                                                        preheat: int) -> None:
    visitor.expect_trouble = True  # the old page's line is cut off
    with start_voila(NOTEBOOK, tmp_path, model=bundle, max_visitors=1, preheat=preheat) as server:
        card = Card(visitor.page).open(server.url)
        for _ in range(2):
            before = kernel_id(card.page)
            response = visitor.page.reload(wait_until="commit")
            assert response is not None and response.status == 200
            card.expect_state("ready")
            assert kernel_id(card.page) != before
        card.choose(plain("red")).expect_answer("red")
        visitor.page.close()


def test_a_wrong_address_says_so_in_the_readers_language(visitors: Callable[..., Visitor], bundle: Path,
                                                         tmp_path: Path) -> None:
    with start_voila(NOTEBOOK, tmp_path, model=bundle, preheat=0) as server:
        for locale, words in (("ru", texts_of("ru")["nothing_title"]), ("en", "There is nothing here")):
            visitor = visitors(locale=locale)
            visitor.expect_trouble = True  # the browser notes the status itself
            response = visitor.page.goto(server.url + "an/other.ipynb?x=1")
            assert response is not None and response.status == 404
            expect(visitor.page.get_by_role("heading")).to_have_text(words)
            expect(visitor.page).to_have_title(words)


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
