"""Processes on one machine take turns at the processors, so that many who ask at once do not tread on one another."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: its locks are asked for once a second, which is worse than none
    fcntl = None  # type: ignore[assignment]

__all__ = ["Turns", "processors"]


def processors() -> int:
    """How many this process may use."""
    return len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0))


class Turns:
    """As many places as fit side by side, each a locked file; whoever finds none free waits, about in order.

    The system itself frees the place of a process that ends, in whatever way. Where files cannot be locked, nobody
    waits: a turn makes answers quicker and is never a reason to have none.

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

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for a place, and have it while inside. May be used in several threads, each of which has its own."""
        place = None if fcntl is None else self._take()
        try:
            yield
        finally:
            if place is not None:
                os.close(place)

    def _take(self) -> int | None:
        order = random.sample(self._files, len(self._files))
        for file in order:
            if (place := _lock(file, fcntl.LOCK_NB)) is not None:
                return place
        return _lock(order[0], 0)


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
