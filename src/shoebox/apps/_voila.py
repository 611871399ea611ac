"""Voila with a limit to its visitors. Run as `python -m shoebox.apps._voila NOTEBOOK SETTINGS-AS-JSON`.

Each visitor is a kernel, that is a process with its own memory; Voila itself counts none of them.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.ioloop import PeriodicCallback
from tornado.web import HTTPError
from traitlets import Int
from traitlets.config import Config
from voila.app import Voila
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

__all__ = ["App", "CappedKernelManager", "main"]

FULL = "Too many visitors just now. Please try again in a minute."
_PARENT_CHECK_MS = 1000
_NOISE = ("is not trusted", "websocket_ping_timeout")  # once per visitor, and nothing that anybody could act on


class CappedKernelManager(AsyncMappingKernelManager):
    """Starts no kernel for a visitor beyond `max_visitors`. Spare kernels, heated for the next one, come on top."""

    max_visitors = Int(8, config=True, help="How many visitors may have a kernel at the same time.")

    def __init__(self, **kwargs: Any) -> None:
        self._arriving = 0
        super().__init__(**kwargs)

    def visitors(self) -> int:
        """How many kernels belong to a visitor, those that are only starting included."""
        return len(set(self.list_kernel_ids()) - self._spares()) + self._arriving

    def check_room(self) -> None:
        """Refuse with status 503 when everybody's place is taken."""
        if self.visitors() >= self.max_visitors:
            raise HTTPError(503, reason=FULL)

    async def start_kernel(self, **kwargs: Any) -> str:
        """Start a kernel, for a visitor only if there is room. Its own chatter stays out of the log."""
        kwargs["extra_arguments"] = [*(kwargs.get("extra_arguments") or ()), "--IPKernelApp.log_level=40"]
        if (kwargs.get("env") or {}).get("VOILA_PREHEAT") == "True":
            return str(await super().start_kernel(**kwargs))
        self.check_room()
        self._arriving += 1
        try:
            return str(await super().start_kernel(**kwargs))
        finally:
            self._arriving -= 1

    async def shutdown_all(self, now: bool = False) -> None:
        """End every kernel at once: an interrupt first would only make one that is starting write a traceback."""
        await super().shutdown_all(now=True)

    def _spares(self) -> set[str]:
        pools: dict[str, Sequence[Any]] = getattr(self, "_pools", {})  # Voila's, where it heats kernels up
        done = [task for pool in pools.values() for task in pool if task.done() and not task.cancelled()]
        return {task.result()["kernel_id"] for task in done if task.exception() is None}


class _Page(TornadoVoilaHandler):
    async def get(self, path: str | None = None) -> None:
        if not path:  # anything else is only sent on to the files, of which none is served
            self.kernel_manager.check_room()
        await super().get(path)


class _Line(VoilaKernelWebsocketHandler):
    async def open(self, kernel_id: str) -> None:
        self.set_nodelay(True)  # else every answer waits some 40 ms for the acknowledgement of the message before it
        await super().open(kernel_id)


_OURS = {TornadoVoilaHandler: _Page, VoilaKernelWebsocketHandler: _Line}


class App(Voila):
    """Voila that checks for room before each page and ends when the process that started it is gone."""

    def init_handlers(self) -> list[Any]:
        """Voila's handlers, with those of the page and of its line to the kernel replaced."""
        return [(rule[0], _OURS.get(rule[1], rule[1]), *rule[2:]) for rule in super().init_handlers()]

    def listen(self) -> None:
        """Serve until a signal or the end of the parent."""
        for log in (self.log, logging.getLogger("tornado.general"), logging.getLogger("tornado.application")):
            log.addFilter(_worth_reading)
        parent = os.getppid()
        PeriodicCallback(lambda: self._stop_without(parent), _PARENT_CHECK_MS).start()
        super().listen()

    def stop(self) -> None:
        """End the kernels. One that is only starting, or went away by itself, is no reason for a traceback."""
        try:
            super().stop()
        except HTTPError as error:
            self.log.debug("While stopping: %s", error)

    def _stop_without(self, parent: int) -> None:
        if os.getppid() != parent:
            self.ioloop.stop()


def _worth_reading(record: logging.LogRecord) -> bool:
    return not any(noise in str(record.msg) for noise in _NOISE)


def main(arguments: Sequence[str]) -> None:
    """Serve the notebook with the settings, both from the command line."""
    notebook, settings = arguments
    App.launch_instance(argv=[notebook], config=Config(json.loads(settings)))


if __name__ == "__main__":
    main(sys.argv[1:])
