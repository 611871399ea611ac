"""The process that opens a pickle: started by `shoebox.bundle._convert` after the person said that they trust it."""

from __future__ import annotations

import json
import pathlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shoebox.bundle._export import export
from shoebox.data import Dataset
from shoebox.errors import BundleError, ShoeboxError

__all__ = ["main", "open_learner"]


def main() -> None:
    """Read the wish from standard input, write the bundle; a sentence on standard error when it cannot be."""
    wish = json.load(sys.stdin)
    try:
        learn = open_learner(Path(wish["source"]))
        export(learn, Dataset(wish["data"]), wish["target"], **wish["choices"])
    except ShoeboxError as error:
        print(f"shoebox: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201  it is this process's answer
        sys.exit(1)


def open_learner(source: Path) -> Any:
    """`load_learner`, also for a file that was written on another kind of system."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastai.vision.all import load_learner

        try:
            with _foreign_paths():
                learn = load_learner(source)
        except Exception as error:  # a pickle can fail in any way at all
            reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
            raise BundleError(f"{source.name!r} could not be opened here ({type(error).__name__}: {reason}). Open it "
                              "with the versions of fastai and torch that wrote it, and call shoebox.export there. "
                              "Nothing was written.") from None
    if not hasattr(learn, "dls") or not hasattr(learn.dls, "vocab"):
        raise BundleError(f"{source.name!r} holds a {type(learn).__name__}, no learner with classes. Give what "
                          "learn.export() wrote.")
    return learn


@contextmanager
def _foreign_paths() -> Iterator[None]:
    """A learner remembers a path of the system it was saved on; here it becomes one of this system."""
    other = "PosixPath" if sys.platform == "win32" else "WindowsPath"
    before = getattr(pathlib, other)
    setattr(pathlib, other, type(Path()))
    try:
        yield
    finally:
        setattr(pathlib, other, before)
