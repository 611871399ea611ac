"""One visitor, both apps in turn: until the page can be used, memory, click to answer, bytes sent."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from _app_models import SMALL, Models, kernels, memory_mb, write_notebook
from _servers import Server, clean_env, free_port, start_voila
from playwright.sync_api import Browser, Page, sync_playwright
from results import cell

from conftest import ARGUMENTS

SETTLE_S = 1.0
PAUSE_S = 2.0  # a person's, who has to find the picture first; on both sides
MB64 = "--Voila.tornado_settings={'websocket_max_message_size': 67108864}"  # else the photo would be lost silently
NAMES = {"usable_s": "kernel start to usable page, s",
         "memory_mb": "memory of the visitor's kernel after an answer, MB",
         "memory8_mb": "the same with weights of 8 bits, MB",
         "answer_s": "click to answer for the photo, s",
         "at_once_s": "page and first answer, the photo given at once, s", "sent_kb": "sent for it, kB"}
BOUNDS = {"usable_s": "1/4", "memory_mb": "1/4", "memory8_mb": "1/7", "answer_s": "1/4", "at_once_s": "",
          "sent_kb": "1/20"}


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of the tests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        yield browser
        browser.close()


def plain_voila(notebook: Path, folder: Path) -> Server:
    """Voila as the book starts it, but for the size of a message."""
    port = free_port()
    command = [sys.executable, "-P", "-m", "voila", str(notebook), "--no-browser", f"--port={port}", MB64]
    return Server(command, f"http://127.0.0.1:{port}/", "voila/static/voila.js", folder, clean_env(folder))


def visit(browser: Browser, server: Server, use: Any, photo: Path, pause_s: float = PAUSE_S) -> dict[str, float]:
    """Open the page, hand it the photo after a pause, read the answer."""
    context = browser.new_context()
    page = context.new_page()
    sent = [0]
    page.on("websocket", lambda line: line.on("framesent", lambda frame: sent.__setitem__(0, sent[0] + len(frame))))
    start = time.perf_counter()
    page.goto(server.url, wait_until="commit")
    use.ready(page)
    usable = time.perf_counter() - start
    if pause_s:  # else the page would get on with its work meanwhile
        page.locator("body").count()  # Playwright's own script is loaded into the page, which took 20 ms of each answer
    time.sleep(pause_s)
    sent[0] = 0
    start = time.perf_counter()
    use.ask(page, photo)
    answer = time.perf_counter() - start
    memory = memory_mb(max(kernels(server.process.pid), key=memory_mb))
    page.close(run_before_unload=True)
    context.close()
    leave(server, use)
    return {"usable_s": usable, "memory_mb": memory, "answer_s": answer, "sent_kb": sent[0] / 1e3}


def leave(server: Server, use: Any) -> None:
    """Until the kernels are gone, and a moment longer: what one side leaves behind must not slow the other."""
    left = kernels(server.process.pid)
    if use is Theirs:  # plain Voila keeps them
        for process in left:
            process.kill()
    psutil.wait_procs(left, timeout=20)
    time.sleep(SETTLE_S)


def appears(page: Page, expression: str) -> None:
    """Look at every frame; Playwright's own waiting looks after 0, 20, 70, 170, 270, 770 ms and so on."""
    page.wait_for_function(expression, polling="raf", timeout=120_000)


class Ours:
    """The shipped app."""

    @staticmethod
    def ready(page: Page) -> None:
        appears(page, "document.querySelector('.sbx-app')?.dataset.state === 'ready'")

    @staticmethod
    def ask(page: Page, photo: Path) -> None:
        page.locator("input[type=file]:not(.sbx-camera)").set_input_files(photo)
        appears(page, "document.querySelector('.sbx-app').dataset.state === 'done'")


class Theirs:
    """The book's app: choose, then click."""

    @staticmethod
    def ready(page: Page) -> None:
        appears(page, "[...document.querySelectorAll('button')].some((b) => b.textContent.includes('Classify'))")

    @staticmethod
    def ask(page: Page, photo: Path) -> None:
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Upload").click()
        chooser.value.set_files(photo)
        appears(page, "[...document.querySelectorAll('button')].some((b) => b.textContent.includes('Upload (1)'))")
        page.get_by_role("button", name="Classify").click()
        appears(page, "document.body.textContent.includes('Prediction:')")


def run(models: Models, *, quick: bool) -> tuple[str, str]:
    """Take turns; each visit has a kernel of its own, none is heated up beforehand."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # both sides find their bytecode, as after an install
    rounds = 2 if quick else 15
    rows: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
    small = write_notebook(models.folder / "small", SMALL.format(model=str(models.bundle)))
    for name in ("a", "b", "c"):
        (models.folder / f"server-{name}").mkdir()
    with chromium() as browser, \
            start_voila(models.ours, models.folder / "server-a", preheat=0, max_visitors=50) as ours, \
            start_voila(small, models.folder / "server-c", preheat=0, max_visitors=50) as ours_small, \
            plain_voila(models.theirs, models.folder / "server-b") as theirs:
        for number in range(rounds + 1):
            pair = visit(browser, ours, Ours, models.photo), visit(browser, theirs, Theirs, models.photo)
            pair[0]["memory8_mb"] = visit(browser, ours_small, Ours, models.photo)["memory_mb"]
            for row, server, use in ((pair[0], ours, Ours), (pair[1], theirs, Theirs)):
                hurried = visit(browser, server, use, models.photo, pause_s=0)
                row["at_once_s"] = hurried["usable_s"] + hurried["answer_s"]
            pair[1]["memory8_mb"] = pair[1]["memory_mb"]
            if number:  # the first round warms the disk's cache
                rows["ours"].append(pair[0])
                rows["theirs"].append(pair[1])
    lines = [f"`python bench/app.py pairs`. ResNet-18, {models.photo.stat().st_size / 1e6:.1f} MB photo of 4032 x "
             f"3024, {rounds} pairs in turn; the photo is given {PAUSE_S:.0f} s after the page can be used, unless the "
             "figure says otherwise, and Playwright's own script is in the page by then. OMP_NUM_THREADS is set for "
             "neither server.\n",
             "| figure | Shoebox median (min to max) | book median (min to max) | ratio, median of pairs | bound |",
             "|---|---|---|---|---|"]
    for key, words in NAMES.items():
        a, b = [row[key] for row in rows["ours"]], [row[key] for row in rows["theirs"]]
        ratio = statistics.median(x / y for x, y in zip(a, b, strict=True))
        lines.append(f"| {words} | {cell(a)} | {cell(b)} | {ratio:.3f} | {BOUNDS[key]} |")
    return "The app against one of the book's form", "\n".join(lines)


if __name__ == "__main__":
    sys.exit(subprocess.call([sys.executable, str(Path(__file__).with_name("app.py")), "pairs"]))
