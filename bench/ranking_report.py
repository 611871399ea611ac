"""Sections of bench/RESULTS.md: a bench rewrites its own and leaves the others alone."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"


def write_section(title: str, body: str) -> None:
    """Print the section and put it in the place of the one with the same title, or at the end."""
    text = (f"## {title} ({datetime.date.today()})\n\n{os.cpu_count()} cores, {platform.machine()}, Python "
            f"{platform.python_version()}. {body.strip()}\n")
    print(text)
    old = RESULTS.read_text("utf-8") if RESULTS.exists() else "# Measured\n"
    parts = old.split("\n## ")
    kept = [part for part in parts[1:] if not part.startswith(f"{title} (")]
    RESULTS.write_text("\n\n## ".join([parts[0].rstrip(), *(part.rstrip() for part in kept), text[3:]]), "utf-8")
