"""Draws the README's pictures anew: the app with an answer, and the cleaner in JupyterLab (`make screenshots`).

Uses the demo's data set and bundle (work/demo, models/demo), which `make demo` makes.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from _servers import start_lab, start_voila
from playwright.sync_api import Browser, sync_playwright

from conftest import ARGUMENTS

ROOT = Path(__file__).parents[2]
DATA, MODEL, PICTURES = ROOT / "work" / "demo", ROOT / "models" / "demo", ROOT / "docs"


def app(browser: Browser, folder: Path) -> None:
    """The app with a picture and its answer."""
    import shoebox

    ds = shoebox.Dataset(DATA)
    picture = next(record for record in ds.images if record.label == "5" and record.side == "valid")
    with start_voila(ROOT / "notebooks" / "app.ipynb", folder, model=MODEL) as server:
        page = browser.new_page(viewport={"width": 860, "height": 900})
        page.goto(server.url, wait_until="commit")
        page.locator("[data-state=ready]").wait_for(timeout=60_000)
        page.locator("input[type=file]:not(.sbx-camera)").set_input_files(ds.file(picture.path))
        page.locator("[data-state=done]").wait_for(timeout=60_000)
        page.locator("img").first.wait_for()
        page.screenshot(path=PICTURES / "app.png", full_page=True)
        page.close()


def cleaner(browser: Browser, folder: Path) -> None:
    """The cleaner with a few decisions, in JupyterLab's single-document mode."""
    shutil.copytree(DATA, folder / "digits")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(
        'import shoebox\nds = shoebox.Dataset("digits")\nshoebox.clean(ds)')])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(notebook, folder / "clean.ipynb")
    with start_lab(folder, folder) as server:
        page = browser.new_page(viewport={"width": 1240, "height": 980})
        page.goto(server.url + "doc/tree/clean.ipynb", wait_until="commit")
        page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.context?.sessionContext?.session?.kernel"
                               "?.status === 'idle'", timeout=60_000)
        page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        cards = page.locator(".sbx-card")
        cards.first.wait_for(timeout=60_000)
        cards.first.click()
        for number, key in enumerate(("Enter", "Enter", "k", "d", "u"), start=1):
            page.keyboard.press(key)
            page.locator(".sbx-card[data-decision]:not([data-decision=''])").nth(number - 1).wait_for()
        page.screenshot(path=PICTURES / "cleaner.png")
        page.close()


def main() -> int:
    """Both pictures."""
    if not (MODEL / "manifest.json").is_file():
        print("There is no models/demo yet. Run: make demo SERVE=0", file=sys.stderr)
        return 1
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as name:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        (Path(name) / "app").mkdir()
        (Path(name) / "cleaner").mkdir()
        app(browser, Path(name) / "app")
        cleaner(browser, Path(name) / "cleaner")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
