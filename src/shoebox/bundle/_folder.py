"""The folder of a bundle: what is none is refused in a sentence, and files are read without following links."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from shoebox.errors import BundleError

__all__ = ["CARD", "MANIFEST", "MODEL", "MODEL_INT8", "bundle_folder", "open_member", "read_member"]

MANIFEST = "manifest.json"
MODEL = "model.onnx"
MODEL_INT8 = "model.int8.onnx"
CARD = "MODEL_CARD.md"

_PICKLES = {".pkl", ".pickle", ".pth", ".pt", ".joblib", ".ckpt"}


def bundle_folder(path: str | os.PathLike[str]) -> Path:
    """`path` as the folder of a bundle.

    Raises
    ------
    BundleError
        A pickle, a single file, nothing at all, or a folder without a manifest.
    """
    folder = Path(path)
    if folder.suffix.lower() in _PICKLES and not folder.is_dir():
        raise BundleError(f"{folder.name!r} is a pickle: opening one runs whatever code its author put into it, so "
                          "Shoebox's app never does. In the notebook that made it, call shoebox.export(learn, ds, "
                          '"models/name"); or, if you trust it as a program: shoebox convert '
                          f"{folder.name} DATA MODEL. Then give that folder.")
    if folder.is_dir():
        if not (folder / MANIFEST).exists() and not (folder / MANIFEST).is_symlink():
            raise BundleError(f"The folder {folder.name!r} is no bundle: it has no {MANIFEST}. Give the folder that "
                              "shoebox.export wrote.")
        return folder
    if folder.exists():
        raise BundleError(f"{folder.name!r} is a file; a bundle is a folder with {MANIFEST} and {MODEL} in it. Give "
                          "the folder that shoebox.export wrote.")
    raise BundleError(f"There is no bundle at {str(path)!r}. Give the folder that shoebox.export wrote.")


def read_member(folder: str | os.PathLike[str], name: str, max_bytes: int) -> bytes:
    """Bytes of the file `name` directly in `folder`, no more than `max_bytes`; links are refused, not followed."""
    with open_member(folder, name, max_bytes) as file:
        return file.read(max_bytes + 1)


@contextmanager
def open_member(folder: str | os.PathLike[str], name: str, max_bytes: int) -> Iterator[IO[bytes]]:
    """The same, opened for reading; refused before when it has more than `max_bytes`."""
    place = f"{Path(folder).name}/{name}"
    try:
        handle = os.open(Path(folder) / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
                         | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise BundleError(f"{place} is missing. Export the model again, or get a whole copy.") from None
    except OSError as error:
        raise _unreadable(Path(folder) / name, place, error) from None
    try:
        _check_regular(Path(folder) / name, handle, place)
        size_bytes = os.fstat(handle).st_size
        if size_bytes > max_bytes:
            raise BundleError(f"{place} has {size_bytes:,} bytes; at most {max_bytes:,} were expected. Export the "
                              "model again, or get an unchanged copy.")
        with os.fdopen(handle, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(handle)


def _check_regular(path: Path, handle: int, place: str) -> None:
    if path.is_symlink():
        raise _is_link(place)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise BundleError(f"{place} is no ordinary file. Export the model again.")


def _unreadable(path: Path, place: str, error: OSError) -> BundleError:
    if path.is_symlink():
        return _is_link(place)
    return BundleError(f"{place} cannot be read ({error.strerror}). Check its permissions.")


def _is_link(place: str) -> BundleError:
    return BundleError(f"{place} is a symbolic link, which Shoebox never follows. Put the file itself there.")
