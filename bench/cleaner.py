"""The cleaner in JupyterLab and Chromium against fastai's ImageClassifierCleaner on the same photographs and learner.

Times are taken in the page, from the key or the start of the cell to the frame in which the last thumbnail stands. It
adds a table to bench/RESULTS.md. Run it with `python bench/cleaner.py [photographs] [many] [decisions]`.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import psutil
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "tests" / "browser")]

import scan  # noqa: E402
import scan_growth  # noqa: E402
from _servers import start_lab, wait_until  # noqa: E402
from books_learner import books_learner  # noqa: E402
from results import cell, write_section  # noqa: E402

ROUNDS = 5
SWITCHES = 20
EVERY_MS = 200
REST_MS = 20_000  # in which the browser tidies up by itself
MORE = 480  # pictures of a class in fastai's, which shows 30 of them unless told otherwise, and no further page
FIRST = ("cell to first page, predictions at hand", "the same, theirs told to show 480 of a class",
         "cell to the final order, predictions at hand",
         "cell to first page, predictions are computed", "cell to the final order, predictions are computed")
CLOCK = """
async ({ start, done, then }) => {
  const begin = new Function(`return (${start})`)(), end = new Function(`return (${done})`)();
  const t0 = performance.now();
  begin();
  for (;;) {
    await new Promise(requestAnimationFrame);
    if (end()) break;
    if (performance.now() - t0 > 300000) throw new Error("nothing was drawn in 300 s");
  }
  await new Promise(requestAnimationFrame); // the frame in which it stands
  const drawn = performance.now() - t0;
  const last = then && new Function(`return (${then})`)();
  while (last && !last()) await new Promise(requestAnimationFrame);
  return [drawn, performance.now() - t0];
}
"""
RUN = "() => void window.jupyterapp.commands.execute('notebook:run-cell')"
OURS_DRAWN = "() => document.querySelector('.sbx-cleaner[data-state=ready] .sbx-card canvas') !== null"
OURS_FINAL = """() => {
  const box = document.querySelector('.sbx-cleaner[data-state=ready] .sbx-ordering');
  if (box?.dataset.state === 'failed') throw new Error(box.textContent);
  return box !== null && box.hidden && document.querySelector('.sbx-cleaner .sbx-card canvas') !== null;
}"""
THEIRS_DRAWN = """() => {
  const images = [...document.querySelectorAll('.jp-OutputArea .widget-vbox img')];
  const dropdowns = document.querySelectorAll('.jp-OutputArea .widget-dropdown').length;
  return images.length > 0 && dropdowns >= 2 + images.length
    && images.every((one) => one.complete && one.naturalWidth && !one.old);
}"""
DECIDE = """
async ({ n, every }) => {
  const late = [], waiting = new Map();
  const watch = new MutationObserver((changes) => {
    for (const { target } of changes) {
      const t0 = waiting.get(target.dataset.path);
      if (t0 === undefined || !target.dataset.decision) continue;
      late.push(performance.now() - t0);
      waiting.delete(target.dataset.path);
    }
  });
  watch.observe(document.querySelector(".sbx-grid"), { subtree: true, attributeFilter: ["data-decision"] });
  for (let count = 0; count < n; count += 1) {
    const began = performance.now();
    const card = document.activeElement.closest(".sbx-card");
    waiting.set(card.dataset.path, began);
    card.dispatchEvent(new KeyboardEvent("keydown", { key: count % 3 ? "k" : "d", bubbles: true, cancelable: true }));
    await new Promise((go) => setTimeout(go, Math.max(0, every - (performance.now() - began))));
  }
  for (let turn = 0; turn < 50 && waiting.size; turn += 1) await new Promise((go) => setTimeout(go, 100));
  watch.disconnect();
  return { late, missing: waiting.size };
}
"""
SETUP = """
import warnings; warnings.simplefilter("ignore")
import torch; torch.set_num_threads(1)
import shoebox
ds = shoebox.Dataset("photos")
"""
LEARNER = SETUP + """
from fastai.vision.all import *
import fastai.vision.widgets as book
learn = load_learner("export.pkl", cpu=True)
block = DataBlock(blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label,
                  splitter=RandomSplitter(seed=42), item_tfms=Resize(64))
learn.dls = block.dataloaders("photos", bs=64, num_workers=0)
shoebox.rank(ds, learn)
with learn.no_bar(): known = book._get_iw_info(learn, 0), book._get_iw_info(learn, 1)
compute = book._get_iw_info
"""


def learner(folder: Path) -> None:
    """A small network for the photographs, as export.pkl. What it says does not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        books_learner(folder / "photos", side_px=64).export("export.pkl")


@contextmanager
def notebook(page: Page, url: str, folder: Path, name: str, cells: list[str]) -> Iterator[None]:
    """A notebook whose first cell has run and whose second is the active one."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(book, folder / f"{name}.ipynb")
    page.goto(f"{url}lab/workspaces/{name}/tree/{name}.ipynb", wait_until="commit")
    page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.context?.sessionContext?.session?.kernel?.status "
                           "=== 'idle'", timeout=90_000)
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-cell-and-select-next')")
    page.wait_for_function("window.jupyterapp.shell.currentWidget.content.widgets[0].model.executionCount !== null",
                           timeout=600_000)
    errors = page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']")
    assert errors.count() == 0, errors.first.inner_text()
    try:
        yield
    finally:
        page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")


def clock(page: Page, start: str, done: str) -> float:
    """Milliseconds from `start` to the frame after `done`."""
    return clock_both(page, start, done, None)[0]


def clock_both(page: Page, start: str, done: str, then: str | None) -> tuple[float, float]:
    """The same, and milliseconds until `then` is so."""
    drawn, last = page.evaluate(CLOCK, {"start": start, "done": done, "then": then})
    return float(drawn), float(last)


def forget(folder: Path) -> None:
    """Nothing is known of the photographs but what the scan saw: no predictions, features or thumbnails' answers."""
    shutil.rmtree(folder / ".shoebox" / "features", ignore_errors=True)
    for file in (folder / ".shoebox").glob("predictions-*.npz"):
        file.unlink()


def first_pages(page: Page, url: str, folder: Path) -> dict[str, list[float]]:
    """Seconds from running the cell to the whole first page, with and without computing the predictions.

    Before each of ours that predicts, everything that was computed before is forgotten: its first page stands in the
    order of the paths. "final" is the time until the pictures stand in the final order.
    """
    cells = {"ours": "shoebox.clean(ds, page_size=30)",
             "ours, predicting": "shoebox.clean(ds, learn=learn, page_size=30)",
             "theirs": "book._get_iw_info = lambda learn, side: known[side]\nbook.ImageClassifierCleaner(learn)",
             "theirs, more": "book._get_iw_info = lambda learn, side: known[side]\n"
                             f"book.ImageClassifierCleaner(learn, max_n={MORE})",
             "theirs, predicting": "book._get_iw_info = compute\nbook.ImageClassifierCleaner(learn)"}
    found: dict[str, list[float]] = {name: [] for name in (*cells, "ours, final", "ours, predicting, final")}
    with notebook(page, url, folder, "first", [LEARNER, "pass"]):
        for number in range(ROUNDS):
            for name, cell in cells.items():
                if ("predicting" in name or "more" in name) and number > 1:
                    continue  # the long ones twice
                if name == "ours, predicting":
                    forget(folder / "photos")
                page.evaluate("(cell) => { const own = window.jupyterapp.shell.currentWidget.content.activeCell;"
                              "own.model.sharedModel.setSource(cell); own.outputArea.model.clear(); }", cell)
                page.wait_for_function("!document.querySelector('.jp-OutputArea img')")
                done = OURS_DRAWN if "ours" in name else THEIRS_DRAWN
                drawn, last = clock_both(page, RUN, done, OURS_FINAL if "ours" in name else None)
                found[name].append(drawn / 1000)
                if "ours" in name:
                    found[f"{name}, final"].append(last / 1000)
    return found


def switches(page: Page, url: str, folder: Path) -> dict[str, list[float]]:
    """Milliseconds from the key or choice to the last thumbnail."""
    found: dict[str, list[float]] = {"page": [], "class": [], "theirs": []}
    with notebook(page, url, folder, "switch", [SETUP, "shoebox.clean(ds, page_size=30)"]):
        clock(page, RUN, OURS_FINAL)
        page.locator(".sbx-card").first.click(position={"x": 20, "y": 60})
        pages = int(page.evaluate("Number(document.querySelector('.sbx-page').textContent.match(/of (\\d+)/)[1])"))
        for number in range(1, min(SWITCHES, pages - 1) + 1):
            found["page"].append(clock(
                page, "() => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', "
                      "{ key: 'n', bubbles: true, cancelable: true }))",
                f"() => document.querySelector('.sbx-cleaner[data-state=ready][data-page=\"{number}\"]') !== null"))
            page.wait_for_timeout(400)
        for number in range(SWITCHES):
            value, letter = (("=flower", "f"), ("=china", "c"))[number % 2]
            found["class"].append(clock(
                page, "() => { const select = document.querySelector('[data-field=label]');"
                      f"select.value = '{value}'; select.dispatchEvent(new Event('change')); }}",
                "() => document.querySelector('.sbx-cleaner[data-state=ready]') && "
                f"[...document.querySelectorAll('.sbx-card')].every((one) => one.dataset.path[0] === '{letter}')"))
            page.wait_for_timeout(200)
    with notebook(page, url, folder, "switch-theirs", [
            LEARNER, "book._get_iw_info = lambda learn, side: known[side]\nbook.ImageClassifierCleaner(learn)"]):
        clock(page, RUN, THEIRS_DRAWN)
        for number in range(SWITCHES):
            found["theirs"].append(clock(
                page, "() => { document.querySelectorAll('.jp-OutputArea img').forEach((one) => { one.old = true; });"
                      "const select = document.querySelector('.jp-OutputArea select');"
                      f"select.selectedIndex = {(number + 1) % 2}; select.dispatchEvent(new Event('change', "
                      "{ bubbles: true })); }", THEIRS_DRAWN))
            page.wait_for_timeout(200)
    return found


def used_mb() -> float:
    """Memory of the largest page process of the browsers that were started here, in MB of its own."""
    sizes = [0.0]
    for process in psutil.Process().children(recursive=True):
        if any("--type=renderer" in word for word in process.cmdline()):
            sizes.append(process.memory_full_info().uss / 2**20)
    return max(sizes)


def many(page: Page, url: str, folder: Path, decisions: int) -> dict[str, float]:
    """First page, a walk through all, and decisions by key, for tens of thousands of pictures."""
    ready = (SETUP.replace('"photos"', '"many"') + "import numpy as np\nfrom shoebox.data import Predictions\n"
             "probs = np.random.default_rng(0).dirichlet(np.ones(len(ds.classes)), len(ds.images)).astype('float32')\n"
             "probs /= probs.sum(axis=1, keepdims=True)\n"
             "place = {name: n for n, name in enumerate(ds.classes)}\n"
             "ds.save_predictions(Predictions(tuple(r.path for r in ds.images), tuple(r.image_id for r in ds.images),\n"
             "    np.asarray([place[r.label] for r in ds.images]), probs, ds.classes, ('held_out',) * len(probs)))\n"
             "ranking = shoebox.rank(ds)")
    with notebook(page, url, folder, "many", [ready, "cleaner = shoebox.clean(ds, ranking)\ncleaner"]):
        before = used_mb()
        found = {"first page, s": clock(page, RUN, OURS_DRAWN) / 1000}
        nodes = "document.querySelectorAll('.sbx-card').length"
        grid = page.locator(".sbx-grid")
        height, step = grid.evaluate("(grid) => [grid.scrollHeight, grid.clientHeight]")
        most, slowest = 0, []
        for top in range(0, int(height), int(step) * 8):  # every eighth window, to the end
            slowest.append(clock(
                page, f"() => {{ document.querySelector('.sbx-grid').scrollTop = {top}; }}",
                "() => document.querySelector('.sbx-cleaner[data-state=ready]') !== null"))
            most = max(most, int(page.evaluate(nodes)))
        found |= {"a far window, ms": statistics.median(slowest), "cards at most": most,
                  "page's memory before, MB": before, "page's memory after, MB": used_mb()}
        page.wait_for_timeout(REST_MS)
        found["page's memory at rest, 20 s later, MB"] = used_mb()
        page.context.new_cdp_session(page).send("HeapProfiler.collectGarbage")
        found |= {"the same after collecting garbage, MB": used_mb(),
                  "heap after, MB": float(page.evaluate("performance.memory.usedJSHeapSize")) / 2**20}
        grid.evaluate("(grid) => { grid.scrollTop = 0; }")
        wait_until(lambda: page.locator(".sbx-cleaner[data-state=ready][data-page='0']").count() == 1, "page 1 is back")
        page.locator(".sbx-card").first.click(position={"x": 20, "y": 60})
        told = page.evaluate(DECIDE, {"n": decisions, "every": EVERY_MS})
        import shoebox

        stored = len(shoebox.Dataset(folder / "many").decisions)
        found |= {"decisions asked for": decisions, "decisions stored": stored,
                  "not told": told["missing"], "decision median, ms": statistics.median(told["late"]),
                  "decision slowest, ms": max(told["late"]), "over 200 ms": sum(ms > 200 for ms in told["late"])}
    return found


def report(n: int, size: int, first: dict[str, list[float]], turned: dict[str, list[float]],
           large: dict[str, float]) -> str:
    pairs = (("ours", "theirs"), ("ours", "theirs, more"), ("ours, final", "theirs"),
             ("ours, predicting", "theirs, predicting"), ("ours, predicting, final", "theirs, predicting"))
    ratio = {(ours, theirs): statistics.median(a / b for a, b in zip(first[ours], first[theirs], strict=False))
             for ours, theirs in pairs}
    theirs = statistics.median(turned["theirs"])
    lines = [f"{n} photographs of 1600 x 1200, JupyterLab and Chromium; {ROUNDS} rounds in turn, those with "
             f"predictions and those with {MORE} pictures 2, {SWITCHES} switches, pages of 30. Before Shoebox computes "
             f"predictions, all that it had computed before is removed. `python bench/cleaner.py {n} {size}`\n",
             "| figure | Shoebox median (min to max) | fastai median (min to max) | ratio |", "|---|---|---|---|",
             *(f"| {name}, s | {cell(first[ours])} | {cell(first[theirs])} | {ratio[ours, theirs]:.3f} |"
               for name, (ours, theirs) in zip(FIRST, pairs, strict=True)),
             f"| next page, ms | {cell(turned['page'], 0)} | | {statistics.median(turned['page']) / theirs:.3f} |",
             f"| class switch, ms | {cell(turned['class'], 0)} | {cell(turned['theirs'], 0)} | "
             f"{statistics.median(turned['class']) / theirs:.3f} |",
             f"\nWith {size} small pictures, every eighth window scrolled to:\n", "| figure | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value:.2f} |" for name, value in large.items())])


def main() -> None:
    """Make the data, measure, print, and add the tables to RESULTS.md."""
    asked = [int(word) for word in sys.argv[1:]]
    n, size, decisions = asked + [2000, 50_000, 500][len(asked):]
    import shoebox

    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        scan.draw(folder / "photos", n)
        scan_growth.draw(folder / "many", size)
        learner(folder)
        for data in ("photos", "many"):
            assert len(shoebox.Dataset(folder / data).images) > 0
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[
            "--no-sandbox", "--disable-dev-shm-usage", "--enable-precise-memory-info"])
        (folder / "state").mkdir()
        with start_lab(folder, folder / "state") as server:
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            first = first_pages(page, server.url, folder)
            turned = switches(page, server.url, folder)
            page.close()
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            large = many(page, server.url, folder, decisions)
        browser.close()
    write_section("The cleaner against fastai's", report(n, size, first, turned, large))


if __name__ == "__main__":
    main()
