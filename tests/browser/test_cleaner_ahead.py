"""What the cleaner's page fetches ahead: neighbouring pages and classes, drawn at once and never out of date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from _alone import draw, sent
from _cleaner import card, ready
from playwright.sync_api import Page, expect

SERVE = """
([first, picture]) => {
  const { kernel } = window, bytes = new DataView(new Uint8Array(picture).buffer), { snapshot } = kernel.traits;
  const seen = (label, items) => ({ ...snapshot, label, items, page: 0, pages: 1,
    counts: { ...snapshot.counts, shown: items.length }, line: kernel.traits.snapshot.line });
  const those = (label) => snapshot.items.filter((item) => label === null || item.given === label);
  kernel.serve = ({ kind, id, label, pictures }) => {
    const items = those(label ?? null);
    if (kind === "glance") queueMicrotask(() => kernel.hear("msg:custom", { id, ok: true, glance: seen(label, items) },
      pictures ? items.map(() => bytes) : []));
  };
  kernel.answerView = ({ id, label }) => {
    const now = kernel.traits.snapshot;
    const revision = now.revision + 1;
    kernel.set({ snapshot: { ...seen(label, those(label)), line: now.line, revision, queue: now.queue + 1 } });
    kernel.hear("msg:custom", { id, ok: true, revision });
  };
}
"""


@pytest.fixture
def first(alone: Page, tmp_path: Path) -> str:
    """The first picture that is shown; a kernel that answers glances, and views when it is told to."""
    path = draw(alone, tmp_path)[0]
    picture = list((tmp_path / "d" / path).read_bytes())
    alone.evaluate(SERVE, [path, picture])
    alone.evaluate("const { snapshot } = kernel.traits;"
                   "kernel.set({ snapshot: { ...snapshot, revision: snapshot.revision + 1 } })")
    return path


def rest(page: Page) -> None:
    """Time enough to look ahead, and for what comes then."""
    for _ in range(8):
        page.clock.run_for(400)


def glances(page: Page) -> list[str | None]:
    return [wish["label"] for wish in page.evaluate("kernel.live.sent") if wish["kind"] == "glance"]


def shown(page: Page) -> Any:
    return page.evaluate("[...document.querySelectorAll('.sbx-card')].map((one) => one.dataset.path.split('/')[0])")


def test_a_class_that_was_fetched_ahead_is_drawn_before_the_kernel_answers(alone: Page, first: str) -> None:
    rest(alone)
    assert glances(alone) == ["cat", "dog"]
    alone.get_by_label("Class").select_option("=dog")
    request, = sent(alone)
    assert (request["kind"], request["label"], request["page"]) == ("view", "dog", 0)
    assert shown(alone) == ["dog"]
    ready(alone, page=0)
    assert alone.evaluate("[...document.querySelectorAll('.sbx-picture canvas')].every((one) => one.width > 1)")
    expect(alone.get_by_text("page 1 of 1")).to_be_visible()
    alone.evaluate("(wish) => kernel.answerView(wish)", request)
    assert shown(alone) == ["dog"]
    expect(alone.get_by_label("Class")).to_have_value("=dog")


def test_a_kernel_that_stays_silent_brings_the_old_view_back_and_the_page_says_so(alone: Page, first: str) -> None:
    rest(alone)
    alone.get_by_label("Class").select_option("=dog")
    assert shown(alone) == ["dog"]
    alone.clock.fast_forward(5_100)
    expect(alone.get_by_role("status")).to_contain_text("The page was not turned: the kernel does not answer")
    assert set(shown(alone)) == {"cat", "dog"} and len(shown(alone)) == 7
    expect(alone.get_by_label("Class")).to_have_value("")


def test_nothing_out_of_date_is_drawn_after_a_decision(alone: Page, first: str) -> None:
    rest(alone)
    alone.evaluate("""(path) => {
      const { snapshot } = kernel.traits;
      const items = snapshot.items.map((item) => (item.path === path ? { ...item, decision: "keep", seq: 1 } : item));
      kernel.set({ snapshot: { ...snapshot, items, line: snapshot.line + 1, revision: snapshot.revision + 1 } });
    }""", first)
    alone.get_by_label("Class").select_option("=dog")
    assert len(shown(alone)) == 7, "the kernel is asked first"
    alone.evaluate("(wish) => kernel.answerView(wish)", sent(alone)[0])
    assert shown(alone) == ["dog"]
    rest(alone)
    assert glances(alone)[2:] == ["cat", None], "and what is near is fetched anew"


def test_the_last_of_two_quick_switches_stands(alone: Page, first: str) -> None:
    rest(alone)
    alone.get_by_label("Class").select_option("=dog")
    alone.get_by_label("Class").select_option("=cat")
    assert set(shown(alone)) == {"cat"}
    for request in sent(alone):
        alone.evaluate("(wish) => kernel.answerView(wish)", request)
        assert set(shown(alone)) == {"cat"}
    card(alone, 1).or_(card(alone, 2)).first.focus()
    alone.evaluate("kernel.clean()")
    left = "[kernel.live.urls, kernel.live.bitmaps, kernel.live.handlers, kernel.live.timers.size]"
    assert alone.evaluate(left) == [0, 0, 0, 0]


def test_a_button_held_down_while_the_page_turns_decides_nothing(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path, n=23, many=10_000)
    button = card(alone, 3).get_by_role("button", name="Remove").bounding_box()
    assert button
    alone.mouse.move(button["x"] + 9, button["y"] + 9)
    alone.mouse.down()
    alone.keyboard.press("n")
    ready(alone, page=1)
    alone.mouse.up()
    assert [wish for wish in sent(alone) if wish["kind"] == "decide"] == []
    alone.mouse.down()
    alone.mouse.up()
    assert [wish["decision"] for wish in sent(alone) if wish["kind"] == "decide"] == ["remove"]


def test_a_walk_through_ten_thousand_pictures_leaves_nothing_in_memory(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path, n=23, many=10_000)
    grid, inside = alone.get_by_role("grid"), alone.context.new_cdp_session(alone)
    inside.send("Performance.enable")

    def nodes() -> int:
        """Nodes of the document and of what was taken out of it and is still held."""
        for _ in range(3):
            inside.send("HeapProfiler.collectGarbage")
        found = {metric["name"]: metric["value"] for metric in inside.send("Performance.getMetrics")["metrics"]}
        return int(found["Nodes"])

    def walk(windows: int) -> None:
        for step in range(windows):
            grid.evaluate("(grid, share) => { grid.scrollTop = grid.scrollHeight * share; }", step / windows)
            ready(alone)

    walk(10)
    before = nodes()
    walk(30)
    assert nodes() < before * 1.3, "of 30 windows hardly more is kept than of 10"
