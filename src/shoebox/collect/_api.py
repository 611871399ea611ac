"""One question to a search service: JSON over the same guarded client that fetches pictures."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from typing import Any

import httpx

from shoebox.collect._address import Guard
from shoebox.collect._client import make_client
from shoebox.collect._outcome import Limits, RefusedError, SourceError
from shoebox.collect._wire import retry_after_s, unpacker

__all__ = ["ask"]

_LIMITS = Limits(total_s=20.0)
_MAX_BYTES = 10 * 2**20
_MAX_WAIT_S = 20.0


def ask(name: str, url: str, fields: Mapping[str, Any], *, secret: tuple[str, str] | None = None,
        allow_private: bool = False) -> dict[str, Any]:
    """The answer of the service `name` as JSON; `SourceError` with the next step when there is none.

    `secret` is a field that only the wire sees: it is added below the client, which logs the addresses it asks.
    Call it from a thread without an event loop.
    """
    return asyncio.run(_ask(name, url, fields, secret, Guard(allow_private)))


async def _ask(name: str, url: str, fields: Mapping[str, Any], secret: tuple[str, str] | None,
               guard: Guard) -> dict[str, Any]:
    async with make_client(guard, _LIMITS, contact=os.environ.get("SHOEBOX_CONTACT", ""), secret=secret) as client:
        for attempt in (1, 2):
            try:
                guard.check_url(url)
                async with asyncio.timeout(_LIMITS.total_s), client.stream("GET", url, params=dict(fields)) as response:
                    wait = _wait(name, response, last=attempt == 2)
                    if wait is None:
                        return _parsed(name, await _body(name, response))
            except RefusedError as refused:
                raise SourceError(f"{name} cannot be asked: {refused}") from None
            except (httpx.TransportError, TimeoutError) as error:
                raise SourceError(f"{name} cannot be reached ({type(error).__name__}). Check the connection, or choose "
                                  "another source.") from None
            await asyncio.sleep(wait)
    raise AssertionError("the last try returns or raises")


def _wait(name: str, response: httpx.Response, *, last: bool) -> float | None:
    """Seconds until it may be asked again; None when this is the answer; `SourceError` when there will be none."""
    status = response.status_code
    if status == 200:
        return None
    asked = retry_after_s(response.headers.get("retry-after", ""))
    if status in (429, 502, 503, 504) and not last and (asked or 0) <= _MAX_WAIT_S:
        return 1.0 if asked is None else asked
    if status == 429:
        when = "later" if asked is None else f"in {asked:.0f} s"
        raise SourceError(f"{name} says that it was asked too often (429). Go on {when}, or choose another source: "
                          "what was collected stays.")
    if status in (401, 403):
        raise SourceError(f"{name} refuses the question ({status}). Check the key if it needs one, or choose another "
                          "source.")
    raise SourceError(f"{name} answered with status {status}. Try again later, or choose another source.")


async def _body(name: str, response: httpx.Response) -> bytes:
    body = bytearray()
    unpack = unpacker(response.headers.get("content-encoding", ""), name)
    async for packed in response.aiter_raw():
        for chunk in unpack(packed):
            body += chunk
            if len(body) > _MAX_BYTES:
                raise SourceError(f"{name} sends more than {_MAX_BYTES // 2**20} MB. Try again later.")
    return bytes(body)


def _parsed(name: str, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise SourceError(f"{name} answered with something else than was agreed. It may have changed: choose another "
                          "source, or update Shoebox.")
    return answer
