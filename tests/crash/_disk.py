"""A disk that forgets: what was not forced to it may be lost, cut or reordered when the power goes.

Names belong to their folder and are kept by an fsync of that folder; bytes belong to the file and are kept by an
fsync of the file. SQLite's own files are taken as they stand: it syncs them itself (synchronous=FULL).
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = None  # what a name stands for that is a folder


@dataclass
class Node:
    """A file's bytes: those that are safe and those that are there while the power is on."""

    safe: bytes
    live: bytes


Names = dict[str, Node | None]
Change = list[tuple[str, Node | None, bool]]  # name, what it stands for, whether it is there


@dataclass
class Disk:
    """The folders and files below `root`, fed with each call that succeeded."""

    root: Path
    safe: dict[str, Names] = field(default_factory=lambda: defaultdict(dict))
    pending: dict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))
    live: dict[str, Node | None] = field(default_factory=dict)
    handles: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in sorted(self.root.rglob("*")):
            node = FOLDER if path.is_dir() else Node(path.read_bytes(), path.read_bytes())
            self.live[str(path)] = node
            self.safe[str(path.parent)][path.name] = node

    def feed(self, name: str, args: tuple[Any, ...], result: Any) -> None:
        """Take in one call; paths outside `root` and what SQLite does are none of its business."""
        call = getattr(self, f"_{name}", None)
        if call is not None:
            call(*(os.fspath(arg) if isinstance(arg, os.PathLike) else arg for arg in args), result=result)

    def survivors(self, rng: random.Random) -> dict[str, bytes | None]:
        """One of the states that may be found after the power comes back: relative path to bytes, None for a folder."""
        share = rng.choice((0.0, 0.5, 1.0))
        found: dict[str, bytes | None] = {}
        self._gather(str(self.root), "", share, rng, found)
        return found

    def _gather(self, folder: str, prefix: str, share: float, rng: random.Random,
                found: dict[str, bytes | None]) -> None:
        names = dict(self.safe[folder])
        for change in self.pending[folder]:
            if rng.random() < share:
                for name, node, there in change:
                    names.pop(name, None)
                    if there:
                        names[name] = node
        for name, node in names.items():
            if node is FOLDER:
                found[prefix + name] = None
                self._gather(f"{folder}/{name}", f"{prefix}{name}/", share, rng, found)
            else:
                cut = rng.randint(0, len(node.live)) if node.live != node.safe else len(node.live)
                found[prefix + name] = node.live[:cut]

    def _change(self, *entries: tuple[str, Node | None, bool]) -> None:
        self.pending[str(Path(entries[0][0]).parent)].append(
            [(Path(path).name, node, there) for path, node, there in entries])

    def _open(self, path: str, flags: int, *_: Any, result: int) -> None:
        self.handles[result] = path
        if flags & os.O_CREAT and path not in self.live:
            node = self.live[path] = Node(b"", b"")
            self._change((path, node, True))

    def _write(self, handle: int, data: bytes, *, result: int) -> None:
        node = self.live[self.handles[handle]]
        assert node is not None
        node.live += bytes(data[:result])

    def _fsync(self, handle: int, *, result: None) -> None:
        path = self.handles[handle]
        node = self.live.get(path)
        if node is not FOLDER:
            node.safe = node.live
            return
        for change in self.pending.pop(path, []):
            for name, entry, there in change:
                self.safe[path].pop(name, None)
                if there:
                    self.safe[path][name] = entry

    def _close(self, handle: int, *, result: None) -> None:
        self.handles.pop(handle, None)

    def _link(self, source: str, target: str, *, result: None) -> None:
        node = self.live[target] = self.live[source]
        self._change((target, node, True))

    def _unlink(self, path: str, *, result: None) -> None:
        self.live.pop(path)
        self._change((path, None, False))

    def _rename(self, source: str, target: str, *, result: None) -> None:
        node = self.live[target] = self.live.pop(source)
        self._change((source, None, False), (target, node, True))  # in one folder: both or neither

    def _mkdir(self, path: str, *_: Any, result: None) -> None:
        self.live[path] = FOLDER
        self._change((path, FOLDER, True))
