"""The cleaner's page alone, with a model that is told what to say: time-outs, keys, layout, clean-up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from _cleaner import card, ready, save_predictions
from _servers import Visitor
from playwright.sync_api import Page, expect
from tests._pictures import folders

import shoebox
from shoebox.data import Dataset
from shoebox.widgets import Cleaner

FAKE = """
(source) => new Promise(async (done) => {
  const page = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const live = { urls: 0, handlers: 0, timers: new Set(), sent: [] };
  const start = window.setTimeout, stop = window.clearTimeout;
  window.setTimeout = (run, ms) => {
    const id = start(() => { live.timers.delete(id); run(); }, ms);
    live.timers.add(id);
    return id;
  };
  window.clearTimeout = (id) => { live.timers.delete(id); stop(id); };
  const create = URL.createObjectURL.bind(URL), revoke = URL.revokeObjectURL.bind(URL);
  URL.createObjectURL = (blob) => { live.urls += 1; return create(blob); };
  URL.revokeObjectURL = (url) => { live.urls -= 1; revoke(url); };
  const handlers = new Map();
  const traits = { planned: null, result: null, progress: [], notice: "", comparison: null };
  const model = {                                   // anywidget's model: get, on, off, send
    get: (name) => traits[name],
    on(name, handler) {
      if (!handlers.has(name)) handlers.set(name, new Set());
      handlers.get(name).add(handler);
      live.handlers += 1;
    },
    off(name, handler) { if (handlers.get(name)?.delete(handler)) live.handlers -= 1; },
    send: (content) => live.sent.push(content),
  };
  window.kernel = {
    live, page,
    hear: (name, value) => { for (const handler of [...(handlers.get(name) ?? [])]) handler(value); },
    set(changes) { Object.assign(traits, changes); for (const name in changes) this.hear(`change:${name}`); },
    decide(path, kind) {
      const items = traits.snapshot.items.map((item) => (item.path === path ? { ...item, decision: kind } : item));
      this.set({ snapshot: { ...traits.snapshot, items, revision: traits.snapshot.revision + 1 } });
      return traits.snapshot.revision;
    },
    draw(snapshot, classes, picture) {
      const thumbnails = Object.fromEntries(snapshot.items.map(({ path }) => [path, new DataView(picture.buffer)]));
      Object.assign(traits, { snapshot, classes, thumbnails });
      this.clean = page.default.render({ model, el: document.body });
    },
  };
  done();
})
"""


@pytest.fixture
def alone(visitor: Visitor) -> Page:
    visitor.page.clock.install()
    visitor.page.set_content("<!doctype html><title>cleaner</title>")
    visitor.page.add_style_tag(content=str(Cleaner._css))
    visitor.page.evaluate(FAKE, str(Cleaner._esm))
    return visitor.page


def draw(page: Page, tmp_path: Path, n: int = 6, classes: list[str] | None = None) -> list[str]:
    ds = Dataset(folders(tmp_path / "d", {"cat": n, "dog": 1}))
    save_predictions(ds, lambda path, label: "dog")
    cleaner = Cleaner(ds, shoebox.rank(ds), page_size=n + 1)
    picture = list(next(iter(cleaner.thumbnails.values())))
    page.evaluate("([shown, classes, picture]) => kernel.draw(shown, classes, new Uint8Array(picture))",
                  [cleaner.snapshot, classes or cleaner.classes, picture])
    ready(page, page=0)
    return [item["path"] for item in cleaner.snapshot["items"]]


def sent(page: Page) -> list[dict[str, Any]]:
    """What was asked for, without what the page asks by itself."""
    return [wish for wish in page.evaluate("kernel.live.sent") if wish["kind"] not in ("watch", "look", "strips")]


def test_a_silent_kernel_is_told_after_five_seconds_and_a_late_answer_clears_it(alone: Page, tmp_path: Path) -> None:
    first = draw(alone, tmp_path)[0]
    card(alone, 1).focus()
    alone.keyboard.press("k")
    alone.clock.fast_forward(4_900)
    expect(card(alone, 1)).to_have_attribute("data-state", "saving")
    alone.clock.fast_forward(200)
    expect(card(alone, 1)).to_contain_text("not saved: the kernel does not answer")
    expect(card(alone, 1)).to_have_attribute("data-decision", "")
    expect(alone.get_by_role("status")).to_contain_text("the kernel does not answer")
    alone.evaluate("([path, id]) => kernel.hear('msg:custom', { id, ok: true, revision: kernel.decide(path, 'keep') })",
                   [first, sent(alone)[0]["id"]])
    expect(card(alone, 1)).to_have_attribute("data-decision", "keep")
    expect(card(alone, 1)).not_to_contain_text("not saved")


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
    counts = "[kernel.live.urls, kernel.live.handlers, kernel.live.timers.size, document.body.childElementCount]"
    assert all(count > 0 for count in alone.evaluate(counts)), "a request waits, pictures are shown"
    alone.evaluate("kernel.clean()")
    assert alone.evaluate(counts) == [0, 0, 0, 0]


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

