"""Sixty uploads as large as a line carries, one after the other: a kernel answers each and keeps none."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from tests._line import Line, fetch, talk
from tests._models import tiny_bundle
from tests.browser._servers import start_voila
from tests.test_serve import write_notebook

MB = 2**20


def noisy(side_px: int, quality: int) -> bytes:
    """A photograph with more detail than any camera sees, so that its file is large."""
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), np.uint8)
    Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return out.getvalue()


def test_a_flood_of_large_uploads_is_answered_and_not_kept_in_memory(tmp_path: Path) -> None:
    """Half are over what the page ever sends and refused; half are just under it, and decoded in full."""
    bundle = tiny_bundle(tmp_path / "bundle")
    large, taken = noisy(3330, 90), noisy(2940, 90)
    sizes_mb = len(large) / MB, len(taken) / MB
    assert 9 < sizes_mb[0] < 10 and 7 < sizes_mb[1] < 8, sizes_mb
    source = f"import shoebox\nshoebox.app({str(bundle)!r})"
    with start_voila(write_notebook(tmp_path, source), tmp_path, max_visitors=2) as server:
        page = fetch(server.url)
        family = psutil.Process(server.process.pid).children(recursive=True)
        kernel = next(process for process in family if page.kernel_id in " ".join(process.cmdline()))
        voila = next(process for process in family if "shoebox.apps._voila" in " ".join(process.cmdline()))

        async def flood(line: Line) -> list[dict[str, object]]:
            await line.greet()
            replies = []
            for number in range(60):
                request = {"kind": "picture", "id": f"{number}", "name": "a.jpg"}
                replies.append(await line.ask_widget(page.model_ids[-1], request,
                                                     buffers=(taken if number % 2 else large,)))
                memory = kernel.memory_info().rss, voila.memory_info().rss
                assert memory[0] <= 400 * MB and memory[1] <= 300 * MB, (number, memory)
            return replies

        replies = talk(server.url, page.kernel_id, flood, timeout_s=200)
    assert [reply["ok"] for reply in replies] == [False, True] * 30
    assert all("the limit is 8.0 MB" in str(reply["error"]) for reply in replies[::2])
