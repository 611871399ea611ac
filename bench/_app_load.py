"""Many at once, much that is broken, and one page five hundred times."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from _app_models import Models, kernels, memory_mb
from _app_pairs import Ours, chromium
from _servers import Server, start_voila, wait_until
from tests._line import Line, Served, fetch, talk

VISITORS = 20
EVERY_S = 5.0
TEN = 10


def run_visitors(models: Models, *, quick: bool) -> tuple[str, str]:
    """20 visitors at once, a picture every 5 s each, as the browser would send it."""
    seconds = 30 if quick else 120
    photo = _as_sent(models)
    times: list[float] = []
    errors: list[str] = []
    folder = models.folder / "server-load"
    folder.mkdir()
    with start_voila(models.ours, folder, preheat=0, max_visitors=VISITORS) as server:
        here: list[int] = []  # nobody asks before all have come; a page that nobody connects to loses its kernel

        async def stay(number: int, door: asyncio.Semaphore) -> None:
            async def ask(line: Line) -> None:
                await line.greet()
                here.append(number)
                while len(here) + len(errors) < VISITORS:
                    await asyncio.sleep(0.1)
                await asyncio.sleep(EVERY_S * number / VISITORS)
                end = time.monotonic() + seconds
                turn = 0
                while time.monotonic() < end:
                    start = time.perf_counter()
                    reply = await show(line, page, photo, f"{number}-{turn}")
                    taken = time.perf_counter() - start
                    (times.append(taken) if reply["ok"] else errors.append(str(reply)))
                    turn += 1
                    await asyncio.sleep(max(0, EVERY_S - taken))

            try:
                async with door:
                    page = await asyncio.to_thread(fetch, server.url)
                await asyncio.to_thread(talk, server.url, page.kernel_id, ask, timeout_s=seconds + 400)
            except Exception as error:
                errors.append(repr(error))

        async def all_of_them() -> None:
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(VISITORS))
            door = asyncio.Semaphore(2)
            await asyncio.gather(*(stay(number, door) for number in range(VISITORS)))

        alone = _alone(server, photo)
        asyncio.run(all_of_them())
        each = [memory_mb(process) for process in kernels(server.process.pid)]
    ms = sorted(value * 1000 for value in times)
    return f"{VISITORS} visitors at once", (
        f"`python bench/app.py load`. A picture every {EVERY_S:.0f} s each for {seconds} s, "
        f"{len(photo) / 1e3:.0f} kB as the browser sends it.\n\n"
        "| figure | measured | bound |\n|---|---|---|\n"
        f"| answers, errors | {len(ms):,}, {len(errors)} | 0 errors |\n"
        f"| median, ms | {statistics.median(ms):,.0f} | 500 |\n"
        f"| 95 %, ms | {ms[int(0.95 * len(ms))]:,.0f} | 2,000 |\n"
        f"| longest, ms | {ms[-1]:,.0f} | |\n"
        f"| memory of all kernels, MB | {sum(each):,.0f} | {VISITORS} x {alone:,.0f}, one visitor's kernel alone, "
        "before the others come |\n"
        + "".join(f"\nError: {error[:200]}\n" for error in errors[:3]))


def run_ten(models: Models, *, quick: bool) -> tuple[str, str]:
    """Ten visitors who come in the same moment and give ten pictures each, one after the other."""
    del quick  # it takes a few seconds
    photo = _as_sent(models)
    folder = models.folder / "server-ten"
    folder.mkdir()
    with start_voila(models.ours, folder, preheat=0, max_visitors=TEN) as server, ThreadPoolExecutor(TEN) as pool:

        def come(number: int) -> tuple[float, list[float], int]:
            start = time.perf_counter()
            page = fetch(server.url)

            async def ask(line: Line) -> tuple[float, list[float], int]:
                await line.greet()
                ready, times, good = time.perf_counter() - start, [], 0
                for turn in range(TEN):
                    begin = time.perf_counter()
                    reply = await show(line, page, photo, f"{number}-{turn}")
                    times.append(time.perf_counter() - begin)
                    good += bool(reply["ok"])
                return ready, times, good

            found: tuple[float, list[float], int] = talk(server.url, page.kernel_id, ask)
            return found

        visits = list(pool.map(come, range(TEN)))
        each = [memory_mb(process) for process in kernels(server.process.pid)]
    first = [times[0] * 1000 for _, times, _ in visits]
    later = [value * 1000 for _, times, _ in visits for value in times[1:]]
    return "Ten visitors in the same moment", (
        f"`python bench/app.py ten`. No kernel is heated up; each gives {TEN} pictures of {len(photo) / 1e3:.0f} kB, "
        "one after the other. A first answer may wait until the model is open.\n\n"
        "| figure | measured | bound |\n|---|---|---|\n"
        f"| answers | {sum(good for _, _, good in visits)} of {TEN * TEN} | all |\n"
        f"| the last one's line stands, s | {max(ready for ready, _, _ in visits):.1f} | 8 |\n"
        f"| first answers, median and longest, ms | {statistics.median(first):,.0f}, {max(first):,.0f} | |\n"
        f"| 95 % of all answers, of those after the first, ms | {np.quantile(first + later, 0.95):,.0f}, "
        f"{np.quantile(later, 0.95):,.0f} | 300 |\n"
        f"| largest kernel, MB | {max(each):,.0f} | 250 |\n")


def _alone(server: Server, photo: bytes) -> float:
    """Memory of the kernel of one visitor who is alone and has had an answer, in MB; it is gone afterwards."""
    page = fetch(server.url)

    async def ask(line: Line) -> float:
        await line.greet()
        reply = await show(line, page, photo, "alone")
        assert reply["ok"], reply
        (kernel,) = kernels(server.process.pid)
        return memory_mb(kernel)

    memory: float = talk(server.url, page.kernel_id, ask)
    farewell = urllib.request.Request(f"{server.url}voila/api/shutdown/{page.kernel_id}", method="POST")
    urllib.request.urlopen(farewell, timeout=30).close()
    wait_until(lambda: not kernels(server.process.pid), "the kernel of the one who was alone has ended")
    return memory


def run_mutants(models: Models, *, quick: bool) -> tuple[str, str]:
    """Mutated pictures through the widget's own message path, in this process."""
    from tests._forged_uploads import mutants, send_raw

    from shoebox.apps import app

    n = 1000 if quick else 10_000
    page = app(models.bundle)
    answered = accepted = crashed = surprises = 0
    slowest = 0.0
    for content, buffers in mutants(n, seed=0):
        start = time.perf_counter()
        try:
            (reply,) = send_raw(page, content, buffers)
        except Exception:
            crashed += 1
            continue
        slowest = max(slowest, time.perf_counter() - start)
        answered += reply["ok"] is True or str(reply["error"]).endswith(".")
        accepted += reply["ok"] is True
        surprises += reply.get("code") == "unexpected"
    return "Mutated uploads", (
        "`python bench/app.py mutants`\n\n| figure | measured | bound |\n|---|---|---|\n"
        f"| sent, answered | {n:,}, {answered:,} | all |\n| crashes | {crashed} | 0 |\n"
        f"| of them pictures after all | {accepted:,} | |\n| answered that something went wrong | {surprises:,} | 0 |\n"
        f"| slowest, s | {slowest:.2f} | 2 |\n")


def run_page_loads(models: Models, *, quick: bool) -> tuple[str, str]:
    """One page again and again: it has to become usable each time."""
    n = 25 if quick else 500
    folder = models.folder / "server-loads"
    folder.mkdir()
    hung, seconds = 0, []
    with chromium() as browser, start_voila(models.ours, folder, preheat=1, max_visitors=8) as server:
        context = browser.new_context()
        for _ in range(n):
            page = context.new_page()
            start = time.perf_counter()
            try:
                page.goto(server.url, wait_until="commit", timeout=30_000)
                page.locator(".sbx-app[data-state=ready]").wait_for(timeout=30_000)
            except Exception:
                hung += 1
            seconds.append(time.perf_counter() - start)
            page.close(run_before_unload=True)
        time.sleep(10)
        with urllib.request.urlopen(server.url + "health", timeout=10) as response:
            left = json.loads(response.read())["visitors"]
    return "Page loads in a row", (
        f"`python bench/app.py loads`, {n:,} of them.\n\n"
        "| figure | measured | bound |\n|---|---|---|\n"
        f"| not usable within 30 s | {hung} | 0 |\n| median, longest, s | {statistics.median(seconds):.2f}, "
        f"{max(seconds):.2f} | |\n| kernels left 10 s later | {left} | 2 |\n")


async def show(line: Line, page: Served, photo: bytes, name: str) -> dict[str, Any]:
    """The answer for a picture that the page has made small, and so needs not to be sent back."""
    asked = {"kind": "picture", "id": name, "name": "a.jpg", "has_picture": True}
    reply: dict[str, Any] = await line.ask_widget(page.model_ids[-1], asked, buffers=(photo,))
    return reply


def _as_sent(models: Models) -> bytes:
    """What the browser makes of the photo: the same steps in Pillow."""
    import io

    from PIL import Image

    with Image.open(models.photo) as photo:
        photo.thumbnail((512, 512))
        out = io.BytesIO()
        photo.save(out, "JPEG", quality=90)
    assert np.asarray(photo).size
    return out.getvalue()


__all__ = ["Ours", "run_mutants", "run_page_loads", "run_ten", "run_visitors", "show"]
