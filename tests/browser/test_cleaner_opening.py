"""What the cleaner's page asks for, and listens to, alone: what a cell opens, keys and signs of life, listeners."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from _alone import draw, open_alone, sent
from _cleaner import card
from _servers import Visitor
from playwright.sync_api import Page, expect

CONTRAST = """
(selector) => {
  const light = (colour) => {
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const parts = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const node = document.querySelector(selector), card = getComputedStyle(document.querySelector(".sbx-card"));
  const [low, high] = [light(getComputedStyle(node).color), light(card.backgroundColor)].sort((a, b) => a - b);
  return light(card.backgroundColor) < 0.1 ? (high + 0.05) / (low + 0.05) : 0;
}
"""


def test_no_listener_is_left_on_the_page_and_the_window(alone: Page, tmp_path: Path) -> None:
    inside = alone.context.new_cdp_session(alone)

    def listeners() -> list[int]:
        found = []
        for name in ("window", "document", "document.body", "document.documentElement"):
            handle = inside.send("Runtime.evaluate", {"expression": name})["result"]["objectId"]
            found.append(len(inside.send("DOMDebugger.getEventListeners", {"objectId": handle})["listeners"]))
        return found

    before = listeners()
    draw(alone, tmp_path)
    card(alone, 1).focus()
    alone.keyboard.press("f")
    assert listeners() != before, "while it is shown it listens"
    alone.evaluate("kernel.clean()")
    assert listeners() == before


@pytest.mark.parametrize("sign", ["scroll", "pointer"])
def test_who_only_looks_keeps_the_kernel_looking_for_others(alone: Page, tmp_path: Path, sign: str) -> None:
    draw(alone, tmp_path, n=23, many=1_000)
    watches = "kernel.live.sent.filter(({ kind }) => kind === 'watch').length"
    assert alone.evaluate(watches) == 1
    for minutes in (1, 2):
        alone.clock.fast_forward(61_000)
        if sign == "scroll":
            alone.get_by_role("grid").evaluate("(grid, n) => { grid.scrollTop = 900 * n; }", minutes)
        else:
            alone.mouse.move(200, 300 + minutes)
        alone.wait_for_function(f"{watches} === {minutes + 1}")


def test_what_a_cell_or_a_bar_counts_is_what_it_opens(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path)
    every = {"side": None, "status": "all", "source": None, "page": 0}
    opened = {"cat → dog: 7": {"label": "cat", "suggested": "dog", "issue_kind": None},
              "dog: 0 of 1": {"label": "dog", "suggested": None, "issue_kind": None}}
    for name, wanted in opened.items():
        alone.get_by_role("button", name="Overview").first.click()
        found = {"labels": ["cat", "dog"], "cells": [[0, 1, 7, 3]], "left_out": 0}
        alone.evaluate("([id, more]) => kernel.hear('msg:custom', { id, ok: true, ...more }, [])",
                       [sent(alone)[-1]["id"], found])
        alone.get_by_role("region", name="Overview").get_by_role("button", name=re.compile(f"^{name}")).click()
        wish = sent(alone)[-1]
        assert {key: wish[key] for key in (*every, *wanted)} == {**every, **wanted}


def test_a_digit_gives_that_class_and_a_slash_goes_to_the_class_filter(alone: Page, tmp_path: Path) -> None:
    draw(alone, tmp_path)
    own = alone.get_by_role("gridcell", name=re.compile("^Given cat")).first
    own.focus()
    alone.keyboard.press("2")
    wish, = sent(alone)
    assert (wish["decision"], wish["label"], wish["path"]) == ("relabel", "dog", own.get_attribute("data-path"))
    alone.keyboard.press("/")
    expect(alone.get_by_label("Class")).to_be_focused()


@pytest.mark.parametrize("theme", ["system", "jupyter"])
def test_in_the_dark_the_cards_are_dark_and_can_be_read(
        visitors: Callable[..., Visitor], tmp_path: Path, theme: str) -> None:
    page = open_alone(visitors(color_scheme="dark" if theme == "system" else "light",
                               viewport={"width": 390, "height": 844}).page)
    if theme == "jupyter":
        page.evaluate("""() => {
          document.body.dataset.jpThemeLight = "false";
          const colours = { "layout-color0": "#111", "layout-color1": "#1a1a1a", "content-font-color1": "#eee",
                            "content-font-color2": "#bbb", "border-color1": "#555", "layout-color2": "#333" };
          for (const name in colours) document.body.style.setProperty(`--jp-${name}`, colours[name]);
        }""")
    draw(page, tmp_path)
    for selector in (".sbx-card", ".sbx-card .sbx-given bdi", ".sbx-card .sbx-reason", ".sbx-decided"):
        assert page.evaluate(CONTRAST, selector) >= 4.5, selector
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(("motion", "moves"), [("no-preference", True), ("reduce", False)])
def test_nothing_moves_for_who_wants_no_motion(
        visitors: Callable[..., Visitor], tmp_path: Path, motion: str, moves: bool) -> None:
    page = open_alone(visitors(reduced_motion=motion).page)
    draw(page, tmp_path)
    assert page.evaluate("""() => [...document.querySelectorAll(".sbx-cleaner *")].some((node) => {
      const style = getComputedStyle(node);
      return style.animationName !== "none" || style.transitionDuration.split(", ").some((time) => time !== "0s");
    })""") == moves
