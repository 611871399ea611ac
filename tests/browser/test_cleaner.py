"""The cleaner as a person meets it: real JupyterLab, real Voila, real Chromium, keys, restarts and moved files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import psutil
import pytest
from _servers import Server, Visitor, start_lab, start_voila
from playwright.sync_api import Locator, Page, expect
from tests._pictures import folders

import shoebox
from shoebox.data import Dataset, Predictions
from shoebox.widgets import Cleaner

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "3_clean.ipynb"  # the one that is shipped
EVIL = "<img src=x onerror=window.hacked=1>"
CYRILLIC = "Бурый медведь из очень далёкого и холодного леса"
HEBREW = "דוב חום"


def save_predictions(ds: Dataset, truth: Callable[[str, str], str]) -> None:
    """What a good model would say: 0.9 for the class that `truth(path, label)` names."""
    place = {label: number for number, label in enumerate(ds.classes)}
    probs = np.full((len(ds.images), len(place)), .1 / (len(place) - 1), np.float32)
    for row, record in enumerate(ds.images):
        probs[row, place[truth(record.path, record.label)]] = .9 - row / 1e4
    probs /= probs.sum(axis=1, keepdims=True)
    labels = np.asarray([place[record.label] for record in ds.images])
    paths, ids = zip(*((record.path, record.image_id) for record in ds.images), strict=True)
    ds.save_predictions(Predictions(paths, ids, labels, probs, ds.classes, ("held_out",) * len(paths)))


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.jpg") if ".shoebox" not in path.parts)


def card(page: Page, place: int) -> Locator:
    """The picture at this place of the ranking, from 1."""
    return page.get_by_role("gridcell").filter(has=page.get_by_text(str(place), exact=True).and_(
        page.locator(".sbx-place")))


def kernel_in(server: Server, folder: Path) -> psutil.Process:
    """The kernel that was started in this folder."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    return next(child for child in children if "ipykernel_launcher" in " ".join(child.cmdline())
                and Path(child.cwd()) == folder)


def ready(where: Page, **data: int) -> None:
    wanted = "".join(f'[data-{name}="{value}"]' for name, value in data.items())
    where.locator(f'.sbx-cleaner[data-state="ready"]{wanted}').wait_for(timeout=60_000)


class Lab:
    """A notebook in JupyterLab."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def open(self) -> None:
        self.page.goto(self.url, wait_until="commit")
        self.page.wait_for_function(
            "window.jupyterapp?.shell?.currentWidget?.context?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=90_000)

    def run_all(self) -> None:
        self.page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def restart(self) -> None:
        self.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")

    def cells(self) -> int:
        return int(self.page.evaluate("window.jupyterapp.shell.currentWidget.content.widgets.length"))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab_server(workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_lab(workplace, tmp_path_factory.mktemp("lab-state")) as server:
        yield server


@pytest.fixture
def digits(workplace: Path, request: pytest.FixtureRequest) -> Path:
    """The shipped notebook with a small demo data set, in a folder of its own."""
    home = workplace / re.sub(r"\W", "", request.node.name)
    root = shoebox.demo.write(home / "work" / "digits", n=240, wrong_labels=20, near_duplicates=4)
    wrong = shoebox.demo.planted(root).wrong_labels
    save_predictions(Dataset(root), lambda path, label: wrong.get(path, label))
    (home / "notebooks").mkdir()
    shutil.copy(NOTEBOOK, home / "notebooks")
    return root


@pytest.fixture
def lab(visitor: Visitor, lab_server: Server, digits: Path, workplace: Path) -> Lab:
    notebook = (digits.parents[1] / "notebooks" / NOTEBOOK.name).relative_to(workplace).as_posix()
    lab = Lab(visitor.page, f"{lab_server.url}lab/workspaces/{digits.parents[1].name}/tree/{notebook}")
    lab.open()
    lab.run_all()
    ready(lab.page, page=0)
    return lab


def test_three_decisions_by_keyboard_survive_a_restart_and_move_the_files_and_back(
        lab: Lab, visitor: Visitor, digits: Path) -> None:
    page, before, cells = lab.page, files(digits), lab.cells()
    ranking = shoebox.rank(Dataset(digits)).pictures()
    one, two, three = ranking[:3]
    status = page.get_by_role("status").filter(visible=True).and_(page.locator(".sbx-status"))

    card(page, 1).click(position={"x": 20, "y": 40})
    expect(card(page, 1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(card(page, 1)).to_have_accessible_name(re.compile(f"decided: {one.suggested_label}$"))
    expect(card(page, 2)).to_be_focused()
    page.keyboard.press("d")
    expect(card(page, 2)).to_have_accessible_name(re.compile("decided: remove$"))
    expect(card(page, 3)).to_be_focused()
    page.keyboard.press("d")
    expect(card(page, 3)).to_have_accessible_name(re.compile("decided: remove$"))
    page.keyboard.press("z")
    expect(card(page, 3)).to_have_accessible_name(re.compile("undecided$"))
    expect(card(page, 3)).to_be_focused()
    page.keyboard.press("k")
    expect(status).to_have_text(f"{three.path.rpartition('/')[2]}: keep.")
    expect(page.locator(".sbx-decided")).to_have_text(f"3 of {len(ranking)} decided")
    assert lab.cells() == cells, "d d belongs to the cleaner, not to the notebook"
    assert {path: (d.kind, d.label) for path, d in Dataset(digits).decisions.items()} == {
        one.path: ("relabel", one.suggested_label), two.path: ("remove", None), three.path: ("keep", None)}
    assert files(digits) == before

    visitor.expect_trouble = True  # the lost kernel's widgets are written to the console
    lab.restart()
    lab.run_all()
    expect(page.locator(".sbx-cleaner")).to_have_count(1)
    ready(page, page=0, revision=1)
    expect(page.locator(".sbx-decided")).to_have_text(f"3 of {len(ranking)} decided")
    expect(card(page, 1)).to_have_accessible_name(re.compile(f"decided: {one.suggested_label}$"))
    expect(card(page, 2)).to_have_accessible_name(re.compile("decided: remove$"))

    page.get_by_role("button", name="Apply 2 …").click()
    plan = page.get_by_role("region", name="Move 2 files?")
    expect(plan.get_by_role("row", name=re.compile(f"^{one.given_label} "))).to_contain_text("−")
    assert files(digits) == before, "a plan moves nothing"
    plan.get_by_role("button", name="Move 2 files").click()
    result = page.get_by_role("region", name="Applied")
    expect(result).to_contain_text("2 pictures moved")
    moved = files(digits)
    assert one.path not in moved and two.path not in moved and three.path in moved
    assert any(path.startswith(f"{one.suggested_label}/") for path in set(moved) - set(before))
    expect(page.locator(".sbx-decided")).to_have_text(f"1 of {len(ranking) - 2} decided")

    result.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("region", name="Taken back")).to_contain_text("2 pictures moved back")
    assert files(digits) == before
    expect(page.locator(".sbx-decided")).to_have_text(f"3 of {len(ranking)} decided")


def test_a_silent_kernel_and_a_dead_one_are_told_on_the_card_and_nothing_is_pretended(
        lab: Lab, lab_server: Server, visitor: Visitor, digits: Path) -> None:
    page, kernel = lab.page, kernel_in(lab_server, digits.parents[1] / "notebooks")
    card(page, 1).click(position={"x": 20, "y": 40})
    kernel.suspend()
    page.keyboard.press("k")
    expect(card(page, 1)).to_contain_text("saving …")
    expect(card(page, 1)).to_contain_text("not saved: the kernel does not answer", timeout=8_000)
    expect(card(page, 1)).to_have_accessible_name(re.compile("undecided; not saved"))
    assert Dataset(digits).decisions == {}
    kernel.resume()
    expect(card(page, 1)).to_have_accessible_name(re.compile("decided: keep$"))
    assert [decision.kind for decision in Dataset(digits).decisions.values()] == ["keep"], "it was late, not lost"

    visitor.expect_trouble = True
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.shutdown()")
    card(page, 2).focus()
    page.keyboard.press("d")
    expect(card(page, 2)).to_contain_text("not saved: the kernel does not answer", timeout=8_000)
    assert len(Dataset(digits).decisions) == 1


def test_a_reloaded_page_shows_the_same_page_and_decisions(lab: Lab, visitor: Visitor) -> None:
    visitor.expect_trouble = True  # the old page's requests are cut off
    page = lab.page
    page.get_by_role("button", name="Next", exact=True).click()
    ready(page, page=1)
    card(page, 25).click(position={"x": 20, "y": 40})
    page.keyboard.press("u")
    expect(card(page, 25)).to_have_accessible_name(re.compile("decided: unsure$"))
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    lab.open()
    ready(page, page=1)
    expect(card(page, 25)).to_have_accessible_name(re.compile("decided: unsure$"))
    expect(page.get_by_text("page 2 of")).to_be_visible()
    page.keyboard.press("Tab")
    card(page, 26).click(position={"x": 20, "y": 40})
    page.keyboard.press("k")
    expect(card(page, 26)).to_have_accessible_name(re.compile("decided: keep$"))


@pytest.fixture(scope="module")
def bears(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names in many scripts, and one that would like to be markup."""
    root = folders(tmp_path_factory.mktemp("bears") / "data", {EVIL: 6, CYRILLIC: 6, HEBREW: 6, "灰熊": 12})
    for number, path in enumerate(sorted((root / HEBREW).iterdir())):
        path.rename(path.with_name(f"{EVIL}{number}.jpg"))
    return root


@pytest.fixture(scope="module")
def bears_server(bears: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    ds = Dataset(bears)
    others = dict(zip(ds.classes, [*ds.classes[1:], ds.classes[0]], strict=True))
    save_predictions(ds, lambda path, label: others[label] if "0" in path else label)
    folder = tmp_path_factory.mktemp("voila")
    cell = nbformat.v4.new_code_cell(f"import shoebox\nshoebox.clean(shoebox.Dataset({str(bears)!r}), page_size=8)")
    notebook = folder / "clean.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook)
    with start_voila(notebook, folder) as server:
        yield server


@pytest.fixture
def voila(visitor: Visitor, bears_server: Server) -> Page:
    visitor.page.goto(bears_server.url, wait_until="commit")
    ready(visitor.page, page=0)
    return visitor.page


def test_names_are_text_in_any_script_and_never_markup(voila: Page, bears: Path) -> None:
    page, options = voila, voila.get_by_label("Class").locator("option")
    assert sorted(options.all_inner_texts()[1:]) == sorted(f"{label} (0 of {n})" for label, n in (
        (EVIL, 6), (CYRILLIC, 6), (HEBREW, 6), ("灰熊", 12)))
    for number in range(1, 4):
        page.get_by_role("button", name="Next", exact=True).click()
        ready(page, page=number)
    page.get_by_label("Class").select_option(label=f"{HEBREW} (0 of 6)")
    ready(page, page=0)
    expect(page.get_by_role("gridcell")).to_have_count(6)
    first = page.get_by_role("gridcell").first
    first.click(position={"x": 20, "y": 40})
    page.keyboard.press("o")
    page.get_by_role("combobox", name="Another label").fill("<IMG")
    expect(page.get_by_role("dialog").get_by_role("option", name=EVIL)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(first).to_have_accessible_name(re.compile(re.escape(f"decided: {EVIL}")))
    page.get_by_role("button", name="Apply 1 …").click()
    expect(page.get_by_role("region", name="Move 1 file?").get_by_role("row", name=EVIL)).to_be_visible()
    page.get_by_text("File by file").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Move")).to_have_count(0)
    page.keyboard.press("z")
    expect(first).to_have_accessible_name(re.compile("undecided$"))
    assert page.locator('img[src="x"], [onerror]').count() == 0 and page.evaluate("window.hacked") is None
    assert Dataset(bears).decisions == {}


def test_two_people_see_what_the_other_decided_when_they_turn_a_page(
        visitors: Callable[..., Visitor], bears_server: Server, bears: Path) -> None:
    ada, ben = visitors().page, visitors().page
    for page in (ada, ben):
        page.goto(bears_server.url, wait_until="commit")
        ready(page, page=0)
    card(ada, 1).click(position={"x": 20, "y": 40})
    ada.keyboard.press("k")
    expect(card(ada, 1)).to_have_accessible_name(re.compile("decided: keep$"))
    card(ben, 2).click(position={"x": 20, "y": 40})
    ben.keyboard.press("u")
    expect(card(ben, 1)).to_have_accessible_name(re.compile("decided: keep$"))
    expect(ben.get_by_text("2 of 30 decided")).to_be_visible()
    for _ in range(2):
        ben.keyboard.press("z")
    expect(ben.get_by_text("0 of 30 decided")).to_be_visible()
    assert Dataset(bears).decisions == {}


def test_a_phone_needs_no_sideways_scroll_and_has_targets_for_thumbs(
        visitors: Callable[..., Visitor], bears_server: Server) -> None:
    page = visitors(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).page
    page.goto(bears_server.url, wait_until="commit")
    ready(page, page=0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Keys").tap()
    page.get_by_role("button", name="Close").tap()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in [*page.get_by_role("button").all(), *page.locator("select").all()]:
        box = button.bounding_box()
        assert box and box["height"] >= 44 and box["width"] >= 44, button.get_attribute("title")
    for label in page.locator(".sbx-card bdi").all():
        inside, outside = label.bounding_box(), label.locator("xpath=ancestor::*[@role='gridcell']").bounding_box()
        assert inside and outside and inside["x"] + inside["width"] <= outside["x"] + outside["width"]


# ------------------------------------------------- the module alone, with a model that is told what to say

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

