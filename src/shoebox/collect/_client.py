"""The HTTP client: httpx over connections that only ever go to a checked address.

The transport below it resolves and judges a name whenever it opens a connection, for every redirect anew, and connects
to the judged address; the TLS handshake and the Host header carry the name. It is our own, on asyncio and h11, because
httpx offers no place for a resolver, and because a search leads to hundreds of hosts with a few pictures each, where
httpcore's pool costs more than the pictures. No proxy settings, no cookies, no credentials.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from typing import Any

import h11
import httpx

import shoebox
from shoebox.collect._address import Guard
from shoebox.collect._outcome import Limits

__all__ = ["Getter", "make_client", "user_agent"]

_MAX_IDLE = 256
_IDLE_S = 5.0
_ADDRESSES = 4
_TURNS_TO_CLOSE = 3  # of the loop: the line, TLS, and the socket
_PIECE_BYTES = 256 * 1024
_HEAD_BYTES = 64 * 1024
_Origin = tuple[str, str, int | None]
_Headers = list[tuple[bytes, bytes]]


def user_agent(contact: str = "") -> str:
    """Who asks: name and version, and a way to reach the person if they gave one."""
    words = "collects pictures for an image classifier" + (f"; contact: {contact}" if contact else "")
    return f"Shoebox/{shoebox.__version__} ({words})".encode("ascii", "replace").decode()


def make_client(guard: Guard, limits: Limits, *, contact: str = "",
                secret: tuple[str, str] | None = None) -> httpx.AsyncClient:
    """A client for one event loop; redirects are the caller's, who checks each.

    `secret` is a field that is added to every address below the client, which logs what it asks.
    """
    return httpx.AsyncClient(transport=_Transport(guard, limits, secret), headers=_headers(contact),
                             follow_redirects=False, trust_env=False, timeout=None)


class Getter:
    """Plain GETs for one event loop over the same transport, without the client above it.

    That client's cookies, redirects and credentials are not wanted for pictures, and cost a third of a request.
    """

    def __init__(self, guard: Guard, limits: Limits, *, contact: str = "") -> None:
        self._transport = _Transport(guard, limits, None)
        self._headers = [(name.encode(), value.encode()) for name, value in _headers(contact).items()]

    @contextlib.asynccontextmanager
    async def get(self, url: httpx.URL) -> AsyncIterator[httpx.Response]:
        """The answer, whose body is still to be read; its connection is free again at the end."""
        response = await self._transport.ask("GET", url, [(b"Host", url.netloc), *self._headers])
        try:
            yield response
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._transport.aclose()


def _headers(contact: str) -> dict[str, str]:
    return {"User-Agent": user_agent(contact), "Accept": "image/*,*/*;q=0.1", "Accept-Encoding": "identity"}


class _Transport(httpx.AsyncBaseTransport):
    """Opens connections as they are needed and keeps them for a while; how many there are is the caller's matter."""

    def __init__(self, guard: Guard, limits: Limits, secret: tuple[str, str] | None) -> None:
        self._guard = guard
        self._silence_s = limits.silence_s
        self._secret = secret
        self._tls: ssl.SSLContext | None = None
        self._idle: OrderedDict[_Connection, float] = OrderedDict()
        self._waiting: dict[_Origin, list[_Connection]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url.copy_merge_params([self._secret]) if self._secret else request.url
        return await self.ask(request.method, url, request.headers.raw)

    async def ask(self, method: str, url: httpx.URL, headers: _Headers) -> httpx.Response:
        """The head of an answer; its body comes as it is read."""
        origin = (url.scheme, url.host, url.port)
        while (connection := self._take(origin)) is not None:
            try:
                return await self._asked(connection, method, url, headers)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                continue  # the host had let go of it meanwhile
        return await self._asked(await self._open(origin), method, url, headers)

    async def aclose(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        for _ in range(_TURNS_TO_CLOSE):
            await asyncio.sleep(0)

    async def _asked(self, connection: _Connection, method: str, url: httpx.URL, sent: _Headers) -> httpx.Response:
        try:
            head = await connection.ask(method, url.raw_path, sent)
        except BaseException:
            connection.close()
            raise
        headers = [(name, value) for name, value in head.headers.raw_items() if name.lower() != b"set-cookie"]
        return httpx.Response(head.status_code, headers=headers, stream=_Stream(connection, self))

    async def _open(self, origin: _Origin) -> _Connection:
        scheme, host, port = origin
        port = port or (443 if scheme == "https" else 80)
        if scheme == "https" and self._tls is None:
            self._tls = httpx.create_ssl_context(trust_env=False)
        options: dict[str, Any] = {"ssl": self._tls, "server_hostname": host} if scheme == "https" else {}
        failure = httpx.ConnectError(f"no address for {host}")
        for address in (await self._guard.addresses(host, port))[:_ADDRESSES]:
            try:
                async with asyncio.timeout(self._silence_s):
                    streams = await asyncio.open_connection(address, port, limit=4 * _PIECE_BYTES, **options)
                return _Connection(origin, *streams, self._silence_s)
            except TimeoutError:
                failure = httpx.ConnectError("no answer")
            except OSError as error:  # ssl.SSLError is one
                failure = httpx.ConnectError(error.strerror or str(error) or type(error).__name__)
        raise failure

    def _take(self, origin: _Origin) -> _Connection | None:
        """A connection that waits, if there is one that is still good."""
        waiting = self._waiting.get(origin, [])
        while waiting:
            connection = waiting.pop()
            since = self._idle.pop(connection, None)
            if since is not None and connection.is_open and asyncio.get_running_loop().time() - since < _IDLE_S:
                return connection
            connection.close()
        return None

    def give_back(self, connection: _Connection) -> None:
        """Keep a connection whose answer was read to its end; close every other."""
        if not connection.ready_for_next():
            return connection.close()
        self._idle[connection] = asyncio.get_running_loop().time()
        self._waiting.setdefault(connection.origin, []).append(connection)
        while len(self._idle) > _MAX_IDLE:
            self._idle.popitem(last=False)[0].close()
        return None


class _Connection:
    """One socket to one host, with h11 to speak HTTP over it."""

    def __init__(self, origin: _Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
                 silence_s: float) -> None:
        self.origin = origin
        self._reader, self._writer = reader, writer
        self._silence_s = silence_s
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES)

    @property
    def is_open(self) -> bool:
        return not (self._reader.at_eof() or self._writer.is_closing())

    async def ask(self, method: str, target: bytes, headers: list[tuple[bytes, bytes]]) -> h11.Response:
        """Send a request without a body, and read the head of its answer."""
        with _translated():
            request = h11.Request(method=method, target=target, headers=headers)
            self._writer.write((self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b""))
            while True:
                event = await self._next()
                if isinstance(event, h11.Response):
                    return event

    async def body(self) -> AsyncIterator[bytes]:
        """The answer's body, as it comes."""
        with _translated():
            while not isinstance(event := await self._next(), (h11.EndOfMessage, h11.PAUSED)):
                if isinstance(event, h11.Data):
                    yield event.data

    def ready_for_next(self) -> bool:
        """Whether the next request may go over this connection; what came already of this answer is passed over."""
        with contextlib.suppress(h11.ProtocolError):
            while self._http.their_state is h11.SEND_BODY and isinstance(self._http.next_event(), h11.Data):
                pass
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE or not self.is_open:
            return False
        self._http.start_next_cycle()
        return True

    def close(self) -> None:
        """Let go of the socket at once: over TLS a polite end would outlive the loop."""
        self._writer.transport.abort()

    async def _next(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            try:
                async with asyncio.timeout(self._silence_s):
                    data = await self._reader.read(_PIECE_BYTES)
            except TimeoutError:
                raise httpx.ReadTimeout(f"nothing came for {self._silence_s:.0f} s") from None
            self._http.receive_data(data)
        if isinstance(event, h11.ConnectionClosed):
            raise httpx.RemoteProtocolError("it was closed without an answer")
        return event


class _Stream(httpx.AsyncByteStream):
    def __init__(self, connection: _Connection, transport: _Transport) -> None:
        self._connection = connection
        self._transport = transport

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._connection.body()

    async def aclose(self) -> None:
        self._transport.give_back(self._connection)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """What asyncio and h11 raise, as httpx's own errors."""
    try:
        yield
    except h11.ProtocolError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise
        raise httpx.ReadError(error.strerror or str(error) or type(error).__name__) from error
