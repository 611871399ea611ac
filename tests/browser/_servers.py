"""Real servers for the browser tests: start one on a free port, wait until it answers, stop it, keep its log.

    with start_voila(notebook, tmp_path, model=bundle) as server:      # the app, as `shoebox serve` starts it
        page.goto(server.url)
    with start_lab(folder, tmp_path) as server:                        # JupyterLab on a folder, no token
        page.goto(server.url + "lab/tree/clean.ipynb")

`Recorder(page)` writes down what must not happen on a page; `recorder.assert_clean()` says so. The fixtures `visitor`
and `visitors` of conftest.py do both.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page

SRC = Path(__file__).resolve().parents[2] / "src"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
START_TIMEOUT_S = 90

_SERVE = """
import json, sys
from shoebox.apps._serve import serve
arguments = json.loads(sys.argv[1])
sys.exit(serve(arguments.pop("notebook"), on_ready=lambda url: None, **arguments))
"""


class Server:
    """A server process. `url` ends in a slash; `log` is all it has written so far."""

    def __init__(self, command: Sequence[str], url: str, health: str, folder: Path, env: dict[str, str]) -> None:
        self.url = url
        self._health = url + health
        self._log_file = folder / f"server-{urlsplit(url).port}.log"
        with self._log_file.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=folder,
                                            start_new_session=True)

    @property
    def log(self) -> str:
        return self._log_file.read_text("utf-8", errors="replace")

    def __enter__(self) -> Server:
        try:
            wait_until(self._answers, "the server answers", timeout_s=START_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
                 ) -> None:
        self.stop()

    def status(self, path: str) -> int:
        """The HTTP status of a GET below `url`, after redirects."""
        return http_status(self.url + path)

    def stop(self) -> int:
        """End the server with SIGTERM, and with SIGKILL if that takes over 30 s. The exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return self.process.wait(timeout=30)

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"The server ended with {self.process.returncode}:\n{self.log}"
        try:
            return http_status(self._health) == 200
        except OSError:
            return False


def start_voila(notebook: Path, folder: Path, *, model: Path | None = None, env: dict[str, str] | None = None,
                **options: Any) -> Server:
    """The app as `shoebox.apps._serve.serve` starts it. `options` are that function's; `preheat` is 0 here."""
    port = options.pop("port", None) or free_port()
    arguments = {"notebook": str(notebook), "port": port, "model": model and str(model), "preheat": 0, **options}
    base_url = str(arguments.get("base_url", "/"))
    command = [sys.executable, "-c", _SERVE, json.dumps(arguments)]
    return Server(command, f"http://127.0.0.1:{port}{base_url}", "health", folder,
                  clean_env(folder, env))


def start_lab(root: Path, folder: Path, *, env: dict[str, str] | None = None) -> Server:
    """JupyterLab on `root`, without a token. Its settings, workspaces and history stay under `folder`.

    `window.jupyterapp` is there, so that a test can run all cells or restart the kernel by command.
    """
    port = free_port()
    environment = clean_env(folder, env)
    lab_settings = Path(environment["JUPYTER_CONFIG_DIR"]) / "labconfig" / "page_config.json"
    lab_settings.parent.mkdir(parents=True, exist_ok=True)
    lab_settings.write_text(json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
               f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}",
               "--IdentityProvider.token=", "--PasswordIdentityProvider.hashed_password=",
               "--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
    return Server(command, f"http://127.0.0.1:{port}/", "api", folder, environment)


def clean_env(folder: Path, env: dict[str, str] | None = None) -> dict[str, str]:
    """This process's environment with the source on the path and all of Jupyter's state under `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "SHOEBOX", "JPY"))}
    state = folder / "jupyter"
    state.mkdir(parents=True, exist_ok=True)
    return {**kept, "PYTHONPATH": str(SRC), "IPYTHONDIR": str(state / "ipython"),
            "JUPYTER_CONFIG_DIR": str(state / "config"), "JUPYTER_DATA_DIR": str(state / "data"),
            "JUPYTER_RUNTIME_DIR": str(state / "runtime"), "JUPYTERLAB_WORKSPACES_DIR": str(state / "workspaces"),
            "JUPYTERLAB_SETTINGS_DIR": str(state / "settings"), **(env or {})}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def http_status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code)


def wait_until(condition: Any, what: str, *, timeout_s: float = 30) -> None:
    """Ask `condition` until it is true; an AssertionError that names `what` when it never is."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"After {timeout_s} s it is still not so that {what}"
        time.sleep(0.05)  # between two questions; what is waited for is the condition


@dataclass
class Visitor:
    """One person: a browser context of their own, its page, and the record of that page.

    The record is checked when the test ends; `expect_trouble` leaves console errors and lost requests out. A test
    that stops a server closes the page first, or sets it.
    """

    context: BrowserContext
    page: Page
    recorder: Recorder
    expect_trouble: bool = False


class Recorder:
    """What a page must not do: raise, write errors to the console, lose requests, or speak to another host."""

    def __init__(self, page: Page) -> None:
        self.page_errors: list[str] = []
        self.console_errors: list[str] = []
        self.failed: list[str] = []
        self.foreign: list[str] = []
        page.on("pageerror", lambda error: self.page_errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.console_errors.append(message.text))
        page.on("requestfailed", lambda request: self.failed.append(f"{request.url}: {request.failure}"))
        page.on("request", lambda request: self._request(request.url))
        page.on("websocket", lambda socket: self._request(socket.url))

    def _request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in LOOPBACK:
            self.foreign.append(url)

    def assert_clean(self, *, console: bool = True) -> None:
        """`console=False` leaves out console errors and failed requests, for tests that kill something."""
        assert self.page_errors == [], self.page_errors
        assert self.foreign == [], self.foreign
        if console:
            assert self.console_errors == [], self.console_errors
            assert self.failed == [], self.failed
