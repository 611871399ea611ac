"""For the whole suite: skipped browser tests are named in the last lines, with the way to get them."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "no Chromium" in str(report.longrepr)]
    if skipped:
        terminalreporter.section("browser tests were skipped", yellow=True)
        for report in skipped:
            terminalreporter.line(f"  {report.nodeid}")
        terminalreporter.line("They need Chromium, which was not found. On Debian or Ubuntu: apt-get install chromium; "
                              "elsewhere put a chromium or google-chrome on the PATH. Then: make test")
