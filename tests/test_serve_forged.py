"""What a stranger sends by hand to a served app: traits, wishes and messages that no page would send."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.websocket import WebSocketClosedError

from shoebox.apps import Inbox, watch
from tests._colours import jpeg
from tests._line import Line, Served, fetch, talk
from tests.browser._servers import Server, clean_env, free_port, start_voila, wait_until
from tests.browser._stages import write_stage
from tests.test_uploader import FORGED, NONSENSE

SHOEBOX = str(Path(sys.executable).with_name("shoebox"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forged")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    notebook = write_stage(folder, "title='Bears', stage='supervised', watch='../watch', feedback='../inbox'")
    with start_voila(notebook, folder, max_visitors=100) as running:
        yield running


@pytest.fixture
def page(server: Server) -> Served:
    return fetch(server.url)


async def custom(line: Line) -> dict[str, Any]:
    """The next reply of a widget."""
    while True:
        kind, content = await line.read()
        if kind == "comm_msg" and content["data"].get("method") == "custom":
            return dict(content["data"]["content"])


async def state_of(line: Line, model_id: str) -> dict[str, Any]:
    await line.send("comm_msg", {"comm_id": model_id, "data": {"method": "request_state"}})
    while True:
        kind, content = await line.read()
        if kind == "comm_msg" and content["comm_id"] == model_id and content["data"].get("method") == "update":
            return dict(content["data"]["state"])


@pytest.mark.parametrize("newer", [True, False], ids=["protocol v1", "protocol legacy"])
def test_traits_that_are_set_by_hand_change_nothing(server: Server, page: Served, newer: bool) -> None:
    async def attack(line: Line) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
        await line.greet()
        (uploader,) = page.model_ids
        before, replies = await state_of(line, uploader), []
        for data in NONSENSE:
            await line.send("comm_msg", {"comm_id": uploader, "data": data})
            replies.append(await custom(line))
        return before, replies, await state_of(line, uploader)

    before, replies, after = talk(server.url, page.kernel_id, attack, newer=newer)
    assert [reply["ok"] for reply in replies] == [False] * 20
    assert all(reply["error"].endswith(".") for reply in replies)
    assert before == after and before["about"]["title"] == "Bears"


def test_nor_does_the_layout_of_the_card(server: Server, page: Served) -> None:
    async def attack(line: Line) -> tuple[dict[str, Any], dict[str, Any]]:
        await line.greet()
        layout = (await state_of(line, page.model_ids[0]))["layout"].removeprefix("IPY_MODEL_")
        before = await state_of(line, layout)
        for state in ({"width": "1px", "display": "none"}, {"_view_name": "x"}, None, 7):
            await line.send("comm_msg", {"comm_id": layout, "data": {"method": "update", "state": state}})
        return before, await state_of(line, layout)

    before, after = talk(server.url, page.kernel_id, attack)
    assert before == after and after["width"] is None


def test_forged_wishes_are_refused_and_leave_nothing(server: Server, page: Served, folder: Path) -> None:
    async def attack(line: Line) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        await line.greet()
        (uploader,) = page.model_ids
        refused = [await line.ask_widget(uploader, {**wish, "id": f"wish-{n}"}) for n, wish in enumerate(FORGED)]
        answer = await line.ask_widget(uploader, {"kind": "picture", "id": "p", "name": "a.jpg"}, buffers=(jpeg(),))
        for n, wish in enumerate(({"label": 3}, {"number": 2}, {"label": 10_000})):
            said = {"kind": "verdict", "id": f"v-{n}", "number": 1, "says": "label", "label": 0, "keep": True, **wish}
            refused.append(await line.ask_widget(uploader, said))
        refused.append(await line.ask_widget(uploader, {"kind": "forget", "id": "f", "receipt": "../inbox.sqlite"}))
        return refused, answer

    refused, answer = talk(server.url, page.kernel_id, attack)
    assert len(refused) == 24 and not any(reply["ok"] for reply in refused)
    assert all(reply["error"].endswith(".") and "Something went wrong" not in reply["error"] for reply in refused)
    assert answer["ok"] and answer["label"] == "red", "and an honest picture is answered"
    assert list(Inbox(folder / "inbox").entries()) == []
    assert {event["kind"] for event in watch(folder / "watch").events} == {"answer"}
    assert "Traceback" not in server.log


def test_a_message_over_the_limit_ends_its_line_and_not_the_kernel(server: Server, page: Served) -> None:
    async def flood(line: Line) -> object:
        await line.greet()
        (uploader,) = page.model_ids
        wish = {"kind": "picture", "id": "1", "name": "a.jpg"}
        large = await line.ask_widget(uploader, wish, buffers=(bytes(9 << 20),))
        assert not large["ok"] and "the limit is 8.0 MB" in large["error"]
        with contextlib.suppress(WebSocketClosedError):  # it hangs up while we are still talking, or afterwards
            await line.send("comm_msg", {"comm_id": uploader, "data": {}}, buffers=(bytes(21 << 20),))
            while True:
                await line.send("kernel_info_request", {})
                await asyncio.sleep(0.1)
        return "closed"

    async def ask(line: Line) -> dict[str, Any]:
        await line.greet()
        return await line.ask_widget(page.model_ids[0], {"kind": "picture", "id": "2", "name": "a.jpg"},
                                     buffers=(jpeg("green"),))

    assert talk(server.url, page.kernel_id, flood) == "closed"
    assert talk(server.url, page.kernel_id, ask)["label"] == "green"


def test_the_options_of_the_command_reach_the_server(tmp_path: Path) -> None:
    notebook, port = write_stage(tmp_path, ""), free_port()
    command = [SHOEBOX, "serve", str(notebook), "--port", str(port), "--ip", "127.0.0.1",
               "--base-url", "apps/bears", "--max-visitors", "1", "--preheat", "0", "--idle-minutes", "7",
               "--embed-in", "https://huggingface.co"]
    with (tmp_path / "log").open("wb") as log:
        serving = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=clean_env(tmp_path, None))
    url = f"http://127.0.0.1:{port}/apps/bears/"
    try:
        wait_until(lambda: f"The app is at {url}" in (tmp_path / "log").read_text(), "it serves", timeout_s=90)
        page = fetch(url)

        async def limits(line: Line) -> dict[str, Any]:
            await line.greet()
            return dict((await state_of(line, page.model_ids[0]))["limits"])

        assert talk(url, page.kernel_id, limits)["idle_s"] == 7 * 60
        with urllib.request.urlopen(url + "health", timeout=10) as health:
            assert json.loads(health.read()) == {"status": "full", "visitors": 1, "max_visitors": 1, "spare": 0}
        with pytest.raises(urllib.error.HTTPError) as full:
            urllib.request.urlopen(url, timeout=10)
        with full.value as refused:
            assert refused.code == 503
            assert refused.headers["Content-Security-Policy"].endswith("frame-ancestors 'self' https://huggingface.co")
    finally:
        serving.terminate()
        assert serving.wait(60) == 0
