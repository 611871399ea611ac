"""Processes that take turns at the processors: in order, freed by any death, and never a reason to have no answer."""

from __future__ import annotations

import asyncio
import fcntl
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from shoebox import load_classifier
from shoebox.apps import _serve
from shoebox.bundle import _turns
from shoebox.bundle._turns import Turns, processors
from shoebox.data import jpeg_bytes
from tests._line import Line, fetch, talk
from tests._models import tiny_bundle
from tests._pictures import draw
from tests.browser._servers import start_voila
from tests.test_serve import write_notebook

PICTURE = jpeg_bytes(draw(0), side_px=64)
HOLD = """
import sys, time
from shoebox.bundle._turns import Turns
with Turns(sys.argv[1], 1).taken():
    print("have it", flush=True)
    time.sleep(600)
"""


@contextmanager
def other_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the one place and does not give it back."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "have it\n"
        try:
            yield process
        finally:
            process.kill()


def waiting(folder: Path, places: int = 1) -> tuple[threading.Thread, threading.Event]:
    had = threading.Event()

    def take() -> None:
        with Turns(folder, places).taken():
            had.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    return thread, had


def test_another_process_is_waited_for_and_its_death_frees_the_place(tmp_path: Path) -> None:
    with other_process(tmp_path) as process:
        thread, had = waiting(tmp_path)
        assert not had.wait(0.5)
        process.kill()  # no farewell
        assert had.wait(20)
        thread.join(20)


def test_threads_of_one_process_take_turns_too(tmp_path: Path) -> None:
    with Turns(tmp_path, 1).taken():
        thread, had = waiting(tmp_path)
        assert not had.wait(0.3)
    assert had.wait(20)
    thread.join(20)


def test_as_many_as_there_are_places_need_not_wait(tmp_path: Path) -> None:
    with Turns(tmp_path, 3).taken(), Turns(tmp_path, 3).taken():
        thread, had = waiting(tmp_path, 3)
        assert had.wait(20)
        thread.join(20)


def test_an_error_inside_gives_the_place_back(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), Turns(tmp_path, 1).taken():
        raise ValueError("inside")
    thread, had = waiting(tmp_path)
    assert had.wait(20)
    thread.join(20)


def test_where_nothing_can_be_locked_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0.turn").mkdir()
    with Turns(tmp_path, 1).taken(), Turns(tmp_path / "is not there", 1).taken():
        pass

    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    (tmp_path / "open").mkdir()
    before = psutil.Process().num_fds()
    for _ in range(20):
        with Turns(tmp_path / "open", 1).taken():
            pass
    assert psutil.Process().num_fds() <= before and list((tmp_path / "open").iterdir())


def test_whoever_is_stuck_is_waited_for_once_and_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_turns, "_PATIENCE_S", 0.3)
    turns, before = Turns(tmp_path, 1), psutil.Process().num_fds()
    with other_process(tmp_path):
        start = time.monotonic()
        with turns.taken():
            assert 0.2 < time.monotonic() - start < 20
        standing = [thread for thread in threading.enumerate() if thread.name == "shoebox-turn"]
        for _ in range(20):
            with turns.taken():
                pass
        assert [thread for thread in threading.enumerate() if thread.name == "shoebox-turn"] == standing
    for thread in standing:
        thread.join(20)
    assert psutil.Process().num_fds() <= before
    with turns.taken():  # and whoever stood in the queue keeps nothing
        thread, had = waiting(tmp_path)
        assert not had.wait(0.1)
    assert had.wait(20)
    thread.join(20)


def test_a_process_that_was_forked_inside_keeps_no_place(tmp_path: Path) -> None:
    with Turns(tmp_path, 1).taken():
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        child.start()
    try:
        thread, had = waiting(tmp_path)
        assert had.wait(20)
        thread.join(20)
    finally:
        child.kill()
        child.join()


def test_a_server_without_a_folder_for_it_serves_without_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(_serve.tempfile, "mkdtemp", refuse)
    with _serve._turns() as environment:
        assert environment == {"SHOEBOX_TURNS": ""}


def test_a_classifier_answers_when_the_other_has_ended(tmp_path: Path) -> None:
    classifier = load_classifier(tiny_bundle(tmp_path / "bundle"), threads=processors(), turns=tmp_path)
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(classifier.predict(PICTURE).label), daemon=True)
    with other_process(tmp_path):
        thread.start()
        thread.join(0.5)
        assert answers == []
    thread.join(20)
    assert len(answers) == 1


def test_visitors_of_one_server_take_turns(tmp_path: Path) -> None:
    """The kernel's own environment says where; whoever holds all places there keeps its answer waiting."""
    bundle = tiny_bundle(tmp_path / "bundle")
    with start_voila(write_notebook(tmp_path, f"import shoebox\nshoebox.app({str(bundle)!r})"), tmp_path) as server:
        page = fetch(server.url)
        family = psutil.Process(server.process.pid).children(recursive=True)
        kernel = next(process for process in family if page.kernel_id in " ".join(process.cmdline()))
        folder = Path(kernel.environ()["SHOEBOX_TURNS"])
        assert kernel.environ()["OPENBLAS_THREAD_TIMEOUT"] == "4", "nobody spins who has nothing to do"

        async def ask(line: Line, number: str) -> dict[str, object]:
            request = {"kind": "picture", "id": number, "name": "a.jpg"}
            return await line.ask_widget(page.model_ids[-1], request, buffers=(PICTURE,))

        async def both(line: Line) -> None:
            await line.greet()
            assert (await ask(line, "1"))["ok"] is True
            n_places = max(1, processors() // min(2, processors()))
            assert {file.name for file in folder.iterdir()} <= {f"{place}.turn" for place in range(n_places)}
            with ExitStack() as places:
                for _ in range(n_places):
                    places.enter_context(Turns(folder, n_places).taken())
                second = asyncio.create_task(ask(line, "2"))
                await asyncio.sleep(1)
                assert not second.done()
            assert (await second)["ok"] is True

        talk(server.url, page.kernel_id, both)
    assert not folder.exists()
