"""The cleaner's page alone, with a model that is told what to say: time-outs, keys, layout, clean-up."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from _alone import draw, sent
from _cleaner import card, ready
from playwright.sync_api import Page, expect
from tests._pictures import draw as picture


def test_a_card_changes_with_the_answer_and_not_before(alone: Page, tmp_path: Path) -> None:
    first = draw(alone, tmp_path)[0]
    card(alone, 1).focus()
    alone.keyboard.press("d")
    request, = sent(alone)
    assert (request["kind"], request["path"], request["decision"]) == ("decide", first, "remove")
    assert "label" not in request
    expect(card(alone, 1)).to_have_attribute("data-state", "saving")
    expect(card(alone, 1)).to_have_attribute("data-decision", "")
    alone.evaluate("(id) => kernel.hear('msg:custom', { id, ok: false, error: 'The disk is full.' })", request["id"])
    expect(card(alone, 1)).to_contain_text("not saved: The disk is full.")
    expect(card(alone, 1)).to_have_attribute("data-decision", "")


def test_nothing_is_left_when_the_view_is_removed(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path)
    card(alone, 1).focus()
    alone.keyboard.press("k")
    alone.keyboard.press("n")
    counts = "[kernel.live.bitmaps, kernel.live.handlers, kernel.live.timers.size, document.body.childElementCount]"
    assert all(count > 0 for count in alone.evaluate(counts)), "a request waits, pictures are shown"
    alone.evaluate("kernel.clean()")
    assert alone.evaluate(counts) == [0, 0, 0, 0] and alone.evaluate("kernel.live.urls") == 0


def test_a_held_key_decides_once_and_other_fields_are_left_alone(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path)
    card(alone, 1).focus()
    alone.keyboard.down("k")
    alone.keyboard.down("k")
    alone.keyboard.up("k")
    assert len(sent(alone)) == 1
    alone.get_by_label("Show").focus()
    alone.keyboard.press("k")
    alone.get_by_role("button", name="Keys").focus()
    alone.keyboard.press("Enter")
    expect(alone.get_by_role("region", name="Keys")).to_be_visible()
    assert len(sent(alone)) == 1


def test_a_thousand_classes_are_found_by_typing_and_do_not_break_the_cards(alone: Page, tmp_path: Path) -> None:
    names = ["cat", "dog", *(f"{'Donaudampfschifffahrtsgesellschaft' * 3} {n}" for n in range(1_000))]
    first = draw(alone, tmp_path, classes=names)[0]
    card(alone, 1).focus()
    alone.keyboard.press("o")
    alone.keyboard.press("Enter")
    choices = alone.get_by_role("dialog").get_by_role("option")
    expect(choices).to_have_count(200)
    expect(alone.get_by_role("dialog")).to_contain_text("and 802 more")
    alone.get_by_role("combobox", name="Another label").fill("schaft 777")
    expect(choices).to_have_count(1)
    box, frame = alone.get_by_role("dialog").bounding_box(), alone.locator(".sbx-cleaner").bounding_box()
    assert box and frame and box["x"] + box["width"] <= frame["x"] + frame["width"]
    alone.keyboard.press("Enter")
    request, = sent(alone)
    assert (request["path"], request["decision"], request["label"]) == (first, "relabel", names[779])


def test_of_ten_thousand_pictures_only_those_in_the_window_exist(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path, n=23, many=10_000)
    grid = alone.get_by_role("grid")
    height = grid.evaluate("(grid) => grid.scrollHeight")
    signals = alone.evaluate("kernel.live.signals")
    for top in (*range(0, 6_000, 500), height // 2, height):
        grid.evaluate("(grid, top) => { grid.scrollTop = top; }", top)
        ready(alone)
        expect(grid.locator(".sbx-picture canvas").first).to_be_visible()
        assert 0 < alone.get_by_role("gridcell").count() < 80
        assert alone.evaluate("kernel.live.bitmaps") <= 160, "thumbnails far away are given back"
    expect(card(alone, 10_000, "10\u202f000")).to_be_visible()
    assert alone.get_by_role("row").last.get_attribute("aria-rowindex") == "10000"
    alone.clock.fast_forward(300)
    expect(alone.get_by_text("page 417 of 417")).to_be_visible()
    grid.evaluate("(grid) => { grid.scrollTop = 0; }")
    ready(alone, page=0)
    assert alone.evaluate("kernel.live.signals") == signals, "a listener for each request would keep every reply"
    alone.evaluate("kernel.clean()")
    assert alone.evaluate("kernel.live.urls + kernel.live.bitmaps") == 0


def test_keys_walk_through_ten_thousand_pictures_and_the_focus_is_never_lost(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path, n=23, many=10_000)
    card(alone, 1).focus()
    for _ in range(30):
        alone.keyboard.press("ArrowDown")
    focused = "Number(document.activeElement.closest('.sbx-row').getAttribute('aria-rowindex'))"
    columns = alone.evaluate("new Set([...document.querySelectorAll('.sbx-row')].map("
                             "(one) => one.getBoundingClientRect().left)).size")
    assert alone.evaluate(focused) == 30 * columns + 1
    alone.get_by_role("grid").evaluate("(grid) => { grid.scrollTop = 0; }")
    ready(alone)
    assert alone.evaluate(focused) == 30 * columns + 1, "scrolled out of sight, and still there"
    alone.keyboard.press("End")
    expect(card(alone, 10_000, "10\u202f000")).to_be_focused()
    alone.keyboard.press("Home")
    expect(card(alone, 1)).to_be_focused()
    alone.keyboard.press("n")
    expect(card(alone, 25)).to_be_focused()


def test_before_and_after_a_retraining_are_shown_with_intervals(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path)
    told = {"n": 120, "before": [.9, .84, .94], "after": [.95, .9, .98], "fixed": 7, "broken": 1, "sentence": ""}
    alone.evaluate("(told) => kernel.set({ comparison: told })", told)
    group = alone.get_by_role("group", name="Before and after training again")
    expect(group).to_contain_text("95.0 % right (95 % interval 90.0 % to 98.0 %)")
    expect(group).to_contain_text("7 answers turned right, 1 turned wrong.")


@pytest.mark.parametrize("last_apply", [["2025-11-20T10:00:00.000+00:00", 12], None])
def test_an_apply_of_a_kernel_that_is_gone_can_be_undone_from_the_plan(
        alone: Page, tmp_path: Path, last_apply: list[Any] | None) -> None:
    draw(alone, tmp_path)
    plan = {"token": "t", "total": 0, "relabel": 0, "remove": 0, "classes": [], "moves": [], "stale": []}
    alone.evaluate("(plan) => kernel.set({ planned: plan })", {**plan, "last_apply": last_apply})
    region = alone.get_by_role("region", name="Nothing to move")
    undo = region.get_by_role("button", name="Undo the last apply")
    if last_apply is None:
        expect(region).to_be_visible()
        expect(undo).to_have_count(0)
        return
    expect(region).to_contain_text(re.compile("12 files were moved last, on .*2025"))
    undo.click()
    assert [wish["kind"] for wish in sent(alone)] == ["undo_apply"]


def test_an_overview_that_comes_late_does_not_cover_the_plan(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path)
    for name in ("Overview", "Overview", "Overview", "Apply …"):
        alone.get_by_role("button", name=name).first.click()
    plan = {"token": "t", "total": 1, "relabel": 1, "remove": 0, "classes": [], "moves": [], "stale": []}
    wishes = {kind: [wish["id"] for wish in sent(alone) if wish["kind"] == kind] for kind in ("confusion", "plan")}
    assert [len(ids) for ids in wishes.values()] == [2, 1], "the second press took the first one back"
    alone.evaluate("(plan) => kernel.set({ planned: plan })", plan)
    overview = {"labels": ["cat", "dog"], "cells": [[0, 1, 3, 3]], "left_out": 0}
    for number in (*wishes["plan"], *wishes["confusion"]):
        alone.evaluate("([id, more]) => kernel.hear('msg:custom', { id, ok: true, ...more }, [])", [number, overview])
    expect(alone.get_by_role("heading", name="Move 1 file?")).to_be_visible()
    expect(alone.get_by_role("heading", name="Overview")).to_have_count(0)


def test_an_overview_that_comes_late_does_not_cover_the_keys(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path)
    alone.get_by_role("button", name="Overview").first.click()
    card(alone, 1).focus()
    alone.keyboard.press("?")
    wish, = (wish for wish in sent(alone) if wish["kind"] == "confusion")
    overview = {"id": wish["id"], "ok": True, "labels": ["cat", "dog"], "cells": [[0, 1, 3, 3]], "left_out": 0}
    alone.evaluate("(answer) => kernel.hear('msg:custom', answer, [])", overview)
    expect(alone.get_by_role("heading", name="Keys")).to_be_visible()


def test_kinds_without_a_suggestion_and_their_evidence(alone: Page, tmp_path: Path) -> None:
    path = draw(alone, tmp_path)[0]
    alone.evaluate("""(path) => {
      const { snapshot } = window.kernel.traits;
      const other = { index: 100, suggestion: "", kind: "near_duplicate", kinds: ["near_duplicate", "dark"],
                      evidence: ["cat/x.jpg"] };
      const items = snapshot.items.map((item) => item.path === path ? { ...item, ...other } : item);
      window.kernel.set({ snapshot: { ...snapshot, items, revision: 9 } });
    }""", path)
    own = card(alone, 101)
    expect(own).to_have_accessible_name(re.compile("^Given (cat|dog); duplicate; undecided$"))
    expect(own).to_contain_text("duplicate")
    expect(own.get_by_role("button", name="Accept")).to_have_count(0)
    ready(alone)
    alone.clock.run_for(500)  # who scrolls past asks for none
    ask = next(wish for wish in alone.evaluate("kernel.live.sent") if wish["kind"] == "strips")
    assert ask["paths"] == ["cat/x.jpg"]
    alone.evaluate("""([id, picture]) => kernel.hear("msg:custom",
      { id, ok: true, paths: ["cat/x.jpg"], labels: ["dog"] }, [new DataView(new Uint8Array(picture).buffer)])""",
                   [ask["id"], list(jpeg())])
    expect(own.get_by_role("img", name="to compare: dog, x.jpg")).to_be_visible()
    own.focus()
    alone.keyboard.press("Enter")
    assert [(wish["decision"], wish["path"]) for wish in sent(alone)] == [("keep", path)], "accepting none is keeping"


def test_nothing_is_left_of_a_full_size_picture_either(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path)
    card(alone, 1).focus()
    alone.keyboard.press("f")
    ask, = sent(alone)
    facts = {"path": ask["path"], "width_px": 9, "height_px": 9, "size_bytes": 9, "format": "JPEG", "reasons": [],
             "sources": [], "history": []}
    alone.evaluate("""([fields, picture]) => kernel.hear("msg:custom", { ...fields, ok: true },
      [new DataView(new Uint8Array(picture).buffer)])""", [{**facts, "id": ask["id"]}, list(jpeg())])
    expect(alone.get_by_role("dialog", name="Close look")).to_contain_text("9 × 9")
    alone.evaluate("kernel.clean()")
    assert alone.evaluate("[kernel.live.bitmaps, kernel.live.handlers, document.body.childElementCount]") == [0, 0, 0]


def jpeg() -> bytes:
    data = io.BytesIO()
    picture(3).save(data, "JPEG")
    return data.getvalue()


DIGITS = [str(n) for n in range(10)]


@pytest.mark.parametrize(("event", "classes", "wish"), [
    ({"key": "Enter"}, ["cat"], {"action": "accept"}),
    ({"key": "7"}, DIGITS, {"action": "label", "label": "7"}),
    ({"key": "0"}, DIGITS, {"action": "label", "label": "0"}),
    ({"key": "2"}, ["cat", "dog"], {"action": "label", "label": "dog"}),
    ({"key": "3"}, ["cat", "dog"], None),
    ({"key": "0"}, [f"c{n}" for n in range(12)], {"action": "label", "label": "c9"}),
    ({"key": "b"}, ["B", "K"], {"action": "label", "label": "B"}),
    ({"key": "k"}, ["B", "K"], {"action": "keep"}),
    ({"key": "K", "shiftKey": True}, ["B", "k"], {"action": "label", "label": "k"}),
    ({"key": "я"}, ["я"], {"action": "label", "label": "я"}),
    ({"key": "л", "code": "KeyK"}, ["cat"], {"action": "keep"}),
    ({"key": "л", "code": "KeyK"}, ["л"], {"action": "label", "label": "л"}),
    ({"key": "z", "ctrlKey": True}, ["cat"], {"action": "undo"}),
    ({"key": "Z", "shiftKey": True}, ["cat"], {"action": "redo"}),
    ({"key": "Z", "shiftKey": True}, ["y", "z"], {"action": "label", "label": "z"}),
    ({"key": "Z", "shiftKey": True, "ctrlKey": True}, ["y", "z"], {"action": "redo"}),
    ({"key": "k", "ctrlKey": True}, ["cat"], None),
    ({"key": "k", "altKey": True}, ["cat"], None),
    ({"key": "x"}, ["cat"], None),
    ({"key": "F5"}, ["cat"], None),
])
def test_keys(alone: Page, event: dict[str, Any], classes: list[str], wish: dict[str, str] | None) -> None:
    assert alone.evaluate("([event, classes]) => kernel.page.wishOf(event, classes)", [event, classes]) == wish


def test_arrows_stay_in_the_grid_and_the_focus_goes_to_the_next_open_picture(alone: Page) -> None:
    steps = [("ArrowRight", 6, 6), ("ArrowLeft", 0, 0), ("ArrowDown", 1, 4), ("ArrowDown", 5, 6), ("ArrowDown", 6, 6),
             ("ArrowUp", 2, 2), ("ArrowUp", 6, 3)]
    for key, place, to in steps:
        assert alone.evaluate("([key, place]) => kernel.page.moved(key, place, 7, 3)", [key, place]) == to, (key, place)
    for place, open_, to in [(0, [1, 0, 1], 2), (2, [1, 0, 0], 0), (1, [0, 1, 0], 1), (1, [0, 0, 0], -1)]:
        assert alone.evaluate("([place, open]) => kernel.page.nextOpen(place, open)", [place, open_]) == to


def test_labels_are_found_in_either_unicode_form(alone: Page) -> None:
    names = ["Café", "Café au lait", "Eis-Café"]
    assert alone.evaluate("(names) => kernel.page.matching(names, 'CAFÉ')", names) == names
    assert alone.evaluate("(names) => kernel.page.matching(names, 'eis')", names) == ["Eis-Café"]


def test_all_pictures_are_painted_before_what_stands_on_them(alone: Page, tmp_path: Path) -> None:
    """Else the browser takes 103 ms for each decision to sort what it paints into layers, not 21."""
    first = draw(alone, tmp_path, n=3)[0]
    alone.evaluate("(path) => kernel.decide(path, 'remove')", first)
    expect(card(alone, 1)).to_have_attribute("data-decision", "remove")
    found = alone.evaluate("""() => [...document.querySelectorAll(".sbx-picture canvas")].map((canvas) => {
      const stacked = [];
      for (let node = canvas.parentElement; !node.matches(".sbx-space"); node = node.parentElement) {
        const style = getComputedStyle(node);
        const { transform, filter, opacity, isolation, zIndex, contain, willChange, mixBlendMode: blend } = style;
        const plain = transform === "none" && filter === "none" && opacity === "1" && isolation === "auto"
          && zIndex === "auto" && !/layout|paint|strict|content/.test(contain) && willChange === "auto"
          && blend === "normal";
        if (!plain) stacked.push(node.className);
      }
      const styles = [...canvas.parentElement.children].map((node) => getComputedStyle(node));
      const over = styles.filter(({ position }) => position === "absolute").map(({ zIndex }) => zIndex);
      const trouble = getComputedStyle(canvas.closest(".sbx-card").querySelector(".sbx-trouble")).zIndex; // may be long
      return [stacked, getComputedStyle(canvas).zIndex, [...new Set(over)], trouble];
    })""")
    assert found == [[[], "1", ["2"], "3"]] * 4
    assert alone.evaluate("getComputedStyle(document.querySelector('.sbx-space')).isolation") == "isolate"


def test_an_answer_to_undo_does_not_close_what_was_opened_meanwhile(alone: Page, tmp_path: Path) -> None:
    first = draw(alone, tmp_path, n=3)[0]
    card(alone, 1).focus()
    alone.keyboard.press("z")
    request, = sent(alone)
    alone.keyboard.press("o")
    other = alone.get_by_role("combobox", name="Another label")
    expect(other).to_be_focused()
    alone.evaluate("([id, path]) => kernel.hear('msg:custom', { id, ok: true, path, count: 1, rows: [] })",
                   [request["id"], first])
    expect(alone.get_by_role("status").first).to_contain_text("taken back")
    expect(other).to_be_focused()
