"""One picture over the network: checked addresses, every redirect anew, turns, tries, and limits on bytes and time."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import httpx

from shoebox.collect._address import Guard
from shoebox.collect._client import Getter
from shoebox.collect._outcome import Limits, RefusedError
from shoebox.collect._polite import Hosts, Robots, RobotsRules, forbids_learning, parse_robots
from shoebox.collect._wire import looks_like_html, retry_after_s, unpacker

__all__ = ["Body", "Downloader", "Fetched"]

_REDIRECTS = (301, 302, 303, 307, 308)
_AGAIN = (429, 500, 502, 503, 504)
_SPILL_BYTES = 512 * 1024
_ROBOTS_S = 10.0
_ROBOTS_BYTES = 512 * 1024
_T = TypeVar("_T")


@dataclass
class Body:
    """What came: in memory while it is small, else in a `.part` file of the staging folder."""

    part: Path
    size_bytes: int = 0
    data: bytearray | None = None
    spilled: bool = False

    def read(self) -> bytes:
        """All of it."""
        kept = bytes(self.data or b"")
        return self.part.read_bytes() + kept if self.spilled else kept

    def spill(self) -> None:
        """Move what is in memory to the file."""
        self.spilled = True
        with self.part.open("ab") as file:
            file.write(self.data or b"")
        self.data = bytearray()

    def discard(self) -> None:
        """Forget it."""
        if self.spilled:
            self.part.unlink(missing_ok=True)
        self.data = None


@dataclass(frozen=True)
class Fetched:
    """A body and how it was come by."""

    body: Body
    final_url: str
    http_status: int
    robots: str


@dataclass
class _Budget:
    """Seconds that a file may still take; waiting for a turn costs none."""

    left_s: float

    @contextlib.asynccontextmanager
    async def spend(self) -> AsyncIterator[None]:
        start = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, self.left_s)):
                yield
        finally:
            self.left_s -= time.monotonic() - start


class Downloader:
    """Fetches pictures in one event loop, as `Limits` say. Use it with `async with`."""

    def __init__(self, guard: Guard, limits: Limits, *, contact: str = "") -> None:
        self._guard = guard
        self._limits = limits
        self._getter = Getter(guard, limits, contact=contact)
        self._hosts = Hosts(limits)
        self._robots = Robots(self._read_robots)

    async def __aenter__(self) -> Downloader:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self._robots.close()
        await self._getter.aclose()

    async def fetch(self, url: str, part: Path, use: Callable[[Fetched], Awaitable[_T]]) -> _T:
        """Hand the bytes behind an address to `use`, and return what it makes of them.

        `RefusedError` with the cause when there are none to be had. `part` is where a body goes that is too large for
        memory; it is gone when this returns. `use` runs while the host's turn is held, so that what came and is not
        worked through yet cannot pile up.
        """
        budget = _Budget(self._limits.total_s)
        for attempt in range(1, self._limits.tries + 1):
            body = Body(part, data=bytearray())
            try:
                return await self._try(url, body, budget, use)
            except RefusedError as refused:
                wait = self._pause_before_retry(refused, attempt, budget)
                if wait is None:
                    raise
            finally:
                body.discard()
            await asyncio.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _pause_before_retry(self, refused: RefusedError, attempt: int, budget: _Budget) -> float | None:
        """Seconds until the next try; None when there is none."""
        passing = refused.cause in ("timeout", "interrupted") and refused.http_status != 200  # 200: it came, but slowly
        again = refused.http_status in _AGAIN or passing
        asked = refused.retry_after_s
        if not again or attempt == self._limits.tries or budget.left_s <= 0 or (asked or 0) > self._limits.max_wait_s:
            return None
        backoff = self._limits.backoff_s * 2 ** (attempt - 1) * random.uniform(0.75, 1.5)
        return float(max(asked or 0.0, backoff))

    async def _try(self, url: str, body: Body, budget: _Budget, use: Callable[[Fetched], Awaitable[_T]]) -> _T:
        """One try, redirects included."""
        target = self._guard.check_url(url)
        for _ in range(self._limits.max_redirects + 1):
            rules = await self._robots.rules(target)
            if not rules.allow(target.raw_path.decode("ascii", "replace")):
                raise RefusedError("robots", f"{target.host!r} asks in its robots.txt not to fetch this address. "
                                   "Leave it out, or ask its owner.")
            async with self._hosts.turn(target.host) as heard:
                with _as_refusal(target.host):
                    async with budget.spend(), self._getter.get(target) as response:
                        heard()
                        onward = self._judge(response, target)
                        if onward is None:
                            await self._read(response, target.host, body)
                if onward is None:
                    known = "allowed" if rules.rules else "no rules"
                    return await use(Fetched(body, str(target), response.status_code, known))
            target = onward
        raise RefusedError("too_many_redirects", f"{url[:120]!r} leads on more than {self._limits.max_redirects} "
                           "times. Leave it out.")

    def _judge(self, response: httpx.Response, target: httpx.URL) -> httpx.URL | None:
        """Where to go on to; None when this is the answer; `RefusedError` when it is none."""
        status = response.status_code
        if status in _REDIRECTS and "location" in response.headers:
            try:
                onward = str(target.join(response.headers["location"]))
            except (httpx.InvalidURL, ValueError):
                onward = response.headers["location"]
            return self._guard.check_url(onward)
        if status != 200:
            raise self._bad_status(response, target.host)
        if forbids_learning(response.headers.get_list("x-robots-tag")):
            raise RefusedError("noai", f"{target.host!r} marks this picture as not to be used for machine learning "
                               "(X-Robots-Tag). Leave it out, or ask its owner.", http_status=status)
        if (response.headers.get("content-length") or "").isdecimal() \
                and int(response.headers["content-length"]) > self._limits.max_bytes:
            raise self._too_large(target.host)
        return None

    def _bad_status(self, response: httpx.Response, host: str) -> RefusedError:
        status = response.status_code
        if status in (404, 410):
            return RefusedError("not_found", f"{host!r} has no such file (any more) ({status}).", http_status=status)
        wait = self._asked_to_wait(response, host)
        if status == 429:
            when = "later" if wait is None else f"in {wait:.0f} s"
            return RefusedError("rate_limited", f"{host!r} asks for fewer requests (429). Collect again {when}.",
                                retry_after_s=wait, http_status=status)
        return RefusedError("http_error", f"{host!r} answered with status {status} instead of a picture. "
                            "Collect again later, or leave it out.", retry_after_s=wait, http_status=status)

    def _asked_to_wait(self, response: httpx.Response, host: str) -> float | None:
        """Seconds that a host asks for, if it does; nothing starts there until they are over."""
        wait = retry_after_s(response.headers.get("retry-after", "")) if response.status_code in (429, 503) else None
        if wait is not None:
            self._hosts.pause(host, min(wait, self._limits.max_wait_s))
        return wait

    async def _read(self, response: httpx.Response, host: str, body: Body) -> None:
        """Take the body in, counting what it unpacks to."""
        limits, start = self._limits, time.monotonic()
        unpack = unpacker(response.headers.get("content-encoding", ""), host)
        async for packed in response.stream:  # type: ignore[union-attr]
            for chunk in unpack(packed):
                body.size_bytes += len(chunk)
                if body.size_bytes > limits.max_bytes:
                    raise self._too_large(host)
                assert body.data is not None
                body.data += chunk
                if body.size_bytes == len(chunk) and looks_like_html(chunk):
                    raise RefusedError("html_instead_of_image", f"{host!r} sends a web page instead of a picture. "
                                       "Leave it out, or look for the picture's own address.", http_status=200)
                if len(body.data) > _SPILL_BYTES:
                    await asyncio.to_thread(body.spill)
            elapsed = time.monotonic() - start
            if elapsed > limits.grace_s and body.size_bytes < limits.min_bytes_per_s * elapsed:
                raise RefusedError("timeout", f"{host!r} sends slower than {limits.min_bytes_per_s / 1000:.0f} kB a "
                                   "second. Collect again later, or leave it out.", http_status=200)

    def _too_large(self, host: str) -> RefusedError:
        return RefusedError("too_large", f"The file of {host!r} is larger than the limit of "
                       f"{self._limits.max_bytes / 2**20:.0f} MB. Leave it out, or raise max_bytes.", http_status=200)

    async def _read_robots(self, url: httpx.URL) -> RobotsRules:
        """A site's rules. Without a robots.txt all is allowed; with one that cannot be had, nothing is (RFC 9309).

        One that cannot be had is tried again as a picture is, and its refusal is one that passes.
        """
        budget = _Budget(_ROBOTS_S)
        for attempt in range(1, self._limits.tries + 1):
            try:
                return await self._ask_robots(url, budget)
            except RefusedError as refused:
                wait = self._pause_before_retry(refused, attempt, budget)
                if wait is None:  # without a status: no picture was asked for
                    raise RefusedError(refused.cause, str(refused)) from None
            await asyncio.sleep(wait)
        raise AssertionError("the last try returns or raises")

    async def _ask_robots(self, url: httpx.URL, budget: _Budget) -> RobotsRules:
        """One try, redirects included."""
        target = url
        for _ in range(self._limits.max_redirects + 1):
            async with self._hosts.turn(target.host) as heard:
                with _as_refusal(target.host):
                    async with budget.spend(), self._getter.get(target) as response:
                        heard()
                        if response.status_code == 429 or response.status_code >= 500:
                            raise self._no_robots(response, target.host)
                        if response.status_code not in _REDIRECTS:
                            rules = await _robots_rules(response, target.host)
                            if rules.delay_s:
                                self._hosts.slow_down(url.host, rules.delay_s)
                            return rules
                        onward = str(target.join(response.headers.get("location", "")))
            target = self._guard.check_url(onward)
        return RobotsRules()

    def _no_robots(self, response: httpx.Response, host: str) -> RefusedError:
        """The site may have rules but cannot say them now."""
        status, wait = response.status_code, self._asked_to_wait(response, host)
        when = "later" if wait is None else f"in {wait:.0f} s"
        return RefusedError("rate_limited" if status == 429 else "http_error",
                            f"{host!r} could not say what may be fetched: its robots.txt answers with {status}. "
                            f"Collect again {when}.", retry_after_s=wait, http_status=status)


async def _robots_rules(response: httpx.Response, host: str) -> RobotsRules:
    if response.status_code != 200:
        return RobotsRules()
    text = bytearray()
    unpack = unpacker(response.headers.get("content-encoding", ""), host)
    async for packed in response.stream:  # type: ignore[union-attr]
        for chunk in unpack(packed):
            text += chunk
            if len(text) > _ROBOTS_BYTES:
                return parse_robots(text.decode("utf-8", "replace"))
    return parse_robots(text.decode("utf-8", "replace"))


@contextlib.contextmanager
def _as_refusal(host: str) -> Iterator[None]:
    """The client's errors as causes and sentences."""
    try:
        yield
    except (TimeoutError, httpx.TimeoutException):
        raise RefusedError("timeout", f"{host!r} took longer than a file may take. Collect again later, or leave it "
                           "out."
                      ) from None
    except httpx.InvalidURL:
        raise RefusedError("bad_url", f"{host!r} leads on to something that is no web address. Leave it out.") from None
    except httpx.ConnectError as error:
        raise RefusedError("unreachable", f"{host!r} cannot be reached ({error}). Collect again later, or leave it out."
                      ) from None
    except (httpx.TransportError, zlib.error) as error:
        raise RefusedError("interrupted", f"The connection to {host!r} broke ({error or type(error).__name__}). "
                           "Collect again later.") from None
