"""What the server answers: the page, its line to the kernel, and the health address."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

from jupyter_server.services.kernels.connection.base import deserialize_binary_message, deserialize_msg_from_ws_v1
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from tornado.web import HTTPError, RequestHandler
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from shoebox.apps._scripts import CHARSET, REPLACED_FILES, with_preloads
from shoebox.widgets._texts import closest, texts_of

__all__ = ["ALLOWED_MESSAGES", "REPLACED", "Connection", "Health", "Line", "Page"]

# What a page needs. Not shutdown_request: Voila's page says goodbye in another way.
ALLOWED_MESSAGES = ["comm_open", "comm_close", "comm_msg", "comm_info_request", "kernel_info_request"]

_CONTROL = "jupyter.widget.control"  # the only channel that a page opens by itself
_MAX_OPENED = 20
_MAX_PARTS = 200
_RETRY_S = 20
_LEAVING = "sbx-leaving"  # for seconds, the kernel of a page that its visitor leaves or reloads


class Page(TornadoVoilaHandler):
    """The notebook. When all places are taken, a page that asks again by itself."""

    async def get(self, path: str | None = None) -> None:
        """Refuse before anything is started. There is nothing but the page; Voila would send others on to its files."""
        if path:
            raise HTTPError(404)
        await self.kernel_manager.make_room(self.get_cookie(_LEAVING, ""))
        await super().get(path)

    def should_use_rendered_notebook(self, *args: Any) -> bool:
        """As Voila's. Who is given a spare kernel takes a place now, though it may only be starting."""
        spare = bool(super().should_use_rendered_notebook(*args))
        if spare:
            self.kernel_manager.expect(self.notebook_path)
        return spare

    async def get_generator(self, path: str | None = None) -> AsyncIterator[str]:
        """Voila's page, piece by piece; its head names the scripts that it will ask for."""
        before_head = True
        async for piece in super().get_generator(path=path):
            yield with_preloads(piece, self.settings["shoebox_scripts"]) if before_head else piece
            before_head = before_head and CHARSET not in piece

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A sentence in the visitor's language."""
        if status_code == 503:
            self.set_header("Retry-After", str(_RETRY_S))
        super().write_error(status_code, **kwargs)

    def render_template(self, name: str, **ns: Any) -> Any:
        """Voila's, with the texts of the page."""
        language = closest(_accepted(self.request.headers.get("Accept-Language", "")))
        return super().render_template(name, **ns, texts=texts_of(language), language=language, retry_s=_RETRY_S)


class Line(VoilaKernelWebsocketHandler):
    """The page's line to its kernel."""

    async def open(self, kernel_id: str) -> None:
        """Without delay: else every answer waits some 40 ms for the acknowledgement of the message before it."""
        self.set_nodelay(True)
        await super().open(kernel_id)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """The number alone: no person reads it, and Jupyter's page for it needs files that Voila has not."""
        self.finish()

    def write_message(self, message: Any, binary: bool = False) -> Any:
        """As tornado's; what does not reach a page that has just gone is no error that anybody has to read of."""
        sent = super().write_message(message, binary)
        if sent is not None:  # Voila keeps some back
            sent.add_done_callback(lambda done: done.cancelled() or done.exception())
        return sent


class Connection(ZMQChannelsWebsocketConnection):
    """Passes on what a page of ours sends, and nothing else: no widget is opened by a visitor, no code is run."""

    _opened = 0

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """Drop, with a line in the log, what is malformed or not allowed."""
        if not self.channels:
            return
        try:
            kind, content = self._read(incoming_msg)
            fault = self._fault(kind, content)
        except Exception as error:  # whatever a stranger's bytes make json, struct or the session raise
            fault = f"a message that cannot be read ({type(error).__name__})"
        if fault:
            self.log.warning("Not passed on to the kernel: %s", fault)
            return
        super().handle_incoming_message(incoming_msg)

    def _fault(self, kind: object, content: Any) -> str:
        if not isinstance(kind, str) or kind not in ALLOWED_MESSAGES:
            return f"a message of type {str(kind)[:40]!r}"
        if kind != "comm_open":
            return ""
        self._opened += 1
        target = content.get("target_name") if isinstance(content, dict) else None
        if target != _CONTROL or self._opened > _MAX_OPENED:
            return f"the {self._opened}th request to open a channel ({str(target)[:40]!r})"
        return ""

    def _read(self, incoming: Any) -> tuple[object, Any]:
        binary, newer = isinstance(incoming, bytes), self.subprotocol == "v1.kernel.websocket.jupyter.org"
        n_parts = int.from_bytes(incoming[:8] if newer else incoming[:4], "little" if newer else "big") if binary else 0
        if n_parts > _MAX_PARTS:  # the server would count to this number, whatever it is
            raise ValueError("too many parts")
        if newer:
            _, parts = deserialize_msg_from_ws_v1(incoming)
            header = self.session.unpack(parts[0])
            kind = header["msg_type"]
            return kind, self.session.unpack(parts[3]) if kind == "comm_open" else None
        message = deserialize_binary_message(incoming) if isinstance(incoming, bytes) else json.loads(incoming)
        return message["header"]["msg_type"], message.get("content")


class Health(RequestHandler):
    """For probes and load balancers: how full it is. Starts no kernel, as every GET of the page would."""

    def get(self) -> None:
        """JSON with `status`, `visitors`, `max_visitors` and `spare` kernels."""
        kernels = self.settings["kernel_manager"]
        full = kernels.visitors() >= kernels.max_visitors
        self.set_header("Cache-Control", "no-store")
        self.finish({"status": "full" if full else "ok", "visitors": kernels.visitors(),
                     "max_visitors": kernels.max_visitors, "spare": len(kernels._spares())})

    head = get


REPLACED = {TornadoVoilaHandler: Page, VoilaKernelWebsocketHandler: Line, **REPLACED_FILES}


@lru_cache(maxsize=256)
def _accepted(header: str) -> tuple[str, ...]:
    """The languages of an Accept-Language header, the dearest first."""
    parts = [part.strip().split(";q=") for part in header[:200].split(",")]
    return tuple(part[0] for part in sorted(parts, key=lambda part: -_weight(part)))


def _weight(part: list[str]) -> float:
    try:
        return float(part[1]) if len(part) > 1 else 1.0
    except ValueError:
        return 0.0
