"""A stranger's own line to a kernel: the WebSocket of a served page, in both protocols, without a browser."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

Answer = TypeVar("Answer")
V1 = "v1.kernel.websocket.jupyter.org"


@dataclass(frozen=True)
class Served:
    """A page that was fetched: its kernel and the models of the widgets shown on it."""

    kernel_id: str
    model_ids: list[str]
    html: str


def in_a_thread(work: Coroutine[Any, Any, Answer], timeout_s: float = 120) -> Answer:
    """Run a coroutine to its end in a loop of its own; Playwright may keep one running in the main thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result(timeout_s)


def fetch(url: str) -> Served:
    with urllib.request.urlopen(url, timeout=60) as response:
        html = response.read().decode()
    kernel = re.search(r'"kernelId":\s*"([0-9a-f-]+)"', html)
    assert kernel is not None
    return Served(kernel[1], re.findall(r'"model_id":\s*"([0-9a-f]+)"', html), html)


def talk(url: str, kernel_id: str, conversation: Callable[[Line], Awaitable[Any]], *, newer: bool = True,
         timeout_s: float = 60) -> Any:
    """Open a line, hold the conversation, close it."""

    async def hold() -> Any:
        address = url.replace("http", "ws", 1) + f"api/kernels/{kernel_id}/channels?session_id={uuid.uuid4().hex}"
        socket = await websocket_connect(HTTPRequest(address), subprotocols=[V1] if newer else None,
                                         max_message_size=2**27)
        try:
            return await conversation(Line(socket, newer))
        finally:
            socket.close()
            while await socket.read_message() is not None:
                pass

    return in_a_thread(asyncio.wait_for(hold(), timeout_s), timeout_s + 60)


class Line:
    def __init__(self, socket: WebSocketClientConnection, newer: bool) -> None:
        self.socket = socket
        self.newer = newer

    async def send(self, kind: str, content: Any, *, channel: str = "shell", buffers: tuple[bytes, ...] = ()) -> None:
        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": "s", "username": "u", "version": "5.3",
                  "date": "2026-01-01T00:00:00Z"}
        await self.send_message(header, content, channel=channel, buffers=buffers)

    async def send_message(self, header: Any, content: Any, *, channel: str = "shell", buffers: tuple[bytes, ...] = (),
                           ) -> None:
        metadata = {"version": "2.1.0"}
        if self.newer:
            texts = [json.dumps(part).encode() for part in (header, {}, metadata, content)]
            parts = [channel.encode(), *texts, *buffers]
            offsets = [8 * (2 + len(parts))]
            for part in parts:
                offsets.append(offsets[-1] + len(part))
            numbers = b"".join(number.to_bytes(8, "little") for number in (len(offsets), *offsets))
            await self.socket.write_message(numbers + b"".join(parts), binary=True)
            return
        message = {"channel": channel, "header": header, "parent_header": {}, "metadata": metadata, "content": content}
        await self.socket.write_message(json.dumps(message))

    async def read(self) -> tuple[str, Any]:
        """The next message: its type and its content."""
        raw = await self.socket.read_message()
        assert raw is not None, "the server closed the line"
        if self.newer:
            _, parts = deserialize_msg_from_ws_v1(raw)
            return json.loads(parts[0])["msg_type"], json.loads(parts[3])
        message = json.loads(raw)
        return message["msg_type"], message["content"]

    async def until(self, kind: str) -> list[tuple[str, Any]]:
        """Everything up to the first message of this type."""
        seen = [await self.read()]
        while seen[-1][0] != kind:
            seen.append(await self.read())
        return seen

    async def greet(self) -> list[str]:
        """Ask the one harmless question; the types of all that came before and with its answer."""
        await self.send("kernel_info_request", {})
        return [kind for kind, _ in await self.until("kernel_info_reply")]

    async def ask_widget(self, model_id: str, data: Any, *, buffers: tuple[bytes, ...] = ()) -> dict[str, Any]:
        """A custom message to a widget; what it sends back."""
        message = {"comm_id": model_id, "data": {"method": "custom", "content": data}}
        await self.send("comm_msg", message, buffers=buffers)
        while True:
            kind, content = await self.read()
            if kind == "comm_msg" and content["data"].get("method") == "custom":
                return dict(content["data"]["content"])
