"""What the tests of the downloader share: quick limits, and looks at what came of it."""

from __future__ import annotations

from shoebox.collect import Limits

LIMITS = Limits(starts_per_s=200, backoff_s=0.02, silence_s=5)


def files(root):
    return sorted(path.relative_to(root).as_posix() for path in (root / "black").rglob("*") if path.is_file()) \
        if (root / "black").is_dir() else []


def only(report):
    record, = report.records
    return record
