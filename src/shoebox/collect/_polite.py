"""Good manners: turns per host, pauses that a host asks for, robots.txt and X-Robots-Tag."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import httpx

from shoebox.collect._outcome import Limits

__all__ = ["Hosts", "Robots", "RobotsRules", "forbids_learning", "parse_robots"]

NAME = "shoebox"
_NO_LEARNING = {"noai", "noimageai"}
_MAX_ROBOTS_CHARS = 500 * 1024  # as RFC 9309 asks for at least
_MAX_DELAY_S = 10.0


@dataclass
class _Start:
    """A request, and the latest moment at which the host can have taken note of it, as far as that is known."""

    at_s: float = field(default_factory=time.monotonic)
    is_heard: bool = False

    def heard(self) -> None:
        """Its answer begins, or it has failed."""
        if not self.is_heard:
            self.at_s, self.is_heard = time.monotonic(), True


@dataclass
class _Host:
    slots: asyncio.Semaphore
    gate: asyncio.Lock = field(default_factory=asyncio.Lock)
    starts: deque[_Start] = field(default_factory=deque)  # of the last second or so
    not_before: float = 0.0
    delay_s: float = 0.0

    def next_start(self, per_s: float) -> float:
        """When the next request may start: the host never sees more than so many in any one second.

        A request may be long on its way, and the next one not: so it counts from when its answer began.
        """
        most = max(1, int(per_s))
        soonest = self.starts[-most].at_s + most / per_s if len(self.starts) >= most else 0.0
        if self.delay_s and self.starts:
            soonest = max(soonest, self.starts[-1].at_s + self.delay_s)
        return max(soonest, self.not_before)

    def started(self, per_s: float) -> _Start:
        """Take note of a start."""
        self.starts.append(_Start())
        while len(self.starts) > max(1, int(per_s)):
            self.starts.popleft()
        return self.starts[-1]


class Hosts:
    """Turns: so many requests at once and so many starts a second per host, so many at once over all."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._all = asyncio.Semaphore(limits.at_once)
        self._hosts: dict[str, _Host] = {}

    @contextlib.asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[Callable[[], None]]:
        """Wait for a turn at a host, and hold it. What it gives is to be called when the answer begins."""
        host = self._host(name)
        async with host.slots:
            async with host.gate:
                await self._start(host)
                start = host.started(self._limits.starts_per_s)
            try:
                yield start.heard
            finally:
                start.heard()
                self._all.release()

    async def _start(self, host: _Host) -> None:
        """Take one of the places over all hosts, at a moment when this host may be asked."""
        while True:
            while (wait := host.next_start(self._limits.starts_per_s) - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            await self._all.acquire()
            if host.next_start(self._limits.starts_per_s) <= time.monotonic():
                return
            self._all.release()

    def pause(self, name: str, seconds: float) -> None:
        """Start nothing at this host for so long."""
        host = self._host(name)
        host.not_before = max(host.not_before, time.monotonic() + seconds)

    def slow_down(self, name: str, delay_s: float) -> None:
        """Keep the distance between starts that a host's robots.txt asks for."""
        self._host(name).delay_s = min(delay_s, _MAX_DELAY_S)

    def _host(self, name: str) -> _Host:
        key = name.casefold()
        if key not in self._hosts:
            self._hosts[key] = _Host(asyncio.Semaphore(self._limits.per_host))
        return self._hosts[key]


@dataclass(frozen=True)
class RobotsRules:
    """The lines of a robots.txt that are meant for us: (allowed, pattern), longest match wins (RFC 9309)."""

    rules: tuple[tuple[bool, str], ...] = ()
    delay_s: float = 0.0

    def allow(self, path: str) -> bool:
        """Whether a path with its query may be asked."""
        matches = [(len(pattern), allowed) for allowed, pattern in self.rules if _matches(pattern, path)]
        return max(matches, default=(0, True))[1]


def parse_robots(text: str, name: str = NAME) -> RobotsRules:
    """The rules of the groups that name us, or else of those for everybody."""
    groups: dict[str, list[tuple[str, str]]] = {}
    agents: list[str] = []
    in_rules = False
    for line in text.lstrip("\ufeff")[:_MAX_ROBOTS_CHARS].splitlines():
        key, _, value = (part.strip() for part in line.split("#")[0].partition(":"))
        key = key.casefold()
        if key == "user-agent":
            agents = [*([] if in_rules else agents), value.casefold()]
            in_rules = False
            groups.setdefault(value.casefold(), [])
        elif key in ("allow", "disallow", "crawl-delay"):
            in_rules = True
            for agent in agents:
                groups[agent].append((key, value))
    lines = groups.get(name, groups.get("*", []))
    rules = tuple((key == "allow", value) for key, value in lines if key != "crawl-delay" and value)
    return RobotsRules(rules, max([_seconds(value) for key, value in lines if key == "crawl-delay"], default=0.0))


class Robots:
    """What each site's robots.txt says; it is fetched once. `fetch` gives its text, or None where there is none."""

    def __init__(self, fetch: Callable[[httpx.URL], Awaitable[RobotsRules]]) -> None:
        self._fetch = fetch
        self._known: dict[tuple[str, str, int | None], asyncio.Task[RobotsRules]] = {}

    async def rules(self, url: httpx.URL) -> RobotsRules:
        """The rules of this address's site."""
        key = (url.scheme, url.host, url.port)
        if key not in self._known:
            place = url.copy_with(raw_path=b"/robots.txt", fragment=None)
            self._known[key] = asyncio.ensure_future(_started(self._fetch, place))
        return await asyncio.shield(self._known[key])

    async def close(self) -> None:
        """End what is on its way."""
        for task in self._known.values():
            task.cancel()
        await asyncio.gather(*self._known.values(), return_exceptions=True)


async def _started(fetch: Callable[[httpx.URL], Awaitable[RobotsRules]], place: httpx.URL) -> RobotsRules:
    return await fetch(place)


def forbids_learning(headers: Iterable[str], name: str = NAME) -> bool:
    """Whether X-Robots-Tag headers say `noai` or `noimageai`, to everybody or to us."""
    for header in headers:
        agent = ""
        for part in header.casefold().split(","):
            head, colon, rest = part.partition(":")
            if colon:
                agent, part = head.strip(), rest
            if part.strip() in _NO_LEARNING and agent in ("", "*", name):
                return True
    return False


def _matches(pattern: str, path: str) -> bool:
    """`*` stands for anything and a final `$` for the end; linear in the path, however many stars there are."""
    whole = pattern.endswith("$")
    first, *parts = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    place = len(first)
    for number, part in enumerate(parts):
        if whole and number == len(parts) - 1:
            return path.endswith(part) and len(path) - len(part) >= place
        found = path.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return not whole or place == len(path)


def _seconds(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0
