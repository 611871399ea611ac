"""Looking from time to time, as long as somebody is there to see it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

__all__ = ["Watch"]

_LOG = logging.getLogger("shoebox")


class Watch:
    """Calls `look` every `every_s` seconds in a thread of its own, until `lease_s` have passed without a `renew`.

    So a cell that was run ten times, or a tab that was forgotten, costs nothing after a while. What `look` raises
    is logged, and the next look is tried.
    """

    def __init__(self, look: Callable[[], object], *, every_s: float = 2.0, lease_s: float = 600.0) -> None:
        self._look = look
        self._every_s, self._lease_s = every_s, lease_s
        self._until = 0.0
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def renew(self) -> None:
        """Somebody is there: look on for another while. Nothing happens after `stop`."""
        with self._lock:
            self._until = time.monotonic() + self._lease_s
            if not self._stopped.is_set() and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._run, name="shoebox-watch", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End it for good; a look that is under way ends by itself."""
        self._stopped.set()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            with self._lock:
                if time.monotonic() > self._until:
                    self._thread = None  # a renew that comes now starts another
                    return
            try:
                self._look()
            except Exception:  # a catalog that is locked, or gone, at this moment
                _LOG.info("Looking for new decisions failed", exc_info=True)
