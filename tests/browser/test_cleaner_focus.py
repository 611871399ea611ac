"""Where the focus is when what had it is gone: always in the cleaner, so that the next key still means something."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from _cleaner import card, reviewing, save_predictions
from _servers import Server, Visitor, start_voila
from playwright.sync_api import Page, expect
from tests._pictures import folders
from tests.test_serve import write_notebook

from shoebox.data import Dataset

INSIDE = "() => document.querySelector('.sbx-cleaner').contains(document.activeElement)"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = folders(tmp_path_factory.mktemp("data") / "bears", {"black": 4, "grizzly": 4})
    ds = Dataset(root)
    save_predictions(ds, lambda path, label: label)
    return root


@pytest.fixture(scope="module")
def server(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("voila")
    notebook = write_notebook(folder, f"import shoebox\nshoebox.clean(shoebox.Dataset({str(data)!r}))")
    with start_voila(notebook, folder) as running:
        yield running


@pytest.fixture
def page(visitor: Visitor, server: Server, data: Path) -> Iterator[Page]:
    yield from reviewing(visitor.page, server.url, data)


def decided(page: Page, n: int) -> None:
    expect(page.locator(".sbx-decided")).to_have_text(re.compile(f"^{n} of 8"))


@pytest.mark.parametrize("by_key", [False, True])
@pytest.mark.parametrize("name", ["Keep", "Unsure", "Clear"])
def test_after_a_button_of_the_bar_the_next_key_goes_to_a_picture(page: Page, name: str, by_key: bool) -> None:
    card(page, 1).click(position={"x": 20, "y": 60})
    page.keyboard.press("s")
    card(page, 3).click(position={"x": 20, "y": 60}, modifiers=["Shift"])
    bar = page.get_by_role("toolbar", name="Selected pictures")
    expect(bar.get_by_text("3 pictures selected")).to_be_visible()
    button = bar.get_by_role("button").filter(has_text=name)
    if by_key:
        button.focus()
        page.keyboard.press("Enter")
    else:
        button.click()
    expect(bar).to_be_hidden()
    expect(page.locator(".sbx-card:focus")).to_have_count(1)
    if name != "Clear":
        decided(page, 3)
        page.keyboard.press("z")
    decided(page, 0)


def test_the_last_picture_of_a_queue_leaves_the_keys_where_they_are(page: Page) -> None:
    page.get_by_label("Show").select_option("undecided")
    page.get_by_label("Class").select_option("=black")
    expect(page.locator(".sbx-card")).to_have_count(4)
    page.locator(".sbx-card").first.click(position={"x": 20, "y": 60})
    for left in range(3, -1, -1):
        page.keyboard.press("k")
        expect(page.locator(".sbx-card")).to_have_count(left) if left else expect(
            page.get_by_text("Everything here is decided")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("region", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    assert page.evaluate(INSIDE)
    decided(page, 4)
    page.keyboard.press("z")
    decided(page, 3)
    expect(page.locator(".sbx-card:focus")).to_have_count(1)
    page.keyboard.press("d")
    decided(page, 4)
    assert page.evaluate(INSIDE)


def test_a_filter_that_lets_nothing_through_takes_no_focus_from_its_select(page: Page) -> None:
    page.get_by_label("Show").focus()
    page.get_by_label("Show").select_option("decided")
    expect(page.get_by_text("No picture fits these filters")).to_be_visible()
    time.sleep(0.3)
    expect(page.get_by_label("Show")).to_be_focused()
