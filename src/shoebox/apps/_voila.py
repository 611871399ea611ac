"""Voila with our handlers, limits and end. Run as `python -m shoebox.apps._voila NOTEBOOK SETTINGS-AS-JSON`."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from jupyter_server.utils import url_path_join
from tornado.ioloop import PeriodicCallback
from tornado.web import HTTPError
from traitlets.config import Config
from voila.app import Voila

from shoebox.apps._exporter import use_cached_exporter
from shoebox.apps._handlers import ALLOWED_MESSAGES, REPLACED, Connection, Health
from shoebox.apps._scripts import Learned

__all__ = ["App", "main"]

HEALTH = "health"
_PARENT_CHECK_MS = 1000
_ORPHANS_CHECK_MS = 5000
_MAX_BODY_BYTES = 64 * 2**10  # nobody has anything to post; what would be taken in is held in memory
_NOISE = ("is not trusted", "websocket_ping_timeout")  # once per visitor, and nothing that anybody could act on


class App(Voila):
    """Voila that checks for room before each page and ends when the process that started it is gone."""

    def init_settings(self) -> dict[str, Any]:
        """Voila's settings, with a stricter line between page and kernel."""
        settings = super().init_settings()
        self.kernel_manager.allowed_message_types = list(ALLOWED_MESSAGES)
        return {**settings, "kernel_websocket_connection_class": Connection, "compress_response": True,
                "shoebox_scripts": Learned()}

    def init_handlers(self) -> list[Any]:
        """Voila's handlers, some replaced by ours, and the health address."""
        health = (url_path_join(self.server_url, HEALTH), Health)
        return [health, *((rule[0], REPLACED.get(rule[1], rule[1]), *rule[2:]) for rule in super().init_handlers())]

    def listen(self) -> None:
        """Serve until a signal or the end of the parent."""
        for log in (self.log, logging.getLogger("tornado.general"), logging.getLogger("tornado.application")):
            log.addFilter(_worth_reading)
        parent = os.getppid()
        PeriodicCallback(lambda: self._stop_without(parent), _PARENT_CHECK_MS).start()
        PeriodicCallback(self.kernel_manager.end_orphans, _ORPHANS_CHECK_MS).start()
        self.app.listen = partial(self.app.listen, max_body_size=_MAX_BODY_BYTES)
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
    use_cached_exporter()
    App.launch_instance(argv=[notebook], config=Config(json.loads(settings)))


if __name__ == "__main__":
    main(sys.argv[1:])
