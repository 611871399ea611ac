"""One ES module out of a few: a widget may have only one, and a person wants to read small files."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["join_modules"]

_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.{1,2}/[^"]+)";\n', re.MULTILINE)


def join_modules(entry: Path) -> str:
    """The source of `entry` behind that of every module it needs, each once.

    Only `import { a, b } from "./file.js";` is understood, without renaming; top-level names have to differ
    between the files, because they all end in one module.
    """
    joined: dict[Path, str] = {}
    _add(entry.resolve(), joined)
    return "\n".join(joined.values())


def _add(file: Path, joined: dict[Path, str]) -> None:
    if file in joined:
        return
    source = file.read_text("utf-8")
    for _, name in _IMPORT.findall(source):
        _add((file.parent / name).resolve(), joined)
    joined[file] = _IMPORT.sub("", source)
