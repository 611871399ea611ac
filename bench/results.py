"""Sections of bench/RESULTS.md: a bench rewrites its own and leaves the others alone."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"


def cell(values: Sequence[float], digits: int = 2) -> str:
    """Median and spread."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def write_section(title: str, body: str, *, keep: bool = True) -> None:
    """Print the section and put it in the place of the one with the same title, or at the end; `keep` it or not."""
    text = (f"## {title} ({datetime.date.today()})\n\n{os.cpu_count()} cores, {platform.machine()}, Python "
            f"{platform.python_version()}. {body.strip()}\n")
    print(text)
    if not keep:
        return
    old = RESULTS.read_text("utf-8") if RESULTS.exists() else "# Measured\n"
    parts = old.split("\n## ")
    kept = [part for part in parts[1:] if not part.startswith(f"{title} (")]
    RESULTS.write_text("\n\n## ".join([parts[0].rstrip(), *(part.rstrip() for part in kept), text[3:]]), "utf-8")
