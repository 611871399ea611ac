"""For the whole suite: browser tests come last; skipped ones are named in the last lines, with the way to get them."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

# One thread each, set before torch loads: sums depend on their number, and two wait for each other on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A suite that was started in the background ignores Ctrl-C, and so would the commands that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Playwright keeps an event loop running in the main thread until the session ends: its tests come last.

    With that loop running no other test can call `asyncio.run`.
    """
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "no Chromium" in str(report.longrepr)]
    if skipped:
        terminalreporter.section("browser tests were skipped", yellow=True)
        for report in skipped:
            terminalreporter.line(f"  {report.nodeid}")
        terminalreporter.line("They need Chromium, which was not found. On Debian or Ubuntu: apt-get install chromium; "
                              "elsewhere put a chromium or google-chrome on the PATH. Then: make test")


@pytest.fixture
def no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test when anything is given to onnxruntime."""
    import onnxruntime

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("onnxruntime was asked to parse a file that had not been checked")  # which no except catches

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
