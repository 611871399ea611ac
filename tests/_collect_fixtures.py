"""One list of addresses after another against the small web of the tests: fixtures."""

from __future__ import annotations

import pytest

import shoebox
from shoebox.collect import UrlList
from tests._fetching import LIMITS
from tests._web import status, web


@pytest.fixture
def here():
    with web() as server:
        server.answers["/robots.txt"] = status(404)
        yield server


@pytest.fixture
def collect(here, tmp_path):
    def run(*targets, limits=LIMITS, label="black", **options):
        urls = [here.url(target) if target.startswith("/") else target for target in targets]
        return shoebox.collect(tmp_path / "bears", {label: ""}, source=UrlList(urls), allow_private=True,
                               limits=limits, **options)

    return run
