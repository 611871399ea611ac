"""Processes on one machine take turns at the processors, so that many who ask at once do not tread on one another."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: its locks are asked for once a second, which is worse than none
    fcntl = None  # type: ignore[assignment]

__all__ = ["BLAS_ASLEEP", "Turns", "processors"]

# The environment in which numpy's OpenBLAS, which reads it when it is loaded, has threads that wait sleep after 2 ** 4
# ticks of the processor; left to itself it has them spin for longer, at first when numpy is imported, on processors
# that others need.
BLAS_ASLEEP = {"OPENBLAS_THREAD_TIMEOUT": "4"}

_PATIENCE_S = 5.0  # beyond which whoever has the place is taken to be stuck
_DISTRUST_S = 60.0  # and for how long nobody waits then


def processors() -> int:
    """How many this process may run on, whatever share of them a container has.

    Measured once on two processors, with a share of one and of half a one (a Linux control group's quota): two threads
    answered a lone visitor in 23 to 30 ms (medians, ResNet-18), one thread in 39 to 44, as an answer needs little of
    the share of a tenth of a second; six visitors at once waited about as long with either.
    """
    return len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0))


class Turns:
    """As many places as fit side by side, each a locked file; whoever finds none free waits, about in order.

    The system itself frees the place of a process that ends, in whatever way. Where files cannot be locked nobody
    waits, and nobody waits longer than 5 s: a turn makes answers quicker and is never a reason to have none.

    Parameters
    ----------
    folder : path
        The same for all who take turns with one another; it has to exist.
    places : int
        How many may be at it at the same time.

    Examples
    --------
    >>> with Turns("there-is-none", 1).taken():
    ...     "nobody waits"
    'nobody waits'
    """

    def __init__(self, folder: str | os.PathLike[str], places: int) -> None:
        self._files = [Path(folder) / f"{place}.turn" for place in range(places)]
        self._distrust_until = 0.0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for a place, and have it while inside. May be used in several threads, each of which has its own."""
        place = None if fcntl is None else self._take()
        try:
            yield
        finally:
            _give_back(place)

    def _take(self) -> int | None:
        first = os.getpid() % len(self._files)  # not all at the same one
        order = self._files[first:] + self._files[:first]
        for file in order:
            if (place := _lock(file, fcntl.LOCK_NB)) is not None:
                return place
        return self._wait_for(order[0]) if time.monotonic() > self._distrust_until else None

    def _wait_for(self, file: Path) -> int | None:
        """The system's own queue knows no time-out: a thread stands in it, and leaves when nobody waits any more."""
        from concurrent.futures import Future

        place: Future[int | None] = Future()

        def stand() -> None:
            locked = _lock(file, 0)
            if place.set_running_or_notify_cancel():
                place.set_result(locked)
            else:
                _give_back(locked)

        try:
            threading.Thread(target=stand, name="shoebox-turn", daemon=True).start()
        except RuntimeError:  # the system gives no more threads
            return None
        try:
            return place.result(_PATIENCE_S)
        except BaseException as error:  # an interrupt too
            late = None if place.cancel() else place.result()
            if not isinstance(error, TimeoutError):
                _give_back(late)
                raise
            if late is None:
                self._distrust_until = time.monotonic() + _DISTRUST_S
            return late


def _give_back(place: int | None) -> None:
    """Unlocked first: a process that was forked meanwhile has the file open too."""
    if place is None:
        return
    with contextlib.suppress(OSError):
        fcntl.flock(place, fcntl.LOCK_UN)
    os.close(place)


def _lock(file: Path, how: int) -> int | None:
    """The open file, locked; None if it is taken and `how` says not to wait, or cannot be locked at all."""
    place = None
    try:
        place = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(place, fcntl.LOCK_EX | how)
    except BaseException as error:
        if place is not None:
            os.close(place)
        if isinstance(error, OSError):
            return None
        raise
    return place
