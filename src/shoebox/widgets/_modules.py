"""One ES module, or one style sheet, out of a few: a widget may have only one, and a person reads small files."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["join_modules", "join_styles"]

_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.{1,2}/[^"]+)";\n', re.MULTILINE)
_STYLE = re.compile(r'^@import "(\.{1,2}/[^"]+)";\n', re.MULTILINE)


def join_modules(entry: Path) -> str:
    """The source of `entry` behind that of every module it needs, each once.

    Only `import { a, b } from "./file.js";` is understood, without renaming; top-level names have to differ
    between the files, because they all end in one module.
    """
    return _joined(entry, _IMPORT)


def join_styles(entry: Path) -> str:
    """The same of a style sheet with lines like `@import "./file.css";`, in their order."""
    return _joined(entry, _STYLE)


def _joined(entry: Path, pattern: re.Pattern[str]) -> str:
    joined: dict[Path, str] = {}
    _add(entry.resolve(), pattern, joined)
    return "\n".join(joined.values())


def _add(file: Path, pattern: re.Pattern[str], joined: dict[Path, str]) -> None:
    if file in joined:
        return
    source = file.read_text("utf-8")
    for name in pattern.findall(source):
        _add((file.parent / name).resolve(), pattern, joined)
    joined[file] = pattern.sub("", source)
