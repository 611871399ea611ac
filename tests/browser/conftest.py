"""Chromium for the browser tests.

Without a Chromium on the PATH they are skipped and say so; with SHOEBOX_REQUIRE_BROWSER=1 they fail instead.

    def test_something(visitor):                 # a fresh context; the page's record is checked at the end
        visitor.page.goto(server.url)

    def test_phone(visitors):                    # several, or with a context of one's own
        visitor = visitors(viewport={"width": 390, "height": 844})
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from _alone import open_alone
from _app import NOTEBOOK, Card, write_bundle
from _servers import Recorder, Server, Visitor, start_voila
from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--no-first-run",
             "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        reason = "no Chromium: none on the PATH. Install it (Debian: apt-get install chromium) and run again."
        if os.environ.get("SHOEBOX_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visitors(chromium: Browser) -> Iterator[Callable[..., Visitor]]:
    arrived: list[Visitor] = []

    def arrive(**context_options: Any) -> Visitor:
        context = chromium.new_context(**context_options)
        page = context.new_page()
        arrived.append(Visitor(context, page, Recorder(page)))
        return arrived[-1]

    yield arrive
    for visitor in arrived:
        visitor.context.close()
    for visitor in arrived:
        visitor.recorder.assert_clean(console=not visitor.expect_trouble)


@pytest.fixture
def visitor(visitors: Callable[..., Visitor]) -> Visitor:
    return visitors()


@pytest.fixture
def alone(visitor: Visitor) -> Page:
    """The cleaner's page without a kernel."""
    return open_alone(visitor.page)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("models") / "colours")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, bundle: Path, chromium: Browser) -> Iterator[Server]:
    """The app that is shipped, for all tests that do not end it."""
    with start_voila(NOTEBOOK, tmp_path_factory.mktemp("app"), model=bundle, max_visitors=100, preheat=1) as running:
        yield running


@pytest.fixture
def card(visitor: Visitor, server: Server) -> Card:
    """The app's page, opened and ready."""
    return Card(visitor.page).open(server.url)
