"""What a page's start is spared: compiling its templates again, and waiting for a kernel that is there."""

from __future__ import annotations

import asyncio
import io
import traceback
from pathlib import Path
from queue import Empty
from types import SimpleNamespace
from typing import Any

import jinja2
import numpy as np
import pytest
import voila.notebook_renderer
from PIL import Image

from shoebox.apps import _visit, app
from shoebox.apps._exporter import CachedExporter, use_cached_exporter
from shoebox.apps._kernels import CappedKernelManager, PromptClient, PromptKernelManager
from shoebox.apps._opening import Opening
from shoebox.apps._serve import TEMPLATES
from shoebox.bundle import load_classifier
from shoebox.errors import BundleError
from shoebox.types import Prediction
from tests._forged_uploads import send_raw
from tests._models import tiny_bundle


def test_templates_are_compiled_for_the_first_page_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(TEMPLATES))
    compiled: list[str] = []
    compile_it = jinja2.Environment.compile

    def counted(self: Any, source: Any, name: Any = None, *more: Any, **options: Any) -> Any:
        compiled.append(name)
        return compile_it(self, source, name, *more, **options)

    monkeypatch.setattr(jinja2.Environment, "compile", counted)
    monkeypatch.setattr("shoebox.apps._exporter._COMPILED._kept", {})
    for expected in (1, 0):
        environment = CachedExporter(template_name="lab").environment
        environment.get_template("null.j2")
        assert len(compiled) == expected
        compiled.clear()


def test_voila_s_renderer_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voila.notebook_renderer, "VoilaExporter", voila.notebook_renderer.VoilaExporter)
    use_cached_exporter()
    assert voila.notebook_renderer.VoilaExporter is CachedExporter


def test_the_server_s_kernels_have_the_prompt_client() -> None:
    assert CappedKernelManager().kernel_manager_class == "shoebox.apps._kernels.PromptKernelManager"
    assert PromptKernelManager().client_factory is PromptClient


def test_it_is_ready_when_the_kernel_has_answered_and_is_heard() -> None:
    async def meet() -> tuple[str, dict[str, Any]]:
        kernels = PromptKernelManager()
        await kernels.start_kernel()
        client = kernels.client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=60)
            sent = client.execute("print(6 * 7)")
            seen: dict[str, Any] = {}
            while seen.get("msg_type") != "stream" or seen["parent_header"].get("msg_id") != sent:
                seen = await client.get_iopub_msg(timeout=60)
            return sent, seen
        finally:
            client.stop_channels()
            await kernels.shutdown_kernel(now=True)

    _, seen = asyncio.run(meet())
    assert seen["content"]["text"] == "42\n"


@pytest.mark.parametrize(("alive", "words"), [(False, "has ended before"), (True, "not answered within 0 s")])
def test_a_kernel_that_ends_or_is_silent_is_told(alive: bool, words: str) -> None:
    async def nothing(timeout: float) -> None:
        raise Empty

    async def is_alive() -> bool:
        return alive

    class Silent(PromptClient):
        shell_channel = iopub_channel = SimpleNamespace(get_msg=nothing)

        def kernel_info(self, *_: Any) -> str:
            return "asked"

    client = Silent()
    client.is_alive = is_alive
    with pytest.raises(RuntimeError, match=words):
        asyncio.run(client.wait_for_ready(timeout=0))


def test_the_page_of_a_bundle_decodes_as_the_bundle_was_trained(tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    """While the model is opened and afterwards: every other row of the picture is white, which a fraction mixes."""
    stripes = np.zeros((1000, 1000, 3), np.uint8)
    stripes[::2, ::2] = 255
    out = io.BytesIO()
    Image.fromarray(stripes).save(out, "JPEG", quality=95, subsampling=0)
    widths: list[int] = []
    decode = _visit.decode_image

    def noted(*args: Any, **options: Any) -> Any:
        decoded = decode(*args, **options)
        if options["name"] == "a.jpg":  # and not the one that the model was warmed up with
            widths.append(decoded.image.width)
        return decoded

    monkeypatch.setattr(_visit, "decode_image", noted)
    for least_px in (448, None):
        bundle = tiny_bundle(tmp_path / str(least_px), least_px=least_px)
        (reply,) = send_raw(app(bundle), {"kind": "picture", "id": "1", "name": "a.jpg"}, [out.getvalue()])
        expected = load_classifier(bundle).predict(out.getvalue())
        assert reply["ok"] and reply["probability"] == pytest.approx(expected.probability, abs=1e-6)
    assert widths == [500, 1000]


def test_what_cannot_be_opened_keeps_no_picture_that_was_asked() -> None:
    def fail() -> Any:
        raise BundleError("It was changed.")

    opening = Opening(SimpleNamespace(classes=(), preprocessing=SimpleNamespace(least_px=None)), fail)  # type: ignore
    opening.start()
    for _ in range(3):
        with pytest.raises(BundleError, match="It was changed"):
            opening.wait()
    error = opening._opened.exception()
    assert error is not None and len(traceback.extract_tb(error.__traceback__)) == 2, "only where it came from"


def test_an_answer_s_time_is_not_that_of_its_model_s_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(_visit, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    out = io.BytesIO()
    Image.new("RGB", (60, 40), "red").save(out, "PNG")
    prediction = Prediction("a", 1.0, {"a": 1.0})
    classifier = SimpleNamespace(classes=("a",), predict=lambda image: prediction,
                                 wait=lambda: clock.__setitem__(0, clock[0] + 100))
    assert _visit.Visit(classifier).look(out.getvalue(), "a.png").elapsed_ms == 0 and clock == [100]
