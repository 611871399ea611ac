"""Requests and replies between a page and its kernel: the discipline that both widgets share.

A request is a dict with `kind` and `id`, both str, plus fields of its own and perhaps binary buffers. It is
always answered: `{"id": ..., "ok": True, ...}` or `{"id": ..., "ok": False, "error": "a sentence"}`. A repeated id
is answered again and never executed twice. Anybody can send anything, so every field is checked on its way in.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shoebox.errors import ImageError, ShoeboxError
from shoebox.widgets._log import log_to_the_server

__all__ = ["Desk", "Handler", "MessageError", "Reply", "Request"]

Buffer = bytes | bytearray | memoryview

_LOG = logging.getLogger("shoebox")
_MAX_KIND_CHARS = 40
_MAX_ID_CHARS = 80
_MAX_FIELDS = 32
_REMEMBERED_IDS = 4096
_REMEMBERED_REPLIES = 64
_REMEMBERED_BYTES = 8 * 2**20
_UNEXPECTED = "Something went wrong on the server. Try again; if it happens again, reload the page."


class MessageError(ShoeboxError):
    """A request that does not have the agreed form."""


@dataclass(frozen=True)
class Request:
    """One checked request. Fields are read through `text`, `integer` and `one_of`, which check what came."""

    kind: str
    id: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    buffers: Sequence[memoryview] = ()

    def text(self, name: str, *, max_chars: int = 1000) -> str:
        """The field as str; `MessageError` when it is missing, no text, or longer than `max_chars`."""
        value = self.fields.get(name)
        if not isinstance(value, str) or len(value) > max_chars:
            raise MessageError(f"The request {self.kind!r} needs {name!r} as text of at most {max_chars} characters. "
                               "Reload the page.")
        return value

    def integer(self, name: str, *, low: int = 0, high: int = 2**31) -> int:
        """The field as int between `low` and `high`, both included; `MessageError` otherwise."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise MessageError(f"The request {self.kind!r} needs {name!r} as a whole number from {low} to {high}. "
                               "Reload the page.")
        return value

    def one_of(self, name: str, choices: Iterable[str]) -> str:
        """The field as one of `choices`; `MessageError` otherwise."""
        value, known = self.fields.get(name), tuple(choices)
        if not isinstance(value, str) or value not in known:
            raise MessageError(f"The request {self.kind!r} needs {name!r} as one of {', '.join(known)}. "
                               "Reload the page.")
        return value


@dataclass(frozen=True)
class Reply:
    """What a handler answers: fields that travel as JSON, and buffers that travel as they are."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    buffers: Sequence[bytes] = ()


Handler = Callable[[Request], Reply]


class Desk:
    """Takes the requests of one widget and answers each of them.

    Parameters
    ----------
    handlers : mapping of str to callable
        From the kind of a request to what answers it. A handler raises `ShoeboxError` to refuse with a
        sentence; anything else that it raises is logged, and the person is told that something went wrong.
        `ping` is answered without a handler.
    max_bytes : int
        Of all buffers of a request together.

    Examples
    --------
    >>> desk = Desk({"double": lambda request: Reply({"value": 2 * request.integer("value")})})
    >>> desk.answer({"kind": "double", "id": "1", "value": 21})[0]
    {'id': '1', 'ok': True, 'value': 42}
    """

    def __init__(self, handlers: Mapping[str, Handler], *, max_bytes: int = 0) -> None:
        self._handlers = dict(handlers)
        self._max_bytes = max_bytes
        self._memory = _Memory()
        self._lock = threading.RLock()
        log_to_the_server()

    def attach(self, widget: Any) -> None:
        """Answer every custom message of an ipywidgets or anywidget `widget` from now on."""
        widget.on_msg(lambda _, content, buffers: widget.send(*self.answer(content, buffers)))

    def answer(self, content: object, buffers: Sequence[Buffer] | None = None) -> tuple[dict[str, Any], list[bytes]]:
        """The reply to one message, as JSON fields and buffers. Never raises."""
        try:
            request = self._checked(content, buffers or ())
        except ShoeboxError as error:
            return _refusal(content, str(error)), []
        if request.kind == "ping":
            return {"id": request.id, "ok": True}, []
        with self._lock:
            return self._memory.recall(request.id) or self._executed(request)

    def _checked(self, content: object, buffers: Sequence[Buffer]) -> Request:
        if not isinstance(content, dict) or len(content) > _MAX_FIELDS:
            raise MessageError("A request has to be an object with kind and id. Reload the page.")
        kind, request_id = content.get("kind"), content.get("id")
        if not _short_text(kind, _MAX_KIND_CHARS) or not _short_text(request_id, _MAX_ID_CHARS):
            raise MessageError("A request needs kind and id as short texts. Reload the page.")
        if kind != "ping" and kind not in self._handlers:
            raise MessageError(f"The request {kind!r} is not known here. Reload the page.")
        views = [memoryview(buffer) for buffer in buffers]
        size_bytes = sum(view.nbytes for view in views)
        if size_bytes > self._max_bytes:
            raise MessageError(f"The request carries {_megabytes(size_bytes)}; the limit is "
                               f"{_megabytes(self._max_bytes)}. Choose something smaller.")
        fields = {name: value for name, value in content.items() if name not in ("kind", "id")}
        return Request(str(kind), str(request_id), fields, views)

    def _executed(self, request: Request) -> tuple[dict[str, Any], list[bytes]]:
        try:
            reply = self._handlers[request.kind](request)
            answered = ({"id": request.id, "ok": True, **reply.fields}, list(reply.buffers))
        except ShoeboxError as error:
            answered = ({"id": request.id, "ok": False, "error": str(error), **_code(error)}, [])
        except Exception:
            _LOG.exception("The request %r failed", request.kind)
            answered = ({"id": request.id, "ok": False, "error": _UNEXPECTED, "code": "unexpected"}, [])
        self._memory.keep(request.id, *answered)
        return answered


class _Memory:
    """The last replies by request id. Replies are forgotten early, ids late."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._replies: OrderedDict[str, tuple[dict[str, Any], list[bytes]]] = OrderedDict()
        self._size_bytes = 0

    def recall(self, request_id: str) -> tuple[dict[str, Any], list[bytes]] | None:
        if request_id in self._replies:
            return self._replies[request_id]
        if request_id in self._ids:
            return {"id": request_id, "ok": False, "error": "This request was answered before. Send a new one."}, []
        return None

    def keep(self, request_id: str, fields: dict[str, Any], buffers: list[bytes]) -> None:
        self._ids[request_id] = None
        self._replies[request_id] = (fields, buffers)
        self._size_bytes += sum(map(len, buffers))
        while len(self._replies) > _REMEMBERED_REPLIES or self._size_bytes > _REMEMBERED_BYTES:
            _, (_, forgotten) = self._replies.popitem(last=False)
            self._size_bytes -= sum(map(len, forgotten))
        if len(self._ids) > _REMEMBERED_IDS:
            self._ids.popitem(last=False)


def _short_text(value: object, max_chars: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= max_chars


def _refusal(content: object, sentence: str) -> dict[str, Any]:
    request_id = content.get("id") if isinstance(content, dict) else None
    return {"id": request_id if _short_text(request_id, _MAX_ID_CHARS) else "", "ok": False, "error": sentence}


def _code(error: ShoeboxError) -> dict[str, str]:
    """What the page looks up to say it in the person's language."""
    code = f"image_{error.cause}" if isinstance(error, ImageError) else getattr(error, "code", "")
    return {"code": code} if code else {}


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.1f} MB"
