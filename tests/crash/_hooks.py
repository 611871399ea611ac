"""Every file-system call and every SQL statement that Shoebox makes, with a word before and after it."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CALLS = ("open", "write", "fsync", "close", "link", "unlink", "rename", "replace", "mkdir", "rmdir")
Told = Callable[[str, tuple[Any, ...], str, Any], None]


@contextlib.contextmanager
def hooked(told: Told) -> Iterator[None]:
    """Call `told(name, args, "before" | "after", result)`; it may kill the process or raise."""
    real = {name: getattr(os, name) for name in CALLS}
    real_open, real_connect = io.open, sqlite3.connect

    def wrapped(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def tell(*args: Any, **kwargs: Any) -> Any:
            told(name, args, "before", None)
            result = call(*args, **kwargs)
            told(name, args, "after", result)
            return result
        return tell

    class Connection(sqlite3.Connection):
        def execute(self, *args: Any) -> sqlite3.Cursor:
            return wrapped("sql", super().execute)(*args)  # type: ignore[no-any-return]

        def executemany(self, *args: Any) -> sqlite3.Cursor:
            return wrapped("sql", super().executemany)(*args)  # type: ignore[no-any-return]

    for name in CALLS:
        setattr(os, name, wrapped(name, real[name]))
    io.open = wrapped("io.open", real_open)  # type: ignore[assignment]
    sqlite3.connect = lambda *args, **kwargs: real_connect(*args, **kwargs, factory=Connection)  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in CALLS:
            setattr(os, name, real[name])
        io.open, sqlite3.connect = real_open, real_connect


class Killer:
    """Counts points, two a call, and kills its own process at one of them."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0

    def __call__(self, name: str, args: tuple[Any, ...], when: str, result: Any) -> None:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def file_system(mode: str) -> Iterator[None]:
    """`link`: as it is. `exdev`: trash and classes on other devices. `nolink`: no hard links at all."""
    real = os.link

    def link(source: Any, target: Any, **kwargs: Any) -> None:
        if mode == "exdev" and not Path(source).name.startswith(".part-"):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        if mode == "nolink":
            raise OSError(errno.ENOTSUP, "Operation not supported")
        real(source, target, **kwargs)

    os.link = link if mode != "link" else real
    try:
        yield
    finally:
        os.link = real
