"""Pillow's one switch for truncated files, made safe for threads that want it set differently."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ImageFile

__all__ = ["truncated_files"]


class _Turns:
    """Threads that want the same value share it; those that want the other wait until it is their turn.

    Between turns the switch has the value that the person's own code gave it, which the door neither obeys nor loses.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._value = False
        self._before = False
        self._waiting = {False: 0, True: 0}

    def enter(self, value: bool) -> None:
        with self._changed:
            self._waiting[value] += 1
            self._changed.wait_for(lambda: self._may_enter(value))
            self._waiting[value] -= 1
            if self._inside == 0:
                self._before, self._value = ImageFile.LOAD_TRUNCATED_IMAGES, value
                ImageFile.LOAD_TRUNCATED_IMAGES = value
            self._inside += 1

    def leave(self) -> None:
        with self._changed:
            self._inside -= 1
            if self._inside == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES = self._before
                self._changed.notify_all()

    def _may_enter(self, value: bool) -> bool:
        return self._inside == 0 or (self._value == value and not self._waiting[not value])


_turns = _Turns()


def _after_fork() -> None:
    """A data loader's worker must not wait for a thread that stayed in the parent."""
    global _turns
    if _turns._inside:
        ImageFile.LOAD_TRUNCATED_IMAGES = _turns._before
    _turns = _Turns()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def truncated_files(*, keep: bool) -> Iterator[None]:
    """While this lasts, Pillow's decoders refuse truncated files, or fill up what is missing."""
    turns = _turns
    turns.enter(keep)
    try:
        yield
    finally:
        turns.leave()
