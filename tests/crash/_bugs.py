"""Bugs that are put in on purpose: a harness that does not find them proves nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from shoebox.data import _apply, _files, _moves


def _unlink_first(source: Path, target: Path) -> bool:
    data = source.read_bytes()
    source.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return True


def _second_copy(source: Path, target: Path, image_id: str) -> bool:
    if source.exists():
        return _moves.move_file(source, target.with_name(f"again {target.name}"))
    return True


def _to_the_final_name(source: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    data = source.read_bytes()
    for start in range(0, len(data), 256):
        os.write(handle, data[start:start + 256])
    os.fsync(handle)
    os.close(handle)
    source.unlink()
    return True


def _copied_over(source: Path, target: Path, image_id: str) -> bool:
    if source.exists():
        shutil.copy(source, target)
        source.unlink()
    return True


def _unsynced_finish(source: Path, target: Path, image_id: str) -> bool:
    if source.exists():
        source.unlink()
        _files.fsync_folder(source.parent)
    return True


def _unsynced_copy(source: Path, part: Path) -> None:
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(handle, source.read_bytes())
    os.close(handle)


def _unsynced_folder(folder: Path) -> None:
    if not folder.is_dir():
        _unsynced_folder(folder.parent)
        folder.mkdir()


BUGS = {
    "unlink first": ((_apply, "move_file", _unlink_first),),
    "replay makes a second copy": ((_apply, "finish_move", _second_copy),),
    "copy to the final name": ((_apply, "move_file", _to_the_final_name),
                               (_apply, "finish_move", _copied_over)),
    "names not forced to the disk": ((_moves, "fsync_folder", lambda folder: None),),
    "new folders not forced to the disk": ((_moves, "make_folder", _unsynced_folder),),
    "copies not forced to the disk": ((_moves, "_copy", _unsynced_copy),),
    "recovery unlinks before the new name is on the disk": ((_apply, "finish_move", _unsynced_finish),),
}


@contextlib.contextmanager
def seeded(bug: str) -> Iterator[None]:
    """Put a bug in; with an empty name, none."""
    changes = BUGS[bug] if bug else ()
    kept = [(module, name, getattr(module, name)) for module, name, _ in changes]
    for module, name, wrong in changes:
        setattr(module, name, wrong)
    try:
        yield
    finally:
        for module, name, right in kept:
            setattr(module, name, right)
