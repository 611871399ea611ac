"""The HTTP client: httpx over connections that only ever go to a checked address.

Each host has a small pool of its own, because httpcore walks through a pool's connections on every request. The
name is resolved and judged when a connection is opened, for every redirect anew; the TLS handshake and the Host header
carry the name, the socket goes to the judged address. No proxy settings, no cookies, no credentials.
"""

from __future__ import annotations

import contextlib
import ssl
import typing
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable

import httpcore
import httpx

import shoebox
from shoebox.collect._address import Guard
from shoebox.collect._outcome import Limits

__all__ = ["make_client", "user_agent"]

_MAX_POOLS = 256
_ERRORS: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout, httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout, httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.TimeoutException: httpx.ReadTimeout, httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError, httpcore.WriteError: httpx.WriteError,
    httpcore.NetworkError: httpx.NetworkError, httpcore.ProtocolError: httpx.RemoteProtocolError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
}


def user_agent(contact: str = "") -> str:
    """Who asks: name and version, and a way to reach the person if they gave one."""
    words = "collects pictures for an image classifier" + (f"; contact: {contact}" if contact else "")
    return f"Shoebox/{shoebox.__version__} ({words})".encode("ascii", "replace").decode()


def make_client(guard: Guard, limits: Limits, *, contact: str = "",
                secret: tuple[str, str] | None = None) -> httpx.AsyncClient:
    """A client for one event loop; redirects are the caller's, who checks each.

    `secret` is a field that is added to every address below the client, which logs what it asks.
    """
    timeout = httpx.Timeout(limits.silence_s)
    headers = {"User-Agent": user_agent(contact), "Accept": "image/*,*/*;q=0.1", "Accept-Encoding": "identity"}
    return httpx.AsyncClient(transport=_Transport(guard, limits, secret), timeout=timeout, headers=headers,
                             follow_redirects=False, trust_env=False)


class _Backend(httpcore.AsyncNetworkBackend):
    """Opens sockets to judged addresses only."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._system = httpcore.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
                          socket_options: Iterable[typing.Any] | None = None) -> httpcore.AsyncNetworkStream:
        error: Exception | None = None
        for address in (await self._guard.addresses(host, port))[:4]:
            try:
                return await self._system.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failure:
                error = failure
        raise error or httpcore.ConnectError(f"no address for {host}")

    async def connect_unix_socket(self, path: str, timeout: float | None = None,
                                  socket_options: Iterable[typing.Any] | None = None) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol("sockets of this machine are not asked")

    async def sleep(self, seconds: float) -> None:
        await self._system.sleep(seconds)


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, guard: Guard, limits: Limits, secret: tuple[str, str] | None) -> None:
        self._backend = _Backend(guard)
        self._secret = secret
        self._limits = limits
        self._tls: ssl.SSLContext | None = None
        self._pools: OrderedDict[tuple[str, str, int | None], httpcore.AsyncConnectionPool] = OrderedDict()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        asked = request.url.copy_merge_params([self._secret]) if self._secret else request.url
        url = httpcore.URL(scheme=asked.raw_scheme, host=asked.raw_host, port=asked.port, target=asked.raw_path)
        pool = await self._pool(request.url)
        with _translated():
            response = await pool.handle_async_request(httpcore.Request(
                request.method, url, headers=request.headers.raw, content=request.stream,
                extensions=request.extensions))
        assert isinstance(response.stream, typing.AsyncIterable)
        return httpx.Response(response.status, headers=response.headers, stream=_Stream(response.stream),
                              extensions=response.extensions)

    async def aclose(self) -> None:
        while self._pools:
            await self._pools.popitem()[1].aclose()

    async def _pool(self, url: httpx.URL) -> httpcore.AsyncConnectionPool:
        key = (url.scheme, url.host, url.port)
        if key not in self._pools:
            if url.scheme == "https" and self._tls is None:
                self._tls = httpx.create_ssl_context(trust_env=False)
            self._pools[key] = httpcore.AsyncConnectionPool(
                ssl_context=self._tls, max_connections=self._limits.per_host, keepalive_expiry=5.0,
                network_backend=self._backend)
            await self._close_idle()
        self._pools.move_to_end(key)
        return self._pools[key]

    async def _close_idle(self) -> None:
        """Of many hosts the ones asked longest ago are let go, once nothing is on its way there."""
        for key, pool in list(self._pools.items())[: max(0, len(self._pools) - _MAX_POOLS)]:
            if all(connection.is_idle() for connection in pool.connections):
                del self._pools[key]
                await pool.aclose()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, stream: typing.AsyncIterable[bytes]) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated():
            async for part in self._stream:
                yield part

    async def aclose(self) -> None:
        if hasattr(self._stream, "aclose"):
            await self._stream.aclose()


@contextlib.contextmanager
def _translated() -> typing.Iterator[None]:
    """What httpcore raises, as httpx's own errors."""
    try:
        yield
    except tuple(_ERRORS) as error:
        kind = next(theirs for ours in type(error).__mro__ if (theirs := _ERRORS.get(ours)))
        raise kind(str(error)) from error
