"""The one way to start Voila: for the command line, the Makefile, the README and the tests.

Why each setting is there is written beside it; the measurements behind them are in the project's design notes.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shoebox.apps._places import Places, plan_places
from shoebox.bundle._turns import BLAS_ASLEEP
from shoebox.errors import BundleError, ServeError
from shoebox.widgets._log import LOG_VARIABLE
from shoebox.widgets._texts import LANGUAGES, texts_of

__all__ = ["CSP", "MODEL_VARIABLE", "SHA256_VARIABLE", "TEMPLATES", "TURNS_VARIABLE", "checked_notebook", "serve",
           "settings"]

MODEL_VARIABLE, SHA256_VARIABLE = "SHOEBOX_MODEL", "SHOEBOX_SHA256"
TEMPLATES = Path(__file__).parent / "jupyter"  # a folder as JUPYTER_PATH wants it
HEALTH = "health"  # starts no kernel, as every GET of the page would
IDLE_VARIABLE = "SHOEBOX_IDLE_S"  # how the page's kernel knows when it will be put to sleep
TURNS_VARIABLE = "SHOEBOX_TURNS"  # a folder through which the kernels take turns at the processors

_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 10
_POLL_S = 0.1

CSP = "; ".join((
    "default-src 'self'",
    "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "script-src-attr 'none'",  # no handler in markup ever runs
    "object-src 'none'",
    "base-uri 'none'",
    "img-src 'self' data: blob:",
    "connect-src 'self' ws: wss:",
    "style-src 'self' 'unsafe-inline'",
    "font-src 'self' data:",
    "form-action 'none'",
    "frame-ancestors 'self'",  # last: `settings` adds hosts to it
))
_HOST = re.compile(r"https?://(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?", re.IGNORECASE)
_LOG = logging.getLogger("shoebox")


def settings(*, port: int = 8866, ip: str = "127.0.0.1", max_visitors: int = 8, preheat: int = 1,
             base_url: str = "/", embed_in: Sequence[str] = (), idle_s: int = 900) -> dict[str, dict[str, Any]]:
    """Voila's settings as traitlets reads them: class name, then name and value.

    Parameters
    ----------
    port, ip : int, str
        Where to listen. A taken port is an error, never another port.
    max_visitors : int
        Kernels for visitors at the same time; the next one gets status 503 and a sentence.
    preheat : int
        Kernels kept ready for the next visitors, beyond `max_visitors`. Each costs its memory all the time.
    base_url : str
        Path below which the app lies, with a slash at both ends.
    embed_in : sequence of str
        Hosts whose pages may show the app in a frame, such as "https://huggingface.co"; no others may.
    idle_s : int
        After so many seconds without a picture a visitor's kernel is ended, and the page says so.
    """
    return {
        "Voila": {
            "ip": ip, "port": port, "port_retries": 0, "base_url": base_url, "open_browser": False,
            "log_level": 30,
            "config_file_paths": [],  # a voila.json that lies about must not open what is closed here
            "tornado_settings": {
                "websocket_max_message_size": 20 * 2**20,  # beyond it a message is lost without a word
                # The page's farewell carries no token, and without it no kernel would ever end. What this opens
                # needs the kernel's unguessable id and acts on that kernel only.
                "disable_check_xsrf": True,
                "headers": {"Content-Security-Policy": " ".join([CSP, *embed_in]), "X-Content-Type-Options": "nosniff",
                            "Referrer-Policy": "no-referrer"},
            },
        },
        "VoilaConfiguration": {
            "template": "shoebox",
            "allow_template_override": "NO", "allow_theme_override": "NO",  # else ?theme= runs scripts
            "file_allowlist": [r"(?!)"],  # matches nothing
            "show_tracebacks": False, "strip_sources": True,
            "multi_kernel_manager_class": "shoebox.apps._kernels.CappedKernelManager",
            "extension_allowlist": ["anywidget", "@jupyter-widgets/jupyterlab-manager",
                                    "@voila-dashboards/widgets-manager8"],
            "preheat_kernel": preheat > 0, "default_pool_size": preheat,
        },
        "VoilaExecutor": {"timeout": 60, "startup_timeout": 60, "cell_error_instruction": " ".join(
            texts_of(language)["page_start"] for language in LANGUAGES)},  # nobody knows yet who reads it
        "CappedKernelManager": {"max_visitors": max_visitors},
        "KernelRestarter": {"restart_limit": 0},  # an empty kernel would know nothing of the widgets on the page
        # Connected or not: a forgotten tab would hold its memory for ever. The page says so.
        "MappingKernelManager": {"cull_idle_timeout": idle_s, "cull_interval": max(1, min(30, idle_s // 4)),
                                 "cull_connected": True,
                                 "transport_encryption": "auto"},  # between server and kernel, where it can be had
    }


def serve(notebook: str | os.PathLike[str], *, model: str | os.PathLike[str] | None = None, sha256: str | None = None,
          port: int = 8866, ip: str = "127.0.0.1", max_visitors: int | None = None, preheat: int | None = None,
          base_url: str = "/", embed_in: Sequence[str] = (), idle_s: int = 900,
          on_ready: Callable[[str], None] | None = None) -> int:
    """Serve one notebook with Voila until Ctrl-C or SIGTERM.

    Parameters
    ----------
    notebook : path
        The app's notebook. Nothing else of its folder is served.
    model : path or address, optional
        Folder of the bundle, or address of a packed one; wins over the one that the notebook names. An address, also
        one in the environment variable SHOEBOX_MODEL, is fetched before anything starts: see `shoebox.fetch`.
    sha256 : str, optional
        Of the zip at that address; SHOEBOX_SHA256 goes with SHOEBOX_MODEL.
    port, ip, base_url, embed_in, idle_s
        As in `settings`.
    max_visitors, preheat : int, optional
        As in `settings`; without them as many as this machine's free memory holds, at most 8 and 2.
    on_ready : callable, optional
        Called once with the address when the page can be opened.

    Returns
    -------
    int
        0 when it was asked to end, else Voila's exit status.

    Raises
    ------
    ServeError
        The notebook is missing, the port is taken, a host to embed in is none, or Voila does not start.
    BundleError
        The bundle is incomplete, changed or of another protocol, or cannot be had from its address.
    """
    notebook = checked_notebook(notebook)
    _check_numbers(max_visitors, preheat, idle_s)
    model = _at_hand(model, sha256)
    environment = {**_environment(model), IDLE_VARIABLE: str(idle_s)}
    base_url = f"/{base_url.strip('/')}/".replace("//", "/")
    hosts = _checked_hosts(embed_in)
    _check_port(ip, port)
    places = _places(model, max_visitors, preheat)
    chosen = settings(port=port, ip=ip, max_visitors=places.max_visitors, preheat=places.preheat, base_url=base_url,
                      embed_in=hosts, idle_s=idle_s)
    # -P: a voila.py in the current folder must not take the package's place.
    command = [sys.executable, "-P", "-m", "shoebox.apps._voila", str(notebook), json.dumps(chosen)]
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(ip, ip)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}{base_url}"
    # A session of its own: Ctrl-C reaches only this process, which then ends Voila and its kernels in order.
    with (_turns() as turns, subprocess.Popen(command, env={**environment, **turns}, start_new_session=True) as voila,
          _stopping(voila) as stopped):
        _wait_until_ready(voila, url, stopped)
        if on_ready is not None and not stopped.is_set():
            on_ready(url)
        status = voila.wait()
    return 0 if stopped.is_set() else status


@contextmanager
def _turns() -> Iterator[dict[str, str]]:
    """The folder through which kernels take turns, as their environment wants it; empty where none can be had."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="shoebox-turns-", ignore_cleanup_errors=True)
    except OSError:
        yield {TURNS_VARIABLE: ""}
        return
    with folder as path:
        yield {TURNS_VARIABLE: path}


def checked_notebook(notebook: str | os.PathLike[str]) -> Path:
    """Its absolute path; `ServeError` when it is no notebook that can be read."""
    path = Path(notebook).resolve()
    if not path.is_file():
        raise ServeError(f"There is no notebook {str(notebook)!r}. Give the path of the app's notebook, "
                         "for example notebooks/app.ipynb.")
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ServeError(f"{path.name!r} is not a notebook that can be read ({type(error).__name__}). "
                         "Give the path of an .ipynb file.") from None
    if path.suffix != ".ipynb" or not isinstance(cells, list):
        raise ServeError(f"{path.name!r} is not a notebook. Give the path of an .ipynb file.")
    return path


def _check_numbers(max_visitors: int | None, preheat: int | None, idle_s: int) -> None:
    if (max_visitors is not None and max_visitors < 1) or (preheat is not None and preheat < 0) or idle_s < 1:
        raise ServeError(f"max_visitors is {max_visitors}, preheat is {preheat} and idle_s is {idle_s}; at least 1 "
                         "visitor, at least 0 preheated kernels and at least 1 second were expected. Give other "
                         "numbers.")


def _checked_hosts(hosts: Sequence[str]) -> list[str]:
    wrong = [host for host in hosts if not _HOST.fullmatch(host)]
    if wrong:
        raise ServeError(f"{', '.join(map(repr, wrong))} cannot be embedded in: a scheme and a host were expected, "
                         "such as https://huggingface.co. Give them like that, one by one.")
    return list(hosts)


def _places(model: str | os.PathLike[str] | None, max_visitors: int | None, preheat: int | None) -> Places:
    size_bytes = (Path(model) / "model.onnx").stat().st_size if model is not None else None
    places = plan_places(size_bytes, max_visitors=max_visitors, preheat=preheat)
    if places.warning:
        _LOG.warning("%s", places.warning)
    return places


def _at_hand(model: str | os.PathLike[str] | None, sha256: str | None) -> str | os.PathLike[str] | None:
    """The folder of the bundle; one that is far is fetched now and once, not when a visitor waits for it."""
    from shoebox.bundle._load import located

    if model is not None:
        return located(model, sha256)
    if sha256 is not None:
        raise BundleError("A sha256 came without the address of a bundle. Give both, as --model and --sha256.")
    named, digest = os.environ.get(MODEL_VARIABLE, ""), os.environ.get(SHA256_VARIABLE)
    return located(named, digest) if named and (digest or "://" in named) else None


def _environment(model: str | os.PathLike[str] | None) -> dict[str, str]:
    search = os.pathsep.join(filter(None, [str(TEMPLATES), os.environ.get("JUPYTER_PATH", "")]))
    environment = {**BLAS_ASLEEP, **os.environ, "JUPYTER_PATH": search, LOG_VARIABLE: "json"}
    if model is not None:
        from shoebox.bundle._load import check_files  # only here: a notebook that brings its own model needs no bundle

        check_files(model)
        environment[MODEL_VARIABLE] = str(Path(model).resolve())
        environment.pop(SHA256_VARIABLE, None)  # a folder has none
    return environment


def _check_port(ip: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if os.name == "posix":  # as tornado does; elsewhere the option means something else
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((ip, port))
    except (OSError, OverflowError) as error:
        raise ServeError(f"Port {port} on {ip} cannot be used ({error}). Another program may be listening there: "
                         "end it, or choose another port.") from None


@contextmanager
def _stopping(voila: subprocess.Popen[bytes]) -> Iterator[threading.Event]:
    """While inside, SIGINT and SIGTERM end Voila; on the way out it is ended in any case."""
    stopped = threading.Event()

    def stop(number: int, frame: object) -> None:
        stopped.set()
        voila.terminate()

    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM) if in_main_thread}
    try:
        yield stopped
    finally:
        _end(voila)
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(voila: subprocess.Popen[bytes]) -> None:
    if voila.poll() is None:
        voila.terminate()
    try:
        voila.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        voila.kill()  # its kernels notice that their parent is gone, and end


def _wait_until_ready(voila: subprocess.Popen[bytes], url: str, stopped: threading.Event) -> None:
    end = time.monotonic() + _START_TIMEOUT_S
    while not stopped.is_set():
        if voila.poll() is not None:
            raise ServeError(f"Voila ended with status {voila.returncode} before the page was ready. "
                             "What it wrote above says why.")
        if _answers(url + HEALTH):
            return
        if time.monotonic() > end:
            raise ServeError(f"Voila did not answer at {url} within {_START_TIMEOUT_S} s. Try again; if it "
                             "stays so, run with fewer preheated kernels.")
        stopped.wait(_POLL_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
