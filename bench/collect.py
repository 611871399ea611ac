"""Collecting 1,000 pictures from 200 hosts: shoebox.collect, with its manners on, against fastai's download_images.

Both ask the same server in turn: 200 kB per picture, 50 ms until an answer begins, 5 % of the addresses bad, a fifth of
the good ones with a query. Ours also checks every picture and writes down where it came from; fastai only saves what
came. The hosts are 200 loopback addresses, which needs Linux. It adds a table to bench/RESULTS.md. Run it with
`python bench/collect.py [number of addresses] [rounds]`.
"""

from __future__ import annotations

import asyncio
import io
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import ClassVar

from results import cell, write_section

HOSTS = 200
LATENCY_S = 0.05
SIZE_BYTES = 200_000
Answer = tuple[dict[str, object], int]
BAD = ("missing", "page", "cut", "pixel", "noai")
CAUSES = {"missing": "not_found", "page": "html_instead_of_image", "cut": "damaged", "pixel": "too_small",
          "noai": "noai"}
OURS = """
import json, sys, threading, time
import shoebox
from shoebox.collect import UrlList, collect  # and with it all that it needs, as in the other process
urls = json.loads(sys.stdin.read())
done = []
start, cpu = time.perf_counter(), time.process_time()
report = shoebox.collect(sys.argv[1], {"bears": ""}, source=UrlList(urls), allow_private=True,
                         watch=lambda event: event.kind == "outcome" and done.append(
                             (time.perf_counter(), time.process_time())))
end = time.perf_counter()
print(json.dumps({"s": done[-1][0] - start, "cpu_s": done[-1][1] - cpu, "all_s": end - start,
                  "saved": sum(r.state == "added" for r in report.records),
                  "outcomes": {r.url: r.cause or r.state for r in report.records}}))
"""
THEIRS = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from fastai.vision.utils import download_images, verify_images
urls = json.loads(sys.stdin.read())
start, cpu = time.perf_counter(), time.process_time()
download_images(Path(sys.argv[1]), urls=urls)
end, cpu = time.perf_counter(), time.process_time() - cpu
files = list(Path(sys.argv[1]).iterdir())
broken = len(verify_images(files))
print(json.dumps({"s": end - start, "cpu_s": cpu, "all_s": time.perf_counter() - start, "saved": len(files),
                  "broken": broken}))
"""


def draw(folder: Path, n: int) -> None:
    """JPEGs of 200 kB in photo size, each another picture: a few soft shapes under noise."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    noise = rng.normal(0, 12, (768, 1024, 3))
    quality = 95
    for number in range(n):
        shapes = Image.fromarray(rng.integers(20, 220, (5, 7, 3), dtype=np.uint8)).resize((1024, 768), 2)
        image = Image.fromarray(np.clip(np.asarray(shapes) + noise, 0, 255).astype(np.uint8))
        out = io.BytesIO()
        while not SIZE_BYTES - 100 > out.tell() > 0:
            out = io.BytesIO()
            image.save(out, "JPEG", quality=quality)
            quality -= out.tell() > SIZE_BYTES - 100
        (folder / f"{number}.jpg").write_bytes(comment(out.getvalue(), str(number), SIZE_BYTES))


def comment(data: bytes, text: str, size: int) -> bytes:
    """The same picture with a comment in it that fills it up to `size`: other bytes, same pixels."""
    filled = data
    pad = size - len(data)
    while pad > 4:
        length = min(pad, 60_000)
        body = text.encode().ljust(length - 4, b" ")
        filled = filled[:2] + b"\xff\xfe" + (len(body) + 2).to_bytes(2, "big") + body + filled[2:]
        pad -= length
    return filled


def pixel() -> bytes:
    """What trackers put on pages."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (1, 1)).save(out, "PNG")
    return out.getvalue()


class Pages(asyncio.Protocol):
    """A small HTTP server: `/good/7.jpg`, `/search?id=7`, and the bad ones by name."""

    folder, tracker = Path(), pixel()
    starts: ClassVar[dict[str, list[float]]] = defaultdict(list)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""
        self.host = transport.get_extra_info("sockname")[0]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            path = head.split(b" ", 2)[1].decode()
            if path == "/counts":
                self.answer(200, json.dumps(self.starts).encode(), "application/json")
                continue
            self.starts[self.host].append(time.monotonic())
            asyncio.get_running_loop().call_later(LATENCY_S, self.route, path)

    def route(self, path: str) -> None:
        if path == "/robots.txt":
            return self.answer(200, b"User-agent: *\nDisallow: /private/\n", "text/plain")
        kind = path.split("/")[1].partition("?")[0]
        file = self.folder / f"{''.join(filter(str.isdigit, path))}.jpg"
        if kind in ("search", "good", "noai") and file.is_file():
            return self.answer(200, file.read_bytes(), noai=kind == "noai")
        if kind == "page":
            return self.answer(200, b"<!doctype html><title>Sorry</title>" * 100)
        if kind == "cut":
            return self.answer(200, file.read_bytes()[:120_000])
        if kind == "pixel":
            return self.answer(200, self.tracker)
        return self.answer(404, b"no such file")

    def answer(self, status: int, body: bytes, kind: str = "image/jpeg", *, noai: bool = False) -> None:
        head = (f"HTTP/1.1 {status} OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                + ("X-Robots-Tag: noai\r\n" if noai else "") + "\r\n")
        self.transport.writelines([head.encode(), body])


async def serve(port: int, folder: Path) -> None:
    """The pictures of a folder, on every loopback address."""
    Pages.folder = folder
    server = await asyncio.get_running_loop().create_server(Pages, "0.0.0.0", port, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


def addresses(n: int, port: int) -> list[str]:
    """Spread over the hosts as search results are; every 20th bad, every fifth of the rest with a query."""
    urls = []
    for number in range(n):
        host = f"http://127.0.1.{number % HOSTS + 1}:{port}"
        if number % 20 == 19:
            urls.append(f"{host}/{BAD[number // 20 % len(BAD)]}/{number}.jpg")
        else:
            urls.append(f"{host}/search?id={number}" if number % 5 == 0 else f"{host}/good/{number}.jpg")
    return urls


def run(code: str, urls: list[str]) -> dict[str, object]:
    """One fresh process with a fresh folder."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(Path(folder) / "pictures")],
                              input=json.dumps(urls), capture_output=True, text=True, check=True)
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def starts_per_second(port: int) -> int:
    """The most requests that one host saw within any second, since the server was started."""
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/counts") as response:
        starts = json.loads(response.read())
    return max(sum(first <= later < first + 1 for later in times) for times in starts.values() for first in times)


def served(code: str, n: int, folder: Path) -> Answer:
    """The code's answer and the most starts per second and host, with a server of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, __file__, "serve", str(port), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stdout.readline() == "ready\n"
        answer = run(code, addresses(n, port))
        most = starts_per_second(port)
        server.terminate()
    return answer, most


def main() -> None:
    """Take turns, print medians with their spread and the ratio, and add the table to RESULTS.md."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder), n)
        for _ in range(rounds):
            ours.append(served(OURS, n, Path(folder)))
            theirs.append(served(THEIRS, n, Path(folder)))
    write_section("Collecting from 200 hosts", table(ours, theirs, n), keep=n >= 1000)


def table(ours: list[Answer], theirs: list[Answer], n: int) -> str:
    """What was measured, as Markdown."""
    good = sum(number % 20 != 19 for number in range(n))
    outcomes = ours[-1][0]["outcomes"]
    assert isinstance(outcomes, dict)
    wrong = [url for url, cause in outcomes.items() if cause != CAUSES.get(url.split("/")[3], "added")]
    causes = Counter(cause for cause in outcomes.values() if cause != "added")

    def seconds(values: list[Answer], name: str) -> str:
        return cell([float(str(answer[name])) for answer, _ in values])

    def ratio(name: str) -> float:
        pairs = zip(ours, theirs, strict=True)
        return statistics.median(float(str(b[0][name])) / float(str(a[0][name])) for a, b in pairs)

    return (
        f"{n} addresses, {len(ours)} rounds in turn, fresh processes; 200 kB each, 50 ms latency, {n - good} bad; the "
        f"server runs on the same cores. `python bench/collect.py {n} {len(ours)}`\n\n"
        "| figure | shoebox.collect | fastai download_images |\n|---|---|---|\n"
        f"| seconds until the last picture is stored, median (min to max) "
        f"| {seconds(ours, 's')} | {seconds(theirs, 's')} |\n"
        f"| seconds with the scan (fastai: with verify_images) "
        f"| {seconds(ours, 'all_s')} | {seconds(theirs, 'all_s')} |\n"
        f"| seconds of processor time until stored | {seconds(ours, 'cpu_s')} | {seconds(theirs, 'cpu_s')} |\n"
        f"| good pictures stored, of {good} | {min(int(str(a['saved'])) for a, _ in ours)} | "
        f"{max(int(str(a['saved'])) - int(str(a['broken'])) for a, _ in theirs)} |\n"
        f"| addresses with the wrong outcome or none | {len(wrong)} | not reported |\n"
        f"| most requests to one host in a second, robots.txt included | {max(most for _, most in ours)} | "
        f"{max(most for _, most in theirs)} |\n\n"
        f"fastai / Shoebox, median of pairs: {ratio('s'):.2f} until stored, {ratio('all_s'):.2f} with scan and verify. "
        f"Causes: {', '.join(f'{count} {cause}' for cause, count in causes.items())}.\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(serve(int(sys.argv[2]), Path(sys.argv[3])))
    else:
        main()
