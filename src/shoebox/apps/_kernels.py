"""How many visitors there may be, and when a visitor's kernel ends.

Each visitor is a kernel, that is a process with its own memory; Voila itself counts none of them, and keeps the kernel
of a page that nobody ever opened.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from queue import Empty
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager, ServerKernelManager
from tornado.web import HTTPError
from traitlets import Float, Int, default

__all__ = ["FULL", "CappedKernelManager", "PromptClient", "PromptKernelManager"]

FULL = "Too many visitors just now. Please try again in a minute."


_KERNEL_ARGUMENTS = ("--IPKernelApp.log_level=40", "--HistoryManager.enabled=False")  # nobody types


class PromptClient(AsyncKernelClient):
    """What runs the notebook in a kernel. It starts as soon as the kernel has answered and is heard."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Jupyter's own then listens for another 0.2 s, to throw away what nobody asked for; nbclient leaves it out.

        Raises
        ------
        RuntimeError
            The kernel has ended, or has not answered after `timeout` seconds (None: it is waited for).
        """
        end = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            self.kernel_info()
            try:
                reply = await self.shell_channel.get_msg(timeout=1)
                if reply["msg_type"] == "kernel_info_reply":
                    await self.iopub_channel.get_msg(timeout=0.2)  # else its first words may be lost
                    self._handle_kernel_info_reply(reply)
                    return
            except Empty:
                pass
            if not await self.is_alive():
                raise RuntimeError("The kernel has ended before it answered.")
            if time.monotonic() > end:
                raise RuntimeError(f"The kernel has not answered within {timeout:.0f} s.")


class PromptKernelManager(ServerKernelManager):
    """One kernel, with a client that does not wait for nothing."""

    @default("client_factory")  # type: ignore[untyped-decorator]
    def _prompt_client(self) -> type[AsyncKernelClient]:
        return PromptClient


class CappedKernelManager(AsyncMappingKernelManager):
    """Starts no kernel for a visitor beyond `max_visitors`. Spare kernels, heated for the next one, come on top.

    A kernel whose page never came to life, or lost its line for good, is ended by `end_orphans`.
    """

    max_visitors = Int(8, config=True, help="How many visitors may have a kernel at the same time.")
    arrive_s = Float(45.0, config=True, help="How long a page may take until its line to the kernel stands.")
    away_s = Float(300.0, config=True, help="How long a line may be cut, as a phone does when its camera is opened.")

    def __init__(self, **kwargs: Any) -> None:
        self._pools: dict[str, Sequence[Any]] = {}  # Voila's, where it heats kernels up
        self._arriving: set[str] = set()
        self._heating: set[str] = set()  # spares that are only starting, and those of `_expected` too
        self._expected: set[asyncio.Future[Any]] = set()
        self._met: set[str] = set()
        self._alone_since: dict[str, float] = {}
        super().__init__(**kwargs)

    @default("kernel_manager_class")  # type: ignore[untyped-decorator]
    def _prompt_kernels(self) -> str:
        return f"{__name__}.{PromptKernelManager.__name__}"

    def visitors(self) -> int:
        """How many kernels belong to a visitor, those that are only starting included."""
        return len(self._visiting() | self._arriving) + sum(not task.done() for task in self._expected)

    def expect(self, notebook: str) -> None:
        """Count a page that is about to be given the next spare of `notebook`: it may be seconds until it is ready."""
        self._expected = {task for task in self._expected if not task.done()} | {self._pools[notebook][0]}

    def check_room(self) -> None:
        """Refuse with status 503 when everybody's place is taken."""
        if self.visitors() >= self.max_visitors:
            raise HTTPError(503, reason=FULL)

    async def make_room(self, leaving: str) -> None:
        """As `check_room`, after the kernel `leaving` has ended: who reloads their page is no further visitor."""
        if self.visitors() >= self.max_visitors and leaving in self._visiting():
            await self._end(leaving)
        self.check_room()

    async def start_kernel(self, **kwargs: Any) -> str:
        """Start a kernel, for a visitor only if there is room. Its own chatter stays out of the log."""
        kwargs["extra_arguments"] = [*(kwargs.get("extra_arguments") or ()), *_KERNEL_ARGUMENTS]
        kernel_id = kwargs["kernel_id"] = kwargs.get("kernel_id") or str(uuid.uuid4())
        if (kwargs.get("env") or {}).get("VOILA_PREHEAT") == "True":
            starting = self._heating
        else:
            self.check_room()
            starting = self._arriving
        starting.add(kernel_id)  # it is listed a while before it is here, and must not count twice, or as a visitor
        try:
            return str(await super().start_kernel(**kwargs))
        finally:
            starting.discard(kernel_id)

    async def end_orphans(self, now_s: float | None = None) -> list[str]:
        """End the kernels that no page is connected to any more, or never was; their ids."""
        now = time.monotonic() if now_s is None else now_s
        visiting = self._visiting()
        self._met &= visiting
        self._alone_since = {key: since for key, since in self._alone_since.items() if key in visiting}
        late = [kernel_id for kernel_id in visiting if self._is_late(kernel_id, now)]
        for kernel_id in late:
            await self._end(kernel_id)
        return late

    def remove_kernel(self, kernel_id: str) -> Any:
        """Forget a kernel, with the channels of a line that was cut while it was ending.

        Jupyter keeps those open for a page that might come back: four sockets for each visitor who closes the page,
        until after 250 of them there are no more, and every page hangs.
        """
        if kernel_id in self._kernel_buffers:
            self.stop_buffering(kernel_id)
        return super().remove_kernel(kernel_id)

    async def shutdown_all(self, now: bool = False) -> None:
        """End every kernel at once: an interrupt first would only make one that is starting write a traceback."""
        await super().shutdown_all(now=True)

    def _is_late(self, kernel_id: str, now_s: float) -> bool:
        if self._kernel_connections.get(kernel_id, 0) > 0:
            self._met.add(kernel_id)
            self._alone_since.pop(kernel_id, None)
            return False
        since = self._alone_since.setdefault(kernel_id, now_s)
        return bool(now_s - since >= (self.away_s if kernel_id in self._met else self.arrive_s))

    async def _end(self, kernel_id: str) -> None:
        if kernel_id in self:
            try:
                await self.shutdown_kernel(kernel_id, now=True)
            except (HTTPError, KeyError, RuntimeError) as error:  # gone by itself in the meantime
                self.log.debug("While ending %s: %s", kernel_id, error)

    def _visiting(self) -> set[str]:
        return set(self.list_kernel_ids()) - self._spares() - self._heating

    def _spares(self) -> set[str]:
        done = [task for pool in self._pools.values() for task in pool if task.done() and not task.cancelled()]
        return {task.result()["kernel_id"] for task in done if task.exception() is None}
