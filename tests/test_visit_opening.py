"""How the app comes up: a bundle that is opened behind the page, one that cannot be used, and what is imported."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import shoebox.bundle
from shoebox.apps import app, classifier_app, watch
from tests._colours import Colours, Manifest, jpeg
from tests._models import tiny_bundle
from tests.test_uploader import picture, send


def test_a_missing_bundle_is_a_sentence_on_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SHOEBOX_MODEL", raising=False)
    assert "No model was named" in app().problem
    page = app(tmp_path / "none", title="Cats")
    assert page.about == {"title": "Cats", "intro": ""}
    assert "none" in page.problem
    assert "Traceback" not in page.problem
    assert not send(page, picture(), [jpeg()])[0]["ok"]


def test_the_page_is_there_before_its_model_and_the_first_answer_waits(monkeypatch: pytest.MonkeyPatch,
                                                                       tmp_path: Path) -> None:
    monkeypatch.delenv("SHOEBOX_MODEL", raising=False)
    folder = tiny_bundle(tmp_path / "tiny")
    may_open, load, asked = threading.Event(), shoebox.bundle.load_classifier, threading.Event()

    def slowly(*args: Any, **options: Any) -> Any:
        assert may_open.wait(60)
        return load(*args, **options)

    monkeypatch.setattr("shoebox.bundle.load_classifier", slowly)
    page = app(folder)
    assert page.problem == "" and page.about["model"]["name"] == "Tiny"
    assert send(page, {"kind": "hello", "id": "h"})[0]["ok"]
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: (asked.set(), send(page, picture(), [jpeg()]))[1])
        assert asked.wait(60) and not answer.done()
        may_open.set()
        assert answer.result(60)[0]["ok"]


def test_a_file_that_was_changed_is_told_on_the_page_and_never_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                                     ) -> None:
    monkeypatch.delenv("SHOEBOX_MODEL", raising=False)
    folder = tiny_bundle(tmp_path / "tiny")
    model = bytearray((folder / "model.onnx").read_bytes())
    model[-1] ^= 1
    (folder / "model.onnx").write_bytes(model)
    page = app(folder)
    fields, _ = send(page, picture(), [jpeg()])  # waits until it is known
    assert not fields["ok"] and "not the file that was exported" in fields["error"]
    assert page.problem == fields["error"]


@pytest.mark.parametrize("fault", ["exchanged", "unforeseen"])
def test_whatever_goes_wrong_behind_the_page_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str,
                                                           caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("SHOEBOX_MODEL", raising=False)
    folder, other = tiny_bundle(tmp_path / "tiny"), tiny_bundle(tmp_path / "other", temperature=2.0)
    load = shoebox.bundle.load_classifier

    def open_another(*args: Any, **options: Any) -> Any:
        if fault == "unforeseen":
            raise RuntimeError("secret path /srv/models")
        return load(other)

    monkeypatch.setattr("shoebox.bundle.load_classifier", open_another)
    page = app(folder)
    fields, _ = send(page, picture(), [jpeg()])
    assert not fields["ok"] and page.problem == fields["error"]
    assert ("was exchanged" if fault == "exchanged" else "Tell the owner") in page.problem
    assert "secret" not in page.problem
    assert ("secret" in caplog.text) == (fault == "unforeseen")


def test_the_environment_s_model_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHOEBOX_MODEL", str(tmp_path / "from-the-command-line"))
    assert "from-the-command-line" in app(tmp_path / "from-the-notebook").problem


def test_a_bundle_s_card_is_read_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOEBOX_MODEL", raising=False)
    folder = tiny_bundle(tmp_path / "tiny", extra={"MODEL_CARD.md": b"# Tiny\n\nfor \\<b\\>cats\\</b\\> and a\\_b\n"})
    page = app(folder)
    assert page.problem == ""
    assert page.about["card"] == "# Tiny\n\nfor <b>cats</b> and a\\_b\n".replace("\\_", "\\_")


def test_the_app_half_imports_neither_torch_nor_the_cleaner() -> None:
    code = ("import sys; from shoebox.apps import app, classifier_app; from shoebox.widgets import Uploader; "
            "print(*(name for name in ('torch', 'fastai', 'sklearn', 'matplotlib', 'shoebox.widgets.cleaner', "
            "'shoebox.review', 'shoebox.quality', 'voila', 'jupyter_server') if name in sys.modules))")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_a_first_photo_waits_for_no_import(tmp_path: Path) -> None:
    """Opening the model goes all the way that a photo goes: it took the first one 14 ms longer."""
    folder = tiny_bundle(tmp_path / "tiny")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg())
    code = ("import sys; from shoebox.apps import app; page = app(sys.argv[1]); "
            "assert page.problem == ''; page._on_picture.__self__._wait_for_the_model(); before = set(sys.modules); "
            "page._on_picture(open(sys.argv[2], 'rb').read(), 'photo.jpg'); print(*set(sys.modules) - before)")
    run = subprocess.run([sys.executable, "-c", code, folder, photo], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_the_command_to_serve_imports_no_widgets() -> None:
    code = "import sys; from shoebox.apps import serve; print('anywidget' in sys.modules, 'voila' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]


def test_what_is_kept_names_the_file_that_answered(tmp_path: Path) -> None:
    """A bundle may have a model of 8 bits too; which of them was wrong matters."""
    small = Colours()
    small.precision = "int8"
    small.manifest = Manifest()
    small.manifest.files = {"model.onnx": SimpleNamespace(sha256="0" * 64),
                            "model.int8.onnx": SimpleNamespace(sha256="8" * 64)}
    page = classifier_app(small, watch=tmp_path / "watch")
    assert send(page, picture(), [jpeg()])[0]["ok"]
    assert watch(tmp_path / "watch").events[0]["model"] == "8" * 12
