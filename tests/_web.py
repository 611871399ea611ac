"""A small web for the tests: a real HTTP server on loopback that counts what it is asked, and plays bad hosts."""

from __future__ import annotations

import asyncio
import contextlib
import io
import ssl
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests._pictures import draw


@dataclass
class Asked:
    """One request as it came."""

    target: str
    headers: dict[str, str]
    at: float

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


Answer = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Web:
    """`answers` maps a path (or a path with query, which goes first) to what answers it; 404 for the rest."""

    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    at_once: int = 0
    most_at_once: int = 0
    port: int = 0

    def url(self, target: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{target}"

    def counts(self) -> Counter[str]:
        """How often each target was asked, robots.txt apart."""
        return Counter(one.target for one in self.asked if one.path != "/robots.txt")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = (line.partition(":") for line in head[1:])
                headers = {name.casefold(): value.strip() for name, _, value in fields if name}
                asked = Asked(head[0].split(" ")[1], headers, time.monotonic())
                self.asked.append(asked)
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                try:
                    answer = self.answers.get(asked.target) or self.answers.get(asked.path) or status(404)
                    await answer(asked, writer)
                    await writer.drain()
                finally:
                    self.at_once -= 1
        with contextlib.suppress(Exception):
            writer.close()


@contextlib.contextmanager
def web(host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None,
        **answers: Answer) -> Iterator[Web]:
    """A server in a thread of its own, until the block ends."""
    here, started, loop = Web(dict(answers)), threading.Event(), asyncio.new_event_loop()

    async def run() -> None:
        server = await asyncio.start_server(here.serve, host, port, backlog=512, ssl=tls)
        here.port = server.sockets[0].getsockname()[1]
        started.set()
        await stopped.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.01)

    stopped = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield here
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(10)
        loop.close()


def head(code: int = 200, length: int | None = 0, **headers: str) -> bytes:
    """Status line and headers; underscores in names stand for hyphens."""
    lines = [f"HTTP/1.1 {code} X", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def body(data: bytes, code: int = 200, **headers: str) -> Answer:
    """An answer with this body."""
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(code, len(data), **headers) + data)

    return answer


def status(code: int, **headers: str) -> Answer:
    """An answer without a body."""
    return body(b"", code, **headers)


def redirect(where: str) -> Answer:
    """To another address."""
    return status(302, Location=where)


def in_turn(*answers: Answer) -> Answer:
    """One after the other; the last one for ever."""
    left = list(answers)

    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(asked, writer)

    return answer


def drip(data: bytes, every_s: float) -> Answer:
    """One byte at a time, for ever."""
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, 10**7, Content_Type="image/jpeg") + data)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(every_s)

    return answer


def endless(piece: bytes, **headers: str) -> Answer:
    """A body without a length that never ends, as fast as it is taken."""
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, None, **headers))
        while True:
            writer.write(piece)
            await writer.drain()

    return answer


def cut(data: bytes, length: int) -> Answer:
    """Promises more than it sends, then hangs up."""
    async def answer(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, length) + data)
        await writer.drain()
        writer.close()

    return answer


def jpeg(seed: int, size: tuple[int, int] = (64, 48), kind: str = "JPEG") -> bytes:
    """A picture's bytes; no two seeds give the same."""
    out = io.BytesIO()
    draw(seed, size).save(out, kind)
    return out.getvalue()
