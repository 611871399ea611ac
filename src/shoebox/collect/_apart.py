"""Checking pictures in a process of its own: the decoder's time runs beside the network's, and its end ends nothing.

Threads of one process take turns at every step of Python, so that a loop which asks hundreds of hosts waits for the
decoder a thousand times a second. And what strangers send is opened where it can be killed. Run as
`python -m shoebox.collect._apart CHECKER-AS-JSON`: requests come on standard input, as `_HEAD`, name and bytes; for
each, in order, one line of JSON goes to standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO

from shoebox.collect._check import Checked, Checker
from shoebox.collect._outcome import RefusedError

__all__ = ["Apart", "UnavailableError"]

_LOG = logging.getLogger("shoebox")
_HEAD = struct.Struct(">IQ")  # bytes of the name, bytes of the picture
_AT_ONCE = 12  # with the process or on the way to it: their bytes are in memory
_SLOWEST_S = 30.0  # the door answers in a few seconds whatever comes
_START_S = 30.0
_MOST_ENDS = 20
_READY = b'"ready"\n'


class UnavailableError(Exception):
    """There is no process to ask. Check here."""


class _EndedError(Exception):
    """The process ended, or was ended, with this picture in hand."""


class Apart:
    """A `Checker` in a process of its own, started anew when it ends. For one event loop."""

    def __init__(self, checker: Checker) -> None:
        self._settings = json.dumps(asdict(checker), default=str)
        self._process: asyncio.subprocess.Process | None = None
        self._answers: asyncio.Task[None] | None = None
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._sending = asyncio.Lock()
        self._ends = 0

    @property
    def ready(self) -> bool:
        """Whether there is a process to ask."""
        return self._answers is not None and not self._answers.done()

    async def start(self) -> None:
        """Start the process and wait until it listens. Where that cannot be had, `ready` stays False."""
        with contextlib.suppress(OSError, NotImplementedError, TimeoutError, asyncio.IncompleteReadError):
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "shoebox.collect._apart", self._settings, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)  # Ctrl-C is for the caller
            async with asyncio.timeout(_START_S):
                if await self._output.readexactly(len(_READY)) == _READY:
                    self._answers = asyncio.create_task(self._answer())
        if not self.ready:
            _LOG.warning("No process could be started for checking pictures; they are checked here.")

    async def check(self, read: Callable[[], bytes], name: str) -> Checked:
        """As `Checker.check`, of what `read` gives; `UnavailableError` when there is no process.

        A picture with which the process ends twice, or over which it takes too long, is refused as damaged.
        """
        async with self._room:
            answer = await self._answer_of(read(), name)
        if "checked" in answer:
            checked = Checked(**answer["checked"])
            return replace(checked, file=Path(checked.file))
        if "refused" in answer:
            raise RefusedError(*answer["refused"])
        raise OSError(answer.get("failed", "the process that checks pictures answered nonsense"))

    async def _answer_of(self, data: bytes, name: str) -> dict[str, Any]:
        title, ended = name.encode("utf-8", "surrogatepass"), 0
        while ended < 2:
            await self._make_ready()
            try:
                answer: dict[str, Any] = await (await self._ask(title, data))
                return answer
            except _EndedError:
                ended += 1
            except UnavailableError:  # it ended with another picture in hand
                continue
        raise RefusedError("damaged", f"{name!r} made the decoder end, or took it over {_SLOWEST_S:.0f} s, twice. "
                           "Leave it out.")

    async def _make_ready(self) -> None:
        async with self._sending:
            if self._answers is None:
                raise UnavailableError
            if not self.ready:
                self._ends += 1
                if self._ends > _MOST_ENDS:
                    raise RefusedError("not_stored", "The process that checks pictures ended again and again. Collect "
                                       "again; if it stays so, look at what these addresses send.")
                await self._let_go()
                await self.start()
            if not self.ready:
                self._answers = None
                raise UnavailableError

    async def close(self) -> None:
        """End the process."""
        if self._answers is not None:
            self._answers.cancel()
            await asyncio.gather(self._answers, return_exceptions=True)
        self._answers = None
        self._give_up()
        await self._let_go()

    async def _let_go(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    @property
    def _output(self) -> asyncio.StreamReader:
        assert self._process is not None and self._process.stdout is not None
        return self._process.stdout

    async def _ask(self, title: bytes, data: bytes) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        async with self._sending:  # or the bytes of two would mingle
            if not self.ready or self._process is None or self._process.stdin is None:
                raise UnavailableError
            self._waiting.append(answer)
            self._arrived.set()
            with contextlib.suppress(ConnectionError):  # it has ended; `_answer` sees that too, and says so to all
                self._process.stdin.writelines([_HEAD.pack(len(title), len(data)), title, data])
                await self._process.stdin.drain()
        return answer

    async def _answer(self) -> None:
        """Hand each line to who waits for it. When the process ends, the picture that it had in hand is to blame."""
        try:
            while True:
                await self._arrived.wait()
                line = await self._line()
                if not line:
                    return self._ended()
                try:
                    told = json.loads(line)
                except ValueError:  # a library that writes where the answers go
                    return self._ended()
                answer = self._waiting.popleft()
                if not self._waiting:
                    self._arrived.clear()
                if not answer.done():
                    answer.set_result(told)
        finally:
            self._give_up()

    async def _line(self) -> bytes:
        try:
            async with asyncio.timeout(_SLOWEST_S):
                return await self._output.readline()
        except TimeoutError:
            if self._process is not None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()  # or who still sends to it would wait for ever, and with it all others
            return b""

    def _ended(self) -> None:
        if self._waiting and not self._waiting[0].done():
            self._waiting.popleft().set_exception(_EndedError())

    def _give_up(self) -> None:
        while self._waiting:
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(UnavailableError())


def main(settings: str, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more requests."""
    checker = Checker(**json.loads(settings))
    checker = replace(checker, staging=Path(checker.staging))
    answers.write(_READY)
    answers.flush()
    while len(head := requests.read(_HEAD.size)) == _HEAD.size:
        name_bytes, data_bytes = _HEAD.unpack(head)
        name = requests.read(name_bytes).decode("utf-8", "surrogatepass")
        answers.write(json.dumps(_checked(checker, requests.read(data_bytes), name), default=str).encode() + b"\n")
        answers.flush()


def _checked(checker: Checker, data: bytes, name: str) -> dict[str, Any]:
    try:
        return {"checked": asdict(checker.check(data, name))}
    except RefusedError as refused:
        return {"refused": [refused.cause, str(refused)]}
    except Exception as error:  # told to the caller, who logs it; the next picture may fare better
        return {"failed": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin.buffer, sys.stdout.buffer)
