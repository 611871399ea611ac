"""Putting a bundle in its place: whole or not at all, and never over anything that is not a bundle."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from shoebox.bundle._folder import MANIFEST
from shoebox.bundle._manifest import inspect
from shoebox.data import fsync_folder
from shoebox.errors import BundleError

__all__ = ["check_target", "put_bundle", "put_file"]


def check_target(path: Path, *, overwrite: bool) -> None:
    """Refuse, before any work, a `path` that must not be replaced.

    Raises
    ------
    BundleError
        It is a file or a link, a folder that is no bundle or holds more than one, or a bundle and `overwrite`
        is False.
    """
    if path.is_symlink():
        raise BundleError(f"{str(path)!r} is a symbolic link. Give the folder itself, or another name.")
    if not path.exists():
        return
    if not path.is_dir():
        raise BundleError(f"{str(path)!r} is a file. Give another name for the bundle's folder.")
    held = {entry.name for entry in path.iterdir()}
    if not held:
        return
    strangers = held - _members(path)
    if strangers:
        raise BundleError(f"{str(path)!r} holds {sorted(strangers)[0]!r}, which is no part of a bundle, and would be "
                          "replaced as a whole. Move it away, or give another name.")
    if not overwrite:
        raise BundleError(f"There is a bundle at {str(path)!r} already. Give another name, or overwrite=True.")


def put_bundle(path: Path, contents: Mapping[str, bytes], *, check: Callable[[Path], object],
               overwrite: bool) -> None:
    """Write `contents` beside `path`, `check` them there, then give them the name.

    A bundle that stands there is moved aside first and removed last. When anything fails, it stands again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent))
    try:
        draft.chmod(0o755)  # mkdtemp's folders are private; a bundle is read by whoever serves it
        for name, data in contents.items():
            _write(draft / name, data)
        fsync_folder(draft)
        check(draft)
        check_target(path, overwrite=overwrite)
        _swap(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def put_file(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make a file beside `path`, then give it the name; what stands there is replaced at once."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        draft = Path(folder).resolve() / path.name
        write(draft)
        draft.replace(path)
    fsync_folder(path.parent)


def _members(path: Path) -> set[str]:
    try:
        return {MANIFEST, *inspect(path).files}
    except BundleError:
        return set()


def _swap(draft: Path, path: Path) -> None:
    aside = None
    if path.exists():
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
        path.rename(aside / path.name)
    try:
        draft.rename(path)
    except BaseException:
        if aside is not None:
            (aside / path.name).rename(path)
            aside.rmdir()
        raise
    fsync_folder(path.parent)
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
