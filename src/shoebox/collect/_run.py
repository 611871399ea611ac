"""The flow: sources name pictures, the downloader brings them, the store puts them away, each address gets a row."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from shoebox.collect._address import Guard
from shoebox.collect._check import Checked
from shoebox.collect._download import Downloader, Fetched
from shoebox.collect._licence import allows
from shoebox.collect._outcome import TRY_AGAIN, Found, Limits, RefusedError, SourceError
from shoebox.collect._sources import Source
from shoebox.collect._store import Store, now
from shoebox.data import SourceRecord

__all__ = ["Collecting", "Event", "Wish"]

_LOG = logging.getLogger("shoebox")
_BATCH = 256
_STOP_EVERY_S = 0.1
_T = TypeVar("_T")


@dataclass(frozen=True)
class Wish:
    """One class, what to ask for it, and how many; None takes all that a list or a folder has."""

    label: str
    query: str
    n: int | None = None


@dataclass(frozen=True)
class Event:
    """What just happened, for whoever watches.

    `searching`: a source is being asked. `found`: `total` addresses of a class are known. `outcome`: `record` is
    settled, `earlier` than this collection or by it. `note`: a `sentence` about a source.
    """

    kind: Literal["searching", "found", "outcome", "note"]
    label: str = ""
    total: int = 0
    record: SourceRecord | None = None
    sentence: str = ""
    earlier: bool = False


class Collecting:
    """One run over wishes and sources. `records` and `notes` are what the report is made of."""

    def __init__(self, store: Store, sources: Sequence[Source], wishes: Sequence[Wish], *, guard: Guard, limits: Limits,
                 contact: str = "", watch: Callable[[Event], None] = lambda event: None,
                 stop: threading.Event | None = None) -> None:
        self._store = store
        self._sources = sources
        self._wishes = wishes
        self._guard, self._limits, self._contact = guard, limits, contact
        self._watch = watch
        self._stop = stop or threading.Event()
        self._threads = ThreadPoolExecutor(max(4, os.cpu_count() or 1), thread_name_prefix="shoebox-collect")
        self._searcher = ThreadPoolExecutor(1, thread_name_prefix="shoebox-search")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="shoebox-write")  # never behind pictures in a queue
        self._by_url: dict[str, asyncio.Task[SourceRecord]] = {}
        self._rows = {(row.url, row.label): row for row in store.table.all()}
        self._stored = {row.url: row for row in self._rows.values() if row.state == "added"}
        self._tasks: set[asyncio.Task[SourceRecord]] = set()
        self._written: dict[tuple[str, str], asyncio.Future[SourceRecord]] = {}
        self.records: dict[tuple[str, str], SourceRecord] = {}
        self.notes: list[str] = []
        self.earlier = 0  # pictures that another collection has added
        self.stopped = False

    async def run(self) -> None:
        """Until every address is settled, or `stop` is set; what was not settled then stays `waiting`."""
        self._results: asyncio.Queue[tuple[SourceRecord, Checked | None] | None] = asyncio.Queue()
        writer = asyncio.create_task(self._write())
        work = asyncio.create_task(self._work())
        watcher = asyncio.create_task(self._wait_for_stop(work))
        try:
            await work
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise
            self.stopped = True
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
            self._results.put_nowait(None)
            self._searcher.shutdown(wait=False, cancel_futures=True)
            await asyncio.gather(writer, return_exceptions=True)  # what it raises comes below, or has ended the work
            self._threads.shutdown()
            self._writer.shutdown()
        writer.result()

    def end(self) -> None:
        """Stop soon; may be called from any thread."""
        self._stop.set()

    async def _work(self) -> None:
        async with Downloader(self._guard, self._limits, contact=self._contact) as downloader:
            try:
                for wish in self._wishes:
                    await self._search(wish, downloader)
                await _all(self._tasks)
            finally:  # before the client closes: what is on its way stays `waiting`
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _wait_for_stop(self, work: asyncio.Task[None]) -> None:
        while not self._stop.is_set():
            await asyncio.sleep(_STOP_EVERY_S)
        work.cancel()

    # --- finding ---

    async def _search(self, wish: Wish, downloader: Downloader) -> None:
        """Ask one source after the other for a class, until there are enough."""
        left = wish.n
        for place, source in enumerate(self._sources):
            share = None if left is None else -(-left // (len(self._sources) - place))
            if share == 0:
                break
            self._watch(Event("searching", wish.label, sentence=source.name))
            found = await self._find(wish, source, share)
            left = None if left is None else left - len(found)
            for record, read in found:
                self._begin(record, read, downloader)
            self._watch(Event("found", wish.label, total=sum(label == wish.label for _, label in self.records)))

    async def _find(self, wish: Wish, source: Source, n: int | None) -> list[tuple[SourceRecord, Found | None]]:
        """The rows of a class and a source: those known from before, and new ones if they are too few."""
        known = [row for row in self._rows.values()
                 if (row.label, row.source, row.query) == (wish.label, source.name, wish.query)
                 and _keeps(source, row)]
        if source.searches and n is not None and len(known) >= n:
            return [(row, None) for row in known[:n]]
        found: list[Found] = []
        try:
            await asyncio.get_running_loop().run_in_executor(self._searcher, _take, source, wish.query, n, found)
        except SourceError as error:
            self._note(f"{wish.label}: {error}")
        except Exception as error:
            _LOG.exception("The source %s failed", source.name)
            self._note(f"{wish.label}: {source.name} failed ({type(error).__name__}). Try again, or choose another.")
        return await self._written_down(wish, source, found, known, n)

    async def _written_down(self, wish: Wish, source: Source, found: Sequence[Found], known: Sequence[SourceRecord],
                            n: int | None) -> list[tuple[SourceRecord, Found | None]]:
        rows: dict[str, tuple[SourceRecord, Found | None]] = {}
        if source.searches:  # a list says anew what it holds; a search is only asked for what is missing
            rows = {row.url: (row, None) for row in known}
        new = []
        for place, item in enumerate(found, start=1):
            if item.url in rows:
                rows[item.url] = rows[item.url][0], item
            elif n is None or len(rows) < n:
                row = self._rows.get((item.url, wish.label))
                if row is None:
                    row = _row(wish, source, item, place)
                    new.append(row)
                rows[item.url] = row, item
        self._rows |= {(row.url, row.label): row for row in new}
        await self._in_thread(self._store.table.add, new)
        twice = len(found) - len({item.url for item in found})
        if twice:
            self._note(f"{wish.label}: {twice} of the addresses that {source.name} names are repeated.")
        return list(rows.values())

    def _note(self, sentence: str) -> None:
        self.notes.append(sentence)
        self._watch(Event("note", sentence=sentence))

    # --- fetching ---

    def _begin(self, record: SourceRecord, found: Found | None, downloader: Downloader) -> None:
        """Start on an address, unless it is settled."""
        key = (record.url, record.label)
        if key in self.records:
            return
        self.records[key] = record
        if self._is_settled(record):
            self.earlier += record.state == "added"
            self._watch(Event("outcome", record.label, record=record, earlier=True))
            return
        first = self._by_url.get(record.url)
        task = asyncio.create_task(self._fetch(record, found, downloader) if first is None
                                   else self._follow(record, first))
        self._by_url.setdefault(record.url, task)
        self._tasks.add(task)

    def _is_settled(self, record: SourceRecord) -> bool:
        if record.state in ("added", "duplicate"):
            return self._store.place_of(record) is not None
        return record.state == "refused" and record.cause not in TRY_AGAIN

    async def _fetch(self, record: SourceRecord, found: Found | None, downloader: Downloader) -> SourceRecord:
        twin = self._stored.get(record.url)
        if twin is not None and self._store.place_of(twin):
            return await self._settle(_as_twin(record, twin), None)
        record = replace(record, fetched_at=now(), cause="", sentence="", image_id="", path="")
        try:
            if found is not None and found.read is not None:
                data = await self._in_thread(found.read)
                return await self._settle(record, await self._look(lambda: data, _name(record.url)))
            part = self._store.staging / f"{os.urandom(8).hex()}.part"
            settled = await downloader.fetch(record.url, part, lambda fetched: self._check(record, fetched))
        except RefusedError as refused:
            settled = replace(record, state="refused", cause=refused.cause, sentence=str(refused),
                              http_status=refused.http_status), None
        except Exception as error:  # of one picture; the others go on
            _LOG.exception("Collecting %r failed", record.url[:200])
            settled = replace(record, state="refused", cause="not_stored",
                              sentence=f"{_name(record.url)!r} could not be collected ({error}). Collect again."), None
        return await self._settle(*settled)

    async def _check(self, record: SourceRecord, fetched: Fetched) -> tuple[SourceRecord, Checked | None]:
        record = replace(record, final_url=fetched.final_url, http_status=fetched.http_status, robots=fetched.robots)
        try:
            checked = await self._look(fetched.body.read, _name(record.url))
        except RefusedError as refused:
            return replace(record, state="refused", cause=refused.cause, sentence=str(refused)), None
        return record, checked

    async def _look(self, read: Callable[[], bytes], name: str) -> Checked:
        return await self._in_thread(lambda: self._store.checker.check(read(), name))

    async def _follow(self, record: SourceRecord, first: asyncio.Task[SourceRecord]) -> SourceRecord:
        """The same address under another class is not fetched twice."""
        twin = await asyncio.shield(first)
        if twin.state == "refused":
            return await self._settle(replace(record, state="refused", cause=twin.cause, sentence=twin.sentence,
                                              http_status=twin.http_status, fetched_at=twin.fetched_at), None)
        return await self._settle(_as_twin(record, twin), None)

    async def _settle(self, record: SourceRecord, checked: Checked | None) -> SourceRecord:
        """Hand an outcome to the writer, and wait until it stands in the catalog."""
        written: asyncio.Future[SourceRecord] = asyncio.get_running_loop().create_future()
        self._written[record.url, record.label] = written
        self._results.put_nowait((record, checked))
        return await written

    async def _write(self) -> None:
        """Outcomes in small batches: what gathered while the last one was written makes the next one."""
        try:
            while (first := await self._results.get()) is not None:
                batch = [first]
                while len(batch) < _BATCH and not self._results.empty():
                    item = self._results.get_nowait()
                    if item is None:
                        self._results.put_nowait(None)
                        break
                    batch.append(item)
                loop = asyncio.get_running_loop()
                for record in await loop.run_in_executor(self._writer, self._store.commit, batch):
                    self._keep(record)
        except Exception as error:  # the catalog cannot be written: nobody may wait for it
            for waiting in self._written.values():
                if not waiting.done():
                    waiting.set_exception(error)
            raise

    def _keep(self, record: SourceRecord) -> None:
        key = record.url, record.label
        self.records[key] = self._rows[key] = record
        if record.state == "added":
            self._stored[record.url] = record
        waiting = self._written.pop(key)
        if not waiting.done():
            waiting.set_result(record)
        self._watch(Event("outcome", record.label, record=record))

    async def _in_thread(self, run: Callable[..., _T], *arguments: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, run, *arguments)


async def _all(tasks: set[asyncio.Task[SourceRecord]]) -> None:
    """Wait for every task; the first failure ends the rest."""
    if tasks:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()


def _take(source: Source, query: str, n: int | None, into: list[Found]) -> None:
    """What a source names until it ends or fails: what it named before a failure counts."""
    for item in islice(source.search(query, n), n):
        into.append(item)


def _row(wish: Wish, source: Source, item: Found, place: int) -> SourceRecord:
    notes = [item.note, *_marks(source)]
    return SourceRecord(
        item.url, wish.label, wish.query, source.name, item.engine, item.rank or place, item.page_url, item.title,
        item.licence, item.licence_url, item.author, now(), note="; ".join(filter(None, notes)))


def _marks(source: Source) -> list[str]:
    """How a row remembers the licence filter that it was found under, if there was one."""
    licence = getattr(source, "licence", None)
    return [f"licence filter: {licence}"] if licence else []


def _keeps(source: Source, row: SourceRecord) -> bool:
    """Whether a row of an earlier collection, perhaps one without a filter, may stand under the source's filter."""
    licence, marks = getattr(source, "licence", None), row.note.split("; ")
    return not licence or set(_marks(source)) <= set(marks) or allows(licence, row.licence, row.licence_url)


def _as_twin(record: SourceRecord, twin: SourceRecord) -> SourceRecord:
    return replace(record, state="duplicate", path=twin.path, image_id=twin.image_id, sha256=twin.sha256,
                   final_url=twin.final_url, fetched_at=twin.fetched_at, size_bytes=twin.size_bytes,
                   sentence=f"The same address as {twin.path!r}, which is there already.")


def _name(url: str) -> str:
    """How a sentence calls a picture: host and file name, without the query."""
    parts = urlsplit(url)
    name = parts.path.rpartition("/")[2][:80]
    return f"{parts.hostname}/…/{name}" if parts.hostname else name or url[:80]
