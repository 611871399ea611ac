"""The collector as a person meets it: a real JupyterLab, a real Chromium, a local server in place of the web."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from _servers import Server, Visitor, start_lab, wait_until
from playwright.sync_api import Page, expect
from tests._web import Web, body, jpeg, web

import shoebox
from shoebox.widgets import Cleaner, Collector

EVIL = "<img src=x onerror=window.hacked=1>"
CYRILLIC = "Бурый медведь"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(workplace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_lab(workplace, tmp_path_factory.mktemp("lab-state")) as server:
        yield server


@pytest.fixture
def here() -> Iterator[Web]:
    with web() as server:
        server.answers |= {f"/{n}.jpg": body(jpeg(n, (200, 150))) for n in range(24)}
        yield server


@pytest.fixture
def page(visitor: Visitor, lab: Server, workplace: Path, here: Web, request: pytest.FixtureRequest) -> Page:
    """A notebook with a collector for a list of 24 addresses, two of them bad; each test has a folder of its own."""
    home = workplace / re.sub(r"\W", "", request.node.name)
    home.mkdir()
    addresses = [here.url(f"/{n}.jpg") for n in range(22)] + [here.url("/gone.jpg"), "file:///etc/hostname"]
    (home / "list.txt").write_text("\n".join(addresses), "utf-8")
    code = (f"import shoebox\nfrom shoebox.collect import Limits\ncollector = shoebox.Collector('bears', "
            f"{{{EVIL!r}: ''}}, allow_private=True, source='files', limits=Limits(starts_per_s=8))\ncollector")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(notebook, home / "collect.ipynb")
    page = visitor.page
    page.goto(f"{lab.url}lab/workspaces/{home.name}/tree/{home.name}/collect.ipynb", wait_until="commit")
    page.wait_for_function(
        "window.jupyterapp?.shell?.currentWidget?.context?.sessionContext?.session?.kernel?.status === 'idle'",
        timeout=90_000)
    page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.get_by_role("form", name="Collector").wait_for(timeout=60_000)
    return page


def home_of(page: Page, workplace: Path) -> Path:
    return workplace / page.url.rpartition("/tree/")[2].split("/")[0]


def state(page: Page) -> Any:
    return expect(page.get_by_role("form", name="Collector"))


def test_a_person_fills_in_the_form_watches_stops_and_goes_on(page: Page, workplace: Path, here: Web) -> None:
    home = home_of(page, workplace)
    form = page.get_by_role("form", name="Collector")
    expect(form.get_by_role("note")).to_contain_text("healthy skin")
    expect(form.get_by_role("textbox", name="Class")).to_have_value(EVIL)
    form.get_by_role("button", name="Take this class out").click()
    form.get_by_role("textbox", name="Class").fill(CYRILLIC)
    form.get_by_role("textbox", name="Path of the folder").fill("list.txt")
    form.get_by_role("textbox", name="Class").press("Enter")
    state(page).to_have_attribute("data-state", "running")
    expect(form.get_by_role("textbox", name="Class")).to_be_disabled()
    pictures = form.get_by_role("list", name="Newest pictures").get_by_role("img")
    pictures.nth(2).wait_for(timeout=30_000)
    assert pictures.first.evaluate("img => img.decode().then(() => img.naturalWidth)") == 96
    form.get_by_role("button", name="Stop").click()
    state(page).to_have_attribute("data-state", "idle", timeout=30_000)
    expect(form.get_by_role("status")).to_have_text("Collecting has ended.")
    stored = len(list((home / "bears" / CYRILLIC).iterdir()))
    assert 3 <= stored < 22

    form.get_by_role("button", name="Collect", exact=True).click()
    meter = form.get_by_role("progressbar", name=CYRILLIC)
    expect(meter).to_have_attribute("aria-valuenow", "24", timeout=60_000)
    state(page).to_have_attribute("data-state", "idle", timeout=30_000)
    expect(meter).to_have_attribute("aria-valuetext", "22 added, 0 duplicates, 2 refused of 24")
    found = re.compile(r"^asked 24, saved 22 \(\d+ of them earlier\), 1 no web address, 1 not found$")
    expect(form.get_by_text(found)).to_be_visible()
    expect(form.get_by_role("group", name="Sites they came from")).to_contain_text("127.0.0.1")
    expect(form.get_by_role("group", name="Pictures added per class")).to_contain_text("22")
    assert max(here.counts().values()) <= 2 and len(shoebox.Dataset(home / "bears").images) == 22


def test_the_form_is_laid_out_in_rows_with_the_cleaner_beside_it_too(page: Page) -> None:
    """Shipped bug: the cleaner's rule for its cards lay over the rows: one on another, fields 18 px wide."""
    form = page.get_by_role("form", name="Collector")
    form.get_by_role("button", name="Add a class").click()
    names = form.get_by_role("textbox", name="Class")
    expect(names).to_have_count(2)
    source, many = form.get_by_role("combobox", name="Source"), form.get_by_role("spinbutton")
    expect(many).to_be_hidden()  # a list is taken as a whole
    source.select_option("openverse")
    for step in ("alone", "with the cleaner's sheet behind its own"):
        if step != "alone":
            page.add_style_tag(content=str(Cleaner._css))
        first, second, below, number = (one.bounding_box() for one in (names.nth(0), names.nth(1), source, many))
        assert first and second and below and number
        assert min(first["width"], second["width"]) > 100 and number["width"] < 100, step
        assert first["y"] + first["height"] + 4 < second["y"], step
        assert second["y"] + second["height"] + 4 < below["y"], step
        assert abs(number["y"] + number["height"] / 2 - below["y"] - below["height"] / 2) < 10, step
    many.fill("")
    source.select_option("files")
    form.get_by_role("button", name="Collect", exact=True).click()
    expect(form.get_by_role("status")).to_contain_text("No path was given")  # and nothing of the number out of sight


def test_names_are_text_and_a_mistake_is_a_sentence(page: Page, here: Web) -> None:
    form = page.get_by_role("form", name="Collector")
    form.get_by_role("button", name="Collect", exact=True).click()
    expect(form.get_by_role("status")).to_contain_text("Nothing was started")
    form.get_by_role("textbox", name="Class").fill("<b onclick=window.hacked=1>bear<b>")
    form.get_by_role("textbox", name="Path of the folder").fill("list.txt")
    form.get_by_role("button", name="Collect", exact=True).click()
    expect(form.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "24", timeout=60_000)
    state(page).to_have_attribute("data-state", "idle", timeout=30_000)
    assert page.evaluate("window.hacked") is None
    assert form.locator("b, img[src=x], script").count() == 0
    form.get_by_role("combobox", name="Source").select_option("openverse")
    expect(form.get_by_role("textbox", name="Path of the folder")).to_be_hidden()


def test_the_form_is_drawn_again_from_the_kernel(page: Page) -> None:
    form = page.get_by_role("form", name="Collector")
    form.get_by_role("textbox", name="Class").fill(CYRILLIC)
    form.get_by_role("textbox", name="Path of the folder").fill("list.txt")
    form.get_by_role("button", name="Collect", exact=True).click()
    state(page).to_have_attribute("data-state", "running")
    page.evaluate("void window.jupyterapp.commands.execute('notebook:clear-cell-output')")
    expect(form).to_have_count(0)
    page.evaluate("""() => {
        const widget = window.jupyterapp.shell.currentWidget;
        widget.content.activeCell.model.sharedModel.setSource("collector");
        void window.jupyterapp.commands.execute('notebook:run-cell');
    }""")
    form.wait_for(timeout=60_000)
    expect(form.get_by_role("progressbar", name=CYRILLIC)).to_have_attribute("aria-valuenow", "24", timeout=60_000)
    expect(form.get_by_role("textbox", name="Class")).to_have_value(CYRILLIC)


def test_a_kernel_that_dies_is_told_within_seconds(page: Page, visitor: Visitor, lab: Server, workplace: Path) -> None:
    visitor.expect_trouble = True
    form = page.get_by_role("form", name="Collector")
    home = home_of(page, workplace)
    form.get_by_role("textbox", name="Path of the folder").fill("list.txt")
    form.get_by_role("textbox", name="Class").fill("a")
    form.get_by_role("button", name="Collect", exact=True).click()
    state(page).to_have_attribute("data-state", "running")
    family = psutil.Process(lab.process.pid).children(recursive=True)
    kernel = next(child for child in family if "ipykernel_launcher" in " ".join(child.cmdline())
                  and Path(child.cwd()) == home)
    os.kill(kernel.pid, signal.SIGSTOP)
    try:
        expect(form.get_by_role("status")).to_contain_text("the kernel does not answer", timeout=15_000)
    finally:
        os.kill(kernel.pid, signal.SIGCONT)
    wait_until(lambda: form.get_attribute("data-state") == "idle", "the kernel went on", timeout_s=60)


_STAGE = """async ([source, snapshot, thumbnail]) => {
    const stage = {urls: new Set(), signals: new Set(), loose: [], timers: new Set(), callbacks: new Set()};
    window.stage = stage;
    const add = EventTarget.prototype.addEventListener;
    EventTarget.prototype.addEventListener = function (name, callback, options) {
        if (!(this instanceof AbortSignal)) {
            if (options?.signal) stage.signals.add(options.signal); else stage.loose.push(name);
        }
        return add.call(this, name, callback, options);
    };
    const create = URL.createObjectURL, revoke = URL.revokeObjectURL;
    const module = await import(create.call(URL, new Blob([source], {type: "text/javascript"})));
    URL.createObjectURL = (blob) => { const url = create.call(URL, blob); stage.urls.add(url); return url; };
    URL.revokeObjectURL = (url) => { stage.urls.delete(url); revoke.call(URL, url); };
    const every = window.setInterval, clear = window.clearInterval;
    window.setInterval = (...given) => { const id = every(...given); stage.timers.add(id); return id; };
    window.clearInterval = (id) => { stage.timers.delete(id); clear(id); };
    const bytes = new DataView(Uint8Array.from(thumbnail).buffer);
    const traits = {snapshot, thumbnails: {"a/1.jpg": bytes}, choices: [["ddgs", "Web"]], warning: "Beware."};
    const model = {get: (name) => traits[name], send: () => {},
                   on: (name, callback) => stage.callbacks.add(callback),
                   off: (name, callback) => stage.callbacks.delete(callback)};
    stage.end = module.default.render({model, el: document.body});
    stage.left = () => [stage.urls.size, stage.timers.size, stage.callbacks.size, stage.loose.length,
                        [...stage.signals].filter((signal) => !signal.aborted).length, document.body.children.length];
}"""


def test_nothing_is_left_when_the_view_is_removed(visitor: Visitor) -> None:
    page = visitor.page
    page.goto("about:blank")
    counts = {"label": "a", "done": 1, "total": 2, "added": 1, "duplicate": 0, "refused": 0}
    snapshot = {"state": "running", "rows": [["a", "b"]], "source": "ddgs", "place": "", "per_class": 50,
                "lists": ["files"], "notes": [EVIL], "classes": [counts], "sites": [[EVIL, 1]], "searching": EVIL,
                "summary": EVIL, "revision": 1,
                "pictures": [{"image_id": "1", "path": "a/1.jpg", "label": EVIL, "title": EVIL}]}
    page.evaluate(_STAGE, [str(Collector._esm), snapshot, list(jpeg(1))])
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "1")
    assert page.evaluate("stage.left()")[:4] == [1, 1, 3, 0], "a picture, a timer, callbacks, no loose listener"
    assert page.evaluate("window.hacked") is None and page.locator("img[src=x]").count() == 0
    page.evaluate("stage.end()")
    assert page.evaluate("stage.left()") == [0, 0, 0, 0, 0, 0]
