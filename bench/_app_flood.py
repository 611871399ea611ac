"""One visitor uploads 60 files of 9.5 MB, one after the other; what does another visitor notice, and what is held?"""

from __future__ import annotations

import asyncio
import io
import time

import numpy as np
from _app_load import _as_sent, show
from _app_models import Models, kernels, memory_mb
from _servers import start_voila
from PIL import Image
from tests._line import Line, Served, fetch, talk

UPLOADS = 60
EVERY_S = 0.5


def run_flood(models: Models, *, quick: bool) -> tuple[str, str]:
    """Half of the uploads are just under the limit of 8 MB and decoded in full; the others are over it."""
    files = _noisy(3330), _noisy(2940)
    photo = _as_sent(models)
    folder = models.folder / "server-flood"
    folder.mkdir()
    with start_voila(models.ours, folder, preheat=0, max_visitors=3) as server:
        one, other = fetch(server.url), fetch(server.url)
        process = next(item for item in kernels(server.process.pid) if other.kernel_id in " ".join(item.cmdline()))
        peak_mb, answered = [memory_mb(process)], []

        async def ask(page: Served, until: asyncio.Event) -> list[float]:
            async def stay(line: Line) -> list[float]:
                await line.greet()
                times: list[float] = []
                while not until.is_set() or not times:
                    start = time.perf_counter()
                    await show(line, page, photo, f"{start}")
                    times.append(time.perf_counter() - start)
                    await asyncio.sleep(EVERY_S)
                return times

            return await asyncio.to_thread(talk, server.url, page.kernel_id, stay, timeout_s=300)

        async def flood(line: Line) -> None:
            await line.greet()
            for number in range(UPLOADS):
                reply = await line.ask_widget(other.model_ids[-1], {"kind": "picture", "id": f"{number}", "name": "a"},
                                              buffers=(files[number % 2],))
                answered.append(bool(reply["ok"]))
                peak_mb.append(memory_mb(process))

        async def both(*, flooded: bool) -> list[float]:
            until = asyncio.Event()
            asked = asyncio.create_task(ask(one, until))
            if flooded:
                await asyncio.to_thread(talk, server.url, other.kernel_id, flood, timeout_s=300)
            else:
                await asyncio.sleep(8 if quick else 30)
            until.set()
            return await asked

        start = time.perf_counter()
        alone, under = asyncio.run(both(flooded=False)), asyncio.run(both(flooded=True))
        seconds = time.perf_counter() - start
    p95 = [float(np.quantile(times, 0.95)) * 1000 for times in (alone, under)]
    return "A flood of uploads", (
        f"`python bench/app.py flood`. {UPLOADS} uploads of {len(files[0]) / 1e6:.1f} and {len(files[1]) / 1e6:.1f} MB "
        f"by one visitor while another asks every {EVERY_S} s; {seconds:.0f} s.\n\n"
        "| figure | measured | bound |\n|---|---|---|\n"
        f"| answered, of them taken | {len(answered)}, {sum(answered)} | all |\n"
        f"| most memory of the flooded kernel, MB | {max(peak_mb):,.0f} | 400 |\n"
        f"| 95 % of the other's answers, ms, without and with the flood | {p95[0]:,.0f}, {p95[1]:,.0f} | 2 x |\n")


def _noisy(side_px: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), np.uint8)).save(
        out, "JPEG", quality=90)
    return out.getvalue()
