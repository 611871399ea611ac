"""The cleaner's page while a better order is on its way, and how it goes over to it: with a kernel of the test's, and
in JupyterLab with a real one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from _alone import draw, sent
from _cleaner import card, ready
from _servers import Server, Visitor, start_lab, wait_until
from playwright.sync_api import Page, expect
from tests._pictures import folders

from shoebox.data import Dataset

READY = {"state": "ready", "sentence": "The pictures are ranked."}
TURN_ROUND = """
() => {
  const { snapshot } = kernel.traits, items = [...snapshot.items].reverse().map((item, index) => ({ ...item, index }));
  kernel.set({ ordering: {}, snapshot: { ...snapshot, items, page: 0, order: snapshot.order + 1,
    queue: snapshot.queue + 1, revision: snapshot.revision + 1 } });
  for (const { id } of kernel.live.sent.filter(({ kind }) => kind === "adopt" || kind === "view"))
    kernel.hear("msg:custom", { id, ok: true, revision: snapshot.revision + 1 });
}
"""
SAME_PLACES = """
() => {
  const { snapshot } = kernel.traits;
  const items = snapshot.items.map((item) => ({ ...item, reason: "the final word", suggested_probability: 0.42 }));
  kernel.set({ ordering: {}, snapshot: { ...snapshot, items, page: 0, order: snapshot.order + 1,
    queue: snapshot.queue + 1, revision: snapshot.revision + 1 } });
}
"""
SLOWLY = """
import time, pathlib
import shoebox
from shoebox import studio
ranked = studio._ranked
def slowly(*args, **kwargs):
    kwargs["progress"](3, 12)
    while not pathlib.Path("go").exists(): time.sleep(.05)
    return ranked(*args, **kwargs)
studio._ranked, studio._PATIENCE_S = slowly, .01
ds = shoebox.Dataset("bears")
cleaner = shoebox.clean(ds, page_size=6)
cleaner
"""


def tell(page: Page, ordering: dict[str, Any]) -> None:
    page.evaluate("(ordering) => kernel.set({ ordering })", ordering)


def order(page: Page) -> Any:
    return page.evaluate("[...document.querySelectorAll('.sbx-card')].map((one) => one.dataset.path)")


def kinds(page: Page) -> list[str]:
    return [wish["kind"] for wish in sent(page)]


def show_button(page: Page) -> Any:
    return page.get_by_role("button", name="Show the new order")


class TestAlone:
    def test_how_far_it_is_is_shown_and_read_aloud_once(self, alone: Page, tmp_path: Path) -> None:
        draw(alone, tmp_path)
        expect(alone.get_by_role("progressbar", name="Ranking")).to_have_count(0)
        tell(alone, {"state": "working", "sentence": "Asking the model about the pictures", "done": 0, "total": 0})
        words = alone.get_by_role("status").filter(has_text="Asking the model about the pictures")
        expect(words).to_be_visible()
        bar = alone.get_by_role("progressbar", name="Ranking")
        assert bar.get_attribute("aria-valuenow") is None, "nobody knows yet"
        alone.evaluate("""() => {
          window.changes = 0;
          const words = document.querySelector(".sbx-ordering [role=status]");
          new MutationObserver((all) => { window.changes += all.length; })
            .observe(words, { subtree: true, childList: true, characterData: true });
        }""")
        for done in (128, 640, 1280):
            tell(alone, {"state": "working", "sentence": "Asking the model about the pictures", "done": done,
                         "total": 1600})
            expect(bar).to_have_attribute("aria-valuenow", str(done))
        expect(alone.get_by_text("1\u202f280 of 1\u202f600")).to_be_visible()
        assert alone.evaluate("changes") == 0, "a live region that changes ten times a second is read ten times"
        assert kinds(alone) == []

    def test_a_page_that_nobody_touched_goes_over_by_itself(self, alone: Page, tmp_path: Path) -> None:
        before = draw(alone, tmp_path)
        tell(alone, READY)
        assert kinds(alone) == ["adopt"]
        alone.evaluate(TURN_ROUND)
        assert order(alone) == before[::-1]
        expect(alone.locator(".sbx-status")).to_have_text(re.compile("new order"))
        expect(show_button(alone)).to_be_hidden()
        assert not alone.evaluate("document.querySelector('.sbx-cleaner').contains(document.activeElement)")

    def test_a_picture_that_keeps_its_place_says_what_the_new_order_says(self, alone: Page, tmp_path: Path) -> None:
        before = draw(alone, tmp_path)
        card(alone, 3).focus()
        alone.evaluate("window.cards = [...document.querySelectorAll('.sbx-card')]")
        alone.evaluate(SAME_PLACES)
        assert order(alone) == before
        reasons = alone.locator(".sbx-card .sbx-reason")
        expect(reasons).to_have_text(["the final word"] * len(before))
        expect(card(alone, 3)).to_be_focused()
        assert alone.evaluate("cards.every((one, place) => one === document.querySelectorAll('.sbx-card')[place])"), (
            "the same cards: none had to be drawn anew")

    def test_who_is_in_the_middle_of_a_page_keeps_it_until_they_ask(self, alone: Page, tmp_path: Path) -> None:
        before = draw(alone, tmp_path)
        card(alone, 3).focus()
        alone.keyboard.press("s")
        tell(alone, READY)
        alone.clock.run_for(2_000)
        assert kinds(alone) == [] and order(alone) == before
        expect(card(alone, 3)).to_be_focused()
        tell(alone, dict(READY))
        card(alone, 4).focus()
        assert kinds(alone) == [], "and not a moment later either"
        show_button(alone).click()
        assert kinds(alone) == ["adopt"]
        alone.evaluate(TURN_ROUND)
        assert order(alone) == before[::-1]
        assert alone.evaluate("document.activeElement.closest('.sbx-card') !== null"), "the keys go on to work"
        expect(alone.get_by_role("gridcell", selected=True)).to_have_count(1)
        assert alone.get_by_role("gridcell", selected=True).get_attribute("data-path") == before[2]
        expect(alone.locator(".sbx-status")).to_have_text(re.compile("new order"))

    def test_the_picture_that_has_the_focus_keeps_it_when_the_order_changes_under_it(
            self, alone: Page, tmp_path: Path) -> None:
        before = draw(alone, tmp_path)
        card(alone, 3).focus()
        alone.evaluate(TURN_ROUND)  # a cell has asked for cleaner.fns
        assert order(alone) == before[::-1]
        assert alone.evaluate("document.activeElement.dataset.path") == before[2]
        alone.keyboard.press("k")
        assert [(wish["kind"], wish["path"]) for wish in sent(alone)] == [("decide", before[2])]

    @pytest.mark.parametrize("why", ["pointer", "selected", "panel"])
    def test_what_else_counts_as_being_in_the_middle(self, alone: Page, tmp_path: Path, why: str) -> None:
        draw(alone, tmp_path)
        if why == "pointer":
            card(alone, 2).hover()
        elif why == "selected":
            card(alone, 2).get_by_role("button", name="Select").click()
            alone.mouse.move(0, 0)
            alone.evaluate("document.activeElement.blur()")
        else:
            alone.get_by_role("button", name="Keys").click()
            alone.evaluate("document.activeElement.blur()")
        tell(alone, READY)
        assert kinds(alone) == []
        expect(show_button(alone)).to_be_visible()

    def test_turning_the_page_goes_over_to_the_new_order(self, alone: Page, tmp_path: Path) -> None:
        before = draw(alone, tmp_path, n=23, many=10_000)
        card(alone, 2).focus()
        tell(alone, READY)
        alone.keyboard.press("n")
        assert kinds(alone) == ["adopt"]
        alone.evaluate(TURN_ROUND)
        ready(alone, page=0)
        assert order(alone)[0] != before[0]
        assert alone.evaluate("document.activeElement.closest('.sbx-card') !== null")

    def test_a_filter_goes_over_on_the_way(self, alone: Page, tmp_path: Path) -> None:
        draw(alone, tmp_path)
        card(alone, 2).focus()
        tell(alone, READY)
        alone.get_by_label("Class").select_option("=dog")
        request, = sent(alone)
        assert (request["kind"], request["label"], request["adopt"]) == ("view", "dog", True)

    def test_a_failure_is_a_sentence_and_the_order_stays(self, alone: Page, tmp_path: Path) -> None:
        before = draw(alone, tmp_path)
        sentence = "The pictures stay in this order, because ranking them failed: <img src=x onerror=window.hacked=1>"
        tell(alone, {"state": "failed", "sentence": sentence})
        expect(alone.get_by_role("status").filter(has_text=sentence)).to_be_visible()
        expect(alone.get_by_role("progressbar", name="Ranking")).to_be_hidden()
        assert kinds(alone) == [] and order(alone) == before and alone.evaluate("window.hacked") is None

    def test_a_silent_kernel_is_told(self, alone: Page, tmp_path: Path) -> None:
        draw(alone, tmp_path)
        card(alone, 2).focus()
        tell(alone, READY)
        show_button(alone).click()
        alone.clock.fast_forward(5_100)
        expect(alone.locator(".sbx-status")).to_contain_text("The new order cannot be shown: the kernel does not")
        expect(show_button(alone)).to_be_visible()

    def test_nothing_is_left_after_removal(self, alone: Page, tmp_path: Path) -> None:
        draw(alone, tmp_path)
        tell(alone, {"state": "working", "sentence": "Comparing", "done": 1, "total": 2})
        alone.evaluate("kernel.clean()")
        assert alone.evaluate("[kernel.live.urls, kernel.live.handlers, kernel.live.timers.size]") == [0, 0, 0]

    def test_who_scrolls_past_asks_for_nothing_that_they_do_not_see(self, alone: Page, tmp_path: Path) -> None:
        draw(alone, tmp_path, n=23, many=10_000)
        alone.clock.run_for(1_000)
        alone.evaluate("""() => {
          const hear = kernel.hear;
          kernel.hear = (name, reply, ...rest) => hear.call(kernel, name, !reply?.items ? reply : { ...reply,
            items: reply.items.map((item) => ({ ...item, evidence: [`dog/${item.index}.jpg`] })) }, ...rest);
        }""")
        alone.clock.pause_at("2100-01-01")
        alone.evaluate("kernel.live.sent.length = 0")
        for step in range(1, 6):
            alone.get_by_role("grid").evaluate("(grid, n) => { grid.scrollTop = grid.scrollHeight * n / 10; }", step)
            first = f"Number(document.querySelector('.sbx-row')?.getAttribute('aria-rowindex')) > {step * 950}"
            wait_until(lambda there=first: alone.evaluate(there), "the window is drawn where it was scrolled to")
            ready(alone)
            alone.clock.run_for(250)
        strips = "kernel.live.sent.filter(({ kind }) => kind === 'strips').flatMap(({ paths }) => paths)"
        assert alone.evaluate(strips) == []
        alone.clock.run_for(400)
        shown = [path.replace("cat", "dog") for path in order(alone)]
        assert set(alone.evaluate(strips)) <= set(shown) and alone.evaluate(strips), "where they stay, it comes"


@pytest.fixture
def bears(tmp_path: Path) -> Dataset:
    return Dataset(folders(tmp_path / "work" / "bears", {"black": 9, "grizzly": 9, "teddy": 6}))


@pytest.fixture
def lab_server(bears: Dataset, tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "state").mkdir()
    with start_lab(tmp_path / "work", tmp_path / "state") as server:
        yield server


def test_in_jupyterlab_the_first_page_comes_at_once_and_the_ranking_takes_its_place(
        lab_server: Server, visitor: Visitor, bears: Dataset, tmp_path: Path) -> None:
    page, work = visitor.page, tmp_path / "work"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SLOWLY), nbformat.v4.new_code_cell(
        "print('first:', cleaner.fns[0].relative_to(ds.root), cleaner.delete())")])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(book, work / "clean.ipynb")
    page.goto(f"{lab_server.url}lab/workspaces/ordering/tree/clean.ipynb", wait_until="commit")
    page.wait_for_function(
        "window.jupyterapp?.shell?.currentWidget?.context?.sessionContext?.session?.kernel?.status === 'idle'",
        timeout=90_000)
    page.evaluate("void window.jupyterapp.commands.execute('notebook:run-cell-and-select-next')")
    ready(page, is_final=False, page=0)
    assert order(page)[:6] == [record.path for record in bears.images][:6]
    expect(page.get_by_role("progressbar", name="Ranking")).to_have_attribute("aria-valuenow", "3")

    first = card(page, 1)
    first.click(position={"x": 20, "y": 60})
    page.keyboard.press("d")
    expect(first).to_have_accessible_name(re.compile("decided: remove$"))
    page.evaluate("""() => {
      window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
      void window.jupyterapp.commands.execute("notebook:run-cell");
    }""")  # fns waits for the ranking
    card(page, 2).focus()
    printed = page.get_by_text(re.compile("^first: "))
    expect(printed).to_have_count(0)
    (work / "go").touch()
    expect(printed).to_be_visible(timeout=60_000)

    import shoebox

    ranking = [issue.path for issue in shoebox.rank(Dataset(bears.root)).pictures()]
    removed = ranking.index(bears.images[0].path)
    expect(printed).to_have_text(f"first: {ranking[0]} [{removed}]")
    wait_until(lambda: order(page)[:6] == ranking[:6], "the pictures stand in the ranking's order")
    expect(page.locator(".sbx-decided")).to_have_text("1 of 24 decided")
    expect(page.locator(".sbx-ordering")).to_be_hidden()
    assert {path: one.kind for path, one in Dataset(bears.root).decisions.items()} == {bears.images[0].path: "remove"}
