"""The one way to start Voila: its settings, its refusals, and a real server without a browser."""

from __future__ import annotations

import asyncio
import gc
import html
import json
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image
from tornado.websocket import WebSocketClosedError

from shoebox.apps import _handlers, _kernels, _voila
from shoebox.apps._serve import CSP, TEMPLATES, serve, settings
from shoebox.errors import BundleError, ServeError
from shoebox.widgets._texts import LANGUAGES, texts_of
from tests._line import in_a_thread
from tests._models import tiny_bundle
from tests.browser._servers import Server, free_port, http_status, start_voila, wait_until

SENTENCE = "a sentence from the kernel"


def write_notebook(folder: Path, source: str = f"print({SENTENCE!r})") -> Path:
    path = folder / "app.ipynb"
    cell = {"cell_type": "code", "execution_count": None, "id": "one", "metadata": {}, "outputs": [], "source": source}
    path.write_text(json.dumps({"cells": [cell], "metadata": {"title": "A title <of mine>"}, "nbformat": 4,
                                "nbformat_minor": 5}))
    return path


# --- settings -----------------------------------------------------------------------------------------------------


def test_what_keeps_visitors_out_of_the_rest_is_set() -> None:
    voila = settings()["VoilaConfiguration"]
    assert (voila["allow_template_override"], voila["allow_theme_override"]) == ("NO", "NO")
    assert (voila["show_tracebacks"], voila["strip_sources"]) == (False, True)
    assert not any(re.fullmatch(rule, name) for rule in voila["file_allowlist"] for name in ("a.png", "", "a/b.svg"))


def test_what_keeps_the_server_alive_is_set() -> None:
    chosen = settings(max_visitors=3, preheat=0)
    assert chosen["Voila"]["tornado_settings"]["websocket_max_message_size"] == 20 * 2**20
    assert chosen["Voila"]["tornado_settings"]["disable_check_xsrf"] is True
    assert chosen["Voila"]["port_retries"] == 0
    assert chosen["CappedKernelManager"]["max_visitors"] == 3
    assert chosen["MappingKernelManager"]["cull_idle_timeout"] == 900
    assert chosen["VoilaConfiguration"]["preheat_kernel"] is False


def test_settings_are_data_and_every_one_is_known_to_voila() -> None:
    from jupyter_client.restarter import KernelRestarter
    from voila.configuration import VoilaConfiguration
    from voila.execute import VoilaExecutor

    chosen = settings()
    assert json.loads(json.dumps(chosen)) == chosen
    homes = {"Voila": _voila.App, "VoilaConfiguration": VoilaConfiguration, "VoilaExecutor": VoilaExecutor,
             "KernelRestarter": KernelRestarter,
             "CappedKernelManager": _kernels.CappedKernelManager, "MappingKernelManager": _kernels.CappedKernelManager}
    for name, values in chosen.items():
        assert set(values) <= set(homes[name].class_trait_names(config=True)) | {"log_level"}, name


def test_the_policy_forbids_handlers_in_markup_and_other_hosts() -> None:
    assert "script-src-attr 'none'" in CSP
    assert "http:" not in CSP
    assert "https:" not in CSP
    assert "*" not in CSP


def test_the_page_s_own_files_name_no_other_host() -> None:
    files = [path for path in TEMPLATES.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"conf.json", "error.html", "host.js", "index.html.j2", "page.css"}
    assert not [path for path in files if re.search(r"https?://|//cdn", path.read_text("utf-8"))]


def test_an_answer_does_not_wait_for_the_acknowledgement_of_the_message_before_it(
        monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []

    async def connect(handler: object, kernel_id: str) -> None:
        done.append(kernel_id)

    monkeypatch.setattr(_handlers.Line, "set_nodelay", lambda handler, value: done.append(value))
    monkeypatch.setattr(_handlers.VoilaKernelWebsocketHandler, "open", connect)
    in_a_thread(_handlers.Line.open(object.__new__(_handlers.Line), "a-kernel"))
    assert done == [True, "a-kernel"]


def test_what_does_not_reach_a_page_that_has_gone_is_no_error_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[object] = []

    async def lost() -> None:
        raise WebSocketClosedError

    async def write() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        monkeypatch.setattr(_handlers.VoilaKernelWebsocketHandler, "write_message",
                            lambda handler, message, binary: loop.create_task(lost()) if message else None)
        line = object.__new__(_handlers.Line)
        assert line.write_message(b"") is None
        line.write_message(b"x")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()

    in_a_thread(write())
    assert complaints == []


def test_voila_s_own_handlers_are_replaced_by_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = [("/a", _handlers.VoilaKernelWebsocketHandler), ("/b", _handlers.TornadoVoilaHandler, {"x": 1}),
              ("/c", str)]
    monkeypatch.setattr(_voila.Voila, "init_handlers", lambda app: theirs)
    app = _voila.App(server_url="/below/")
    assert app.init_handlers() == [("/below/health", _handlers.Health), ("/a", _handlers.Line),
                                   ("/b", _handlers.Page, {"x": 1}), ("/c", str)]


# --- refusals -----------------------------------------------------------------------------------------------------


def test_a_missing_notebook_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match=r"no notebook .*none\.ipynb.*Give the path"):
        serve(tmp_path / "none.ipynb")


@pytest.mark.parametrize(("name", "text"), [("a.ipynb", "{"), ("a.ipynb", "[]"), ("a.ipynb", '{"cells": 1}'),
                                            ("a.ipynb", ""), ("a.txt", '{"cells": []}')])
def test_what_is_no_notebook_is_a_sentence(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ServeError, match=rf"'{name}' is not a notebook"):
        serve(tmp_path / name)


def test_a_folder_is_no_notebook(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match="no notebook"):
        serve(tmp_path)


def test_a_broken_bundle_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "manifest.json").write_text("{}")
    with pytest.raises(BundleError):
        serve(write_notebook(tmp_path), model=tmp_path / "model")


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda file: file.unlink(), r"model\.onnx is missing"),
    (lambda file: file.write_bytes(file.read_bytes() + b"x"), r"model\.onnx has .* bytes"),
    (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"x"), r"model\.onnx"),
], ids=["missing", "longer", "changed"])
def test_a_bundle_with_a_file_that_is_not_as_exported_is_refused_before_anything_starts(
        tmp_path: Path, spoil: Callable[[Path], object], words: str) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    spoil(bundle / "model.onnx")
    with pytest.raises(BundleError, match=words):
        serve(write_notebook(tmp_path), model=bundle)


def test_a_taken_port_is_a_sentence_and_no_other_port_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=rf"Port {port} on 127\.0\.0\.1 cannot be used.*choose another port"):
            serve(write_notebook(tmp_path), port=port)


def test_an_impossible_port_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match="Port 70000"):
        serve(write_notebook(tmp_path), port=70000)


@pytest.mark.parametrize("numbers", [{"max_visitors": 0}, {"preheat": -1}])
def test_impossible_numbers_are_a_sentence(tmp_path: Path, numbers: dict[str, int]) -> None:
    with pytest.raises(ServeError, match="at least 1 visitor"):
        serve(write_notebook(tmp_path), **numbers)


# --- a real server ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    for name in ("a.png", "b.jpg", "c.gif"):
        Image.new("RGB", (8, 8)).save(folder / name)
    (folder / "d.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "model.onnx").write_bytes(b"onnx")
    (folder / "voila.json").write_text(json.dumps({"VoilaConfiguration": {"file_allowlist": [".*"]}}))
    with start_voila(write_notebook(folder), folder, max_visitors=100) as running:
        yield running


def read(url: str) -> tuple[int, str, dict[str, str]]:
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            return response.status, response.read().decode(), dict(response.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), dict(error.headers)


def test_the_page_is_the_notebook_with_its_title_and_without_its_source(server: Server) -> None:
    status, text, headers = read(server.url)
    assert status == 200
    assert "<title>A title &lt;of mine&gt;</title>" in text
    assert SENTENCE in text
    assert "print(" not in text
    assert headers["Content-Security-Policy"] == CSP
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_what_the_page_says_before_its_card_is_there_it_says_in_every_language(server: Server) -> None:
    text = read(server.url)[1]
    told = re.search(r"<noscript>(.*?)</noscript>", text, re.DOTALL)
    failed = re.search(r"data-failed='([^']*)'", text)
    assert told and failed
    words = json.loads(html.unescape(failed[1]))
    assert list(words) == list(LANGUAGES)
    for language in LANGUAGES:
        texts = texts_of(language)
        assert f'lang="{language}">{html.escape(texts["page_script"])}</p>' in told[1]
        assert words[language] == texts["page_failed"]


PROBES = ["a.png", "b.jpg", "c.gif", "d.svg", "A.PNG", "app.ipynb", "model.onnx", "voila.json", "jupyter/", "",
          "../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", ".hidden"]


@pytest.mark.parametrize("probe", PROBES)
def test_no_file_is_served(server: Server, probe: str) -> None:
    for prefix in ("voila/files/", "files/", ""):
        if prefix + probe:
            assert http_status(server.url + prefix + probe) >= 400, prefix + probe


@pytest.mark.parametrize("probe", ["voila/tree", "voila/render/app.ipynb", "voila/api/contents", "api/contents",
                                   "api/kernels", "api/terminals", "lab", "tree", "favicon.ico"])
def test_nothing_but_the_page_is_there(server: Server, probe: str) -> None:
    assert http_status(server.url + probe) >= 400


@pytest.mark.parametrize("query", ["theme=dark", "theme=%22%3E%3Cb%20id=probe%3E", "template=lab", "template=none-such",
                                   "template=..%2F..%2Fetc"])
def test_theme_and_template_cannot_be_chosen_from_outside(server: Server, query: str) -> None:
    status, text, _ = read(f"{server.url}?{query}")
    assert status == 200
    assert SENTENCE in text
    assert "id=probe" not in text
    assert 'data-jp-theme-name="JupyterLab Light"' in text
    assert "cdn" not in text


def test_the_health_address_starts_no_kernel(server: Server) -> None:
    before = kernels_of(server)
    assert server.status("health") == 200
    assert kernels_of(server) == before


def kernels_of(server: Server) -> set[int]:
    family = psutil.Process(server.process.pid).children(recursive=True)
    return {process.pid for process in family if "ipykernel_launcher" in " ".join(process.cmdline())}


@pytest.mark.parametrize("preheat", [0, 1])
def test_visitors_beyond_the_limit_get_a_friendly_503(tmp_path: Path, preheat: int) -> None:
    with start_voila(write_notebook(tmp_path), tmp_path, max_visitors=2, preheat=preheat) as server:
        assert [read(server.url)[0] for _ in range(2)] == [200, 200]
        status, text, _ = read(server.url)
        assert status == 503
        assert "Too many visitors just now. Please try again in a minute." in text
        assert "cdn" not in text
        assert server.status("voila/static/voila.js") == 200
        assert len(kernels_of(server)) <= 2 + preheat


def test_the_app_lies_below_its_base_url(tmp_path: Path) -> None:
    with start_voila(write_notebook(tmp_path), tmp_path, base_url="/digits/") as server:
        status, text, _ = read(server.url)
        assert status == 200
        assert SENTENCE in text
        assert '"/digits/voila/' in text
        assert http_status(server.url.removesuffix("digits/")) == 404


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_and_its_kernels_and_returns_0(tmp_path: Path, number: signal.Signals) -> None:
    with start_voila(write_notebook(tmp_path), tmp_path) as server:
        assert read(server.url)[0] == 200
        family = psutil.Process(server.process.pid).children(recursive=True)
        assert len(family) >= 2
        start = time.monotonic()
        server.process.send_signal(number)
        assert server.process.wait(30) == 0
        assert not psutil.wait_procs(family, timeout=30)[1]
        print(f"ended in {time.monotonic() - start:.1f} s")
    assert "Traceback" not in server.log


def test_stopped_while_a_spare_kernel_is_starting_it_writes_no_traceback(tmp_path: Path) -> None:
    """Shipped bug: Ctrl-C right after the start ended in "Kernel does not exist"."""
    for _ in range(3):
        with start_voila(write_notebook(tmp_path), tmp_path, preheat=1) as server:
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(30) == 0
        assert "Traceback" not in server.log and "without encryption" not in server.log


def test_voila_does_not_outlive_the_one_who_started_it(tmp_path: Path) -> None:
    with start_voila(write_notebook(tmp_path), tmp_path) as server:
        assert read(server.url)[0] == 200
        family = psutil.Process(server.process.pid).children(recursive=True)
        server.process.kill()
        wait_until(lambda: not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE
                                   for process in family), "Voila and its kernels are gone")


def test_a_notebook_that_fails_says_so_without_its_traceback(tmp_path: Path) -> None:
    with start_voila(write_notebook(tmp_path, "raise ValueError('secret words')"), tmp_path) as server:
        status, text, _ = read(server.url)
        assert status == 200
        assert "Sorry, the app could not start" in text
        assert "приложение не запустилось" in text and "应用未能启动" in text
        assert "secret words" not in text
        assert "secret words" in server.log


def test_a_voila_py_that_lies_about_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "voila.py").write_text("raise SystemExit(3)")
    with start_voila(write_notebook(tmp_path), tmp_path) as server:  # started in that folder
        assert server.status("voila/static/voila.js") == 200


def test_a_server_that_cannot_start_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "voila.py").write_text("raise SystemExit(3)")  # shadows the package, as a voila.py can
    with pytest.raises(ServeError, match="ended with status 3 before the page was ready"):
        serve(write_notebook(tmp_path), port=free_port())
