"""Work that a widget need not wait for: done once in a thread, told about, waited for, or given up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from shoebox.errors import ShoeboxError

__all__ = ["Later", "Tell", "Work"]

_LOG = logging.getLogger("shoebox")
_TURN = threading.Lock()  # one at a time in a process: a cell that is run ten times must not take ten processors
_LOOK_EVERY_S = 0.05
_FIRST_SEEN_S = 1.0  # without a page, as in a script
_DRAWING_S = 0.2

_T = TypeVar("_T")
Tell = Callable[[str, int, int], None]
Work = Callable[[Tell], _T]


class _GivenUpError(Exception):
    """Nobody waits for the result any more."""


class Later(Generic[_T]):
    """Computes `work(tell)` once, in a thread of its own.

    `work` calls `tell(sentence, done, total)` now and then; that is where it ends after `stop`.

    Attributes
    ----------
    result : what `work` returned, or None
    error : str
        A sentence when it raised; empty otherwise.
    """

    def __init__(self, work: Work[_T]) -> None:
        self._work = work
        self.result: _T | None = None
        self.error = ""
        self._cause: Exception | None = None
        self._stop, self._over, self._seen = threading.Event(), threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._told: Tell | None = None
        self._last: tuple[str, int, int] | None = None
        self._ended: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name="shoebox-later", daemon=True)

    def start(self, *, patience_s: float = 0.0) -> bool:
        """Begin; True when it is over within `patience_s`. Without patience a page is let drawn first: see `seen`."""
        if patience_s:
            self._seen.set()
        self._thread.start()
        try:
            return patience_s > 0 and self._over.wait(patience_s)
        except KeyboardInterrupt:
            self.stop()
            raise

    def follow(self, told: Tell, ended: Callable[[], None]) -> None:
        """Call `told(sentence, done, total)` from now on, and `ended()` once it is over, in the work's thread.

        What was told last is told again here; `ended` is called here when it is over already, and never after `stop`.
        """
        with self._lock:
            self._told, self._ended = told, ended
            is_over = self._over.is_set()
            if self._last is not None and not is_over and not self._stop.is_set():
                told(*self._last)  # under the lock: after `ended` it would be out of date
        if is_over and not self._stop.is_set():
            ended()

    def seen(self) -> None:
        """The page is there: what is computed from now on is not in the way of its first drawing."""
        self._seen.set()

    def stop(self) -> None:
        """Give up; the thread ends when it next tells something, and nothing is told any more."""
        self._stop.set()
        self._seen.set()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, with a result or an error."""
        return self._over.is_set()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is over; False when `timeout_s` passed, or `stop` came, before. An interrupt ends the waiting
        and not the work."""
        self.seen()
        if threading.current_thread() is not self._thread:
            self._over.wait(timeout_s)
        return self._over.is_set() and not self._stop.is_set()

    def raise_error(self) -> None:
        """Raise what ended the work, if something did."""
        if self._cause is not None:
            raise self._cause

    def _run(self) -> None:
        try:
            self._wait_for_the_page()
            with _Turn(self._stop):
                self._tell("", 0, 0)
                self.result = self._work(self._tell)
        except _GivenUpError:
            pass
        except ShoeboxError as error:
            self._cause, self.error = error, str(error)
        except Exception as error:  # whatever a network or a transform raises: told here, and whole in the log
            _LOG.exception("Work in the background failed")
            self._cause = error
            self.error = f"something unexpected came up ({type(error).__name__}). The log says more; try again."
        finally:
            with self._lock:
                self._over.set()
                ended = self._ended
            if ended is not None and not self._stop.is_set():
                ended()

    def _wait_for_the_page(self) -> None:
        if not self._seen.is_set():
            self._seen.wait(_FIRST_SEEN_S)
            self._stop.wait(_DRAWING_S)

    def _tell(self, sentence: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise _GivenUpError
        if not total:
            return
        with self._lock:
            self._last, told = (sentence, done, total), self._told
        if told is not None:
            told(sentence, done, total)


class _Turn:
    """The one turn of this process, as long as nobody says stop."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def __enter__(self) -> None:
        while not _TURN.acquire(timeout=_LOOK_EVERY_S):
            if self._stop.is_set():
                raise _GivenUpError

    def __exit__(self, *_: object) -> None:
        _TURN.release()
