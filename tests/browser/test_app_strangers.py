"""What strangers can do to the app in a browser: markup in every place, many tabs, aborted visits, servers that go."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
from _app import NOTEBOOK, Card, kernel_id, plain
from _servers import Server, Visitor, free_port, http_status, start_voila, wait_until
from _stages import write_stage
from playwright.sync_api import Browser, expect

EVIL = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script><b onclick=window.hacked=1>x</b>"
ARGUMENTS = (f"title={EVIL!r}, intro={EVIL!r}, card={EVIL!r}, feedback='../inbox', watch='../watch', "
             "stage='supervised', languages=['en', 'de.json']")


@pytest.mark.parametrize("policy", [True, False], ids=["with the policy", "without"])
def test_markup_in_fifteen_places_is_shown_and_never_run(chromium: Browser, tmp_path: Path, policy: bool) -> None:
    """Class names, model name, title, intro, card, file names, the maker's texts, and a language of the visitor's."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "de.json").write_text(json.dumps({"choose_another": EVIL, "hint": EVIL, "kinds": EVIL}))
    notebook = write_stage(tmp_path, ARGUMENTS, classes=(EVIL, f"{EVIL}2", "='x'"), name=EVIL)
    with start_voila(notebook, tmp_path) as server:
        context = chromium.new_context(bypass_csp=not policy, locale="de-DE")
        page = context.new_page()
        card = Card(page).open(server.url + "?lang=" + EVIL.replace(" ", "%20"))
        card.choose(plain("red"), f"{EVIL}.jpg").expect_state("done")
        card.answer.get_by_role("button", name="Wrong, it is …").click()
        card.answer.get_by_role("checkbox").check()
        card.answer.get_by_label("Choose what it is").select_option("1")
        card.answer.get_by_role("button", name="Send").click()
        expect(card.answer.get_by_text("The picture is kept under")).to_be_visible()
        card.choose_several({f"{EVIL}-{n}.jpg": plain("red") if n else b"no picture" for n in range(3)})
        card.expect_state("done")
        for summary in page.locator("summary").all():
            summary.click()
        places = {"title": "h1.sbx-title", "intro": ".sbx-intro", "card": ".sbx-card-text", "class": ".sbx-classes li",
                  "label": ".sbx-answer h2", "bars": ".sbx-bar-label", "model": ".sbx-facts p", "button": ".sbx-button",
                  "hint": ".sbx-hint", "kinds": ".sbx-kinds", "option": ".sbx-choice option", "row": ".sbx-row span",
                  "sentence": ".sbx-fault", "cell": ".sbx-table td"}
        for place, selector in places.items():
            shown = page.locator(selector).all_text_contents()
            assert any("onerror" in text for text in shown), (place, shown)
        assert "onerror" in (card.answer.get_by_role("img").get_attribute("alt") or "")
        page.locator(".sbx-app").dispatch_event("click")
        assert page.evaluate("window.hacked") is None
        inside = page.locator(".sbx-app")
        assert inside.locator("script, b, img[src=x], [onerror], [onclick]").count() == 0
        context.close()


@pytest.mark.timeout(600)
def test_fifty_visitors_in_a_row_leave_no_kernel_and_no_socket(chromium: Browser, bundle: Path, tmp_path: Path) -> None:
    with start_voila(NOTEBOOK, tmp_path, model=bundle) as server:
        fifty_come_and_go(chromium, server)


def open_files(server: Server) -> int:
    """Of the server's processes, kernels left aside."""
    family = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    return sum(one.num_fds() for one in family if "ipykernel_launcher" not in " ".join(one.cmdline()))


def fifty_come_and_go(chromium: Browser, server: Server) -> None:
    context = chromium.new_context()
    kernels = []
    before = open_files(server)
    for number in range(50):
        page = context.new_page()
        card = Card(page).open(server.url)
        if number % 10 == 0:
            card.choose(plain("red")).expect_answer("red")
        kernels.append(kernel_id(page))
        page.close(run_before_unload=True)
    assert len(set(kernels)) == 50
    wait_until(lambda: all(http_status(f"{server.url}api/kernels/{kernel}") == 404 for kernel in kernels),
               "no kernel of theirs is left", timeout_s=60)
    context.close()
    health = json.loads(urllib.request.urlopen(f"{server.url}health", timeout=10).read())
    assert health["visitors"] == 0
    # Four sockets of each line that was cut while its kernel ended stayed open: after 250 visitors every page hung.
    wait_until(lambda: open_files(server) < before + 30, "their sockets are closed")


def test_a_server_that_comes_back_is_noticed(visitor: Visitor, bundle: Path, tmp_path: Path) -> None:
    visitor.expect_trouble = True
    with start_voila(NOTEBOOK, tmp_path, model=bundle) as server:
        port = int(server.url.rsplit(":", 1)[1].rstrip("/"))
        card = Card(visitor.page).open(server.url)
        card.choose(plain("red")).expect_answer("red")
    card.choose(plain("red")).expect_sentence("The server does not answer.", timeout_s=8)
    (tmp_path / "again").mkdir()
    with start_voila(NOTEBOOK, tmp_path / "again", model=bundle, port=port):
        card.choose(plain("red"))
        expect(card.status).to_contain_text("The program behind this page has ended.", timeout=20_000)
        card.page.get_by_role("button", name="Reload the page").click()
        card.expect_state("ready")
        card.choose(plain("red")).expect_answer("red")
        card.page.close()


@contextmanager
def embedding(app_url: str, port: int) -> Iterator[str]:
    """Another site, which shows the app in a frame."""
    body = f"<!doctype html><iframe src='{app_url}' width=800 height=800></iframe>".encode()

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{port}/"
        site.shutdown()


def test_the_app_works_in_a_frame_of_a_named_host_and_of_no_other(visitors: Callable[..., Visitor], bundle: Path,
                                                                  tmp_path: Path) -> None:
    port = free_port()
    with start_voila(NOTEBOOK, tmp_path, model=bundle, embed_in=[f"http://127.0.0.1:{port}"]) as server, \
            embedding(server.url, port) as friend, embedding(server.url, free_port()) as stranger:
        for url, ready in ((friend, 1), (stranger, 0)):
            visitor = visitors()
            visitor.expect_trouble = True  # the browser notes a refused frame
            visitor.page.goto(url)
            visitor.page.wait_for_function("window.frames.length === 1")
            app = visitor.page.frame_locator("iframe").locator(".sbx-app[data-state=ready]")
            expect(app).to_have_count(ready, timeout=30_000)
            visitor.page.close()


def test_memory_of_a_visitor_stays_within_its_bounds_under_a_flood(card: Card, server: Server) -> None:
    """60 pictures as large as the page ever sends, one after the other: the kernel may not keep them."""
    kernel = kernel_id(card.page)
    process = next(child for child in psutil.Process(server.process.pid).children(recursive=True)
                   if kernel in " ".join(child.cmdline()))
    card.choose_several({f"{n}.jpg": plain("red", (700, 500)) for n in range(50)}).expect_state("done", 120)
    expect(card.status).to_have_text("50 of 50 pictures answered.")
    assert process.memory_info().rss < 400 * 2**20
