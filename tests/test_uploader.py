"""Messages between page and kernel, the uploader and the app around it, without a browser."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shoebox.apps.classify import PRIVACY, UNKNOWN, app, classifier_app
from shoebox.errors import ImageError
from shoebox.types import Prediction
from shoebox.widgets._messages import Desk, Reply, Request
from shoebox.widgets.uploader import CONFIDENCE, LIMITS, TEXTS, Answer, Uploader, confidence


class Counter:
    """A handler that says how often it ran."""

    def __init__(self) -> None:
        self.calls: list[Request] = []

    def __call__(self, request: Request) -> Reply:
        self.calls.append(request)
        return Reply({"n": len(self.calls)}, [b"abc"])


def ask(desk: Desk, kind: str = "count", **fields: Any) -> dict[str, Any]:
    return desk.answer({"kind": kind, "id": "1", **fields})[0]


MALFORMED = [None, 7, "count", [], {}, {"kind": "count"}, {"id": "1"}, {"kind": 1, "id": "1"},
             {"kind": "count", "id": 1}, {"kind": "count", "id": ""}, {"kind": "count", "id": "x" * 81},
             {"kind": "c" * 41, "id": "1"},
             {"kind": ["count"], "id": "1"}, {"kind": "count", "id": {"a": 1}}, {"kind": "unknown", "id": "1"},
             {"kind": "count", "id": "1", **{f"f{n}": n for n in range(40)}}]


@pytest.mark.parametrize("content", MALFORMED, ids=lambda content: repr(content)[:40])
def test_a_malformed_message_is_answered_with_a_sentence_and_never_executed(content: object) -> None:
    counter = Counter()
    fields, buffers = Desk({"count": counter}).answer(content)
    assert (fields["ok"], buffers, counter.calls) == (False, [], [])
    assert isinstance(fields["id"], str)
    assert fields["error"].endswith(".")


def test_a_request_is_answered_with_its_id_and_its_buffers() -> None:
    fields, buffers = Desk({"count": Counter()}).answer({"kind": "count", "id": "a-1"})
    assert fields == {"id": "a-1", "ok": True, "n": 1}
    assert buffers == [b"abc"]


def test_a_repeated_id_is_answered_again_and_not_executed_twice() -> None:
    counter = Counter()
    desk = Desk({"count": counter})
    assert desk.answer({"kind": "count", "id": "1"}) == desk.answer({"kind": "count", "id": "1"})
    assert len(counter.calls) == 1


def test_a_repeated_id_is_not_executed_twice_even_when_its_reply_is_forgotten() -> None:
    counter = Counter()
    desk = Desk({"count": counter})
    for number in range(200):
        desk.answer({"kind": "count", "id": str(number)})
    assert "answered before" in ask(desk, id="0")["error"]
    assert len(counter.calls) == 200


def test_large_replies_are_forgotten_first() -> None:
    desk = Desk({"large": lambda request: Reply({}, [bytes(3 * 2**20)])})
    for number in range(5):
        assert desk.answer({"kind": "large", "id": str(number)})[0]["ok"]
    assert desk.answer({"kind": "large", "id": "4"})[0]["ok"]
    assert not desk.answer({"kind": "large", "id": "1"})[0]["ok"]


def test_a_failure_is_remembered_too() -> None:
    calls = []

    def refuse(request: Request) -> Reply:
        calls.append(request)
        raise ImageError("empty", "Nothing came. Send something.")

    desk = Desk({"refuse": refuse})
    assert ask(desk, "refuse") == ask(desk, "refuse") == {"id": "1", "ok": False,
                                                          "error": "Nothing came. Send something."}
    assert len(calls) == 1


def test_an_unexpected_error_is_logged_and_told_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    def fail(request: Request) -> Reply:
        raise KeyError("/secret/path")

    with caplog.at_level(logging.ERROR, "shoebox"):
        fields = ask(Desk({"fail": fail}), "fail")
    assert fields["ok"] is False
    assert "secret" not in fields["error"]
    assert "reload the page" in fields["error"]
    assert "/secret/path" in caplog.text


def test_an_unexpected_error_reaches_the_process_s_own_stderr() -> None:
    code = ("from shoebox.widgets._messages import Desk\n"
            "import sys, io; sys.stderr = io.StringIO()\n"  # as a kernel replaces it
            "Desk({'fail': lambda request: 1 / 0}).answer({'kind': 'fail', 'id': '1'})")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ZeroDivisionError" in run.stderr


def test_too_many_bytes_are_refused_before_the_handler_runs() -> None:
    counter = Counter()
    desk = Desk({"count": counter}, max_bytes=10)
    assert desk.answer({"kind": "count", "id": "1"}, [b"12345", memoryview(b"12345")])[0]["ok"]
    assert not desk.answer({"kind": "count", "id": "2"}, [b"12345", b"123456"])[0]["ok"]
    assert len(counter.calls) == 1


def test_a_ping_is_answered_while_a_handler_is_at_work() -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(request: Request) -> Reply:
        entered.set()
        assert leave.wait(20)
        return Reply()

    desk = Desk({"slow": slow})
    worker = threading.Thread(target=ask, args=(desk, "slow"))
    worker.start()
    assert entered.wait(20)
    assert desk.answer({"kind": "ping", "id": "p"}) == ({"id": "p", "ok": True}, [])
    leave.set()
    worker.join()


def test_handlers_never_run_at_the_same_time() -> None:
    inside: list[str] = []
    together = threading.Event()

    def meet(request: Request) -> Reply:
        inside.append(request.id)
        if len(inside) > 1:
            together.set()
        together.wait(0.2)  # time enough for the other to come in, if nothing keeps it out
        inside.remove(request.id)
        return Reply()

    desk = Desk({"meet": meet})
    threads = [threading.Thread(target=ask, args=(desk, "meet"), kwargs={"id": str(n)}) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not together.is_set()


@pytest.mark.parametrize(("kind", "good", "bad"), [
    ("text", ["", "abc", "кот"], [None, 1, b"abc", ["a"], "x" * 1001]),
    ("integer", [0, 5, 10], [None, "5", 5.0, True, -1, 11, 10**30]),
    ("one_of", ["keep", "remove"], [None, "Keep", ["keep"], {"keep": 1}, ""]),
])
def test_fields_are_checked(kind: str, good: list[Any], bad: list[Any]) -> None:
    readers = {"text": lambda request: request.text("field"),
               "integer": lambda request: request.integer("field", low=0, high=10),
               "one_of": lambda request: request.one_of("field", ("keep", "remove"))}
    desk = Desk({"read": lambda request: Reply({"value": readers[kind](request)})})
    for n, value in enumerate(good):
        assert desk.answer({"kind": "read", "id": f"good-{n}", "field": value})[0] == {
            "id": f"good-{n}", "ok": True, "value": value}
    for n, value in enumerate(bad):
        fields = desk.answer({"kind": "read", "id": f"bad-{n}", "field": value})[0]
        assert not fields["ok"]
        assert "'field'" in fields["error"]


# --- the uploader -------------------------------------------------------------------------------------------------


def send(uploader: Uploader, content: Any, buffers: list[bytes] | None = None) -> tuple[dict[str, Any], list[bytes]]:
    """What the page gets back for a message that arrives over the widget's own path."""
    sent: list[tuple[dict[str, Any], list[bytes]]] = []
    uploader.send = lambda fields, replied=None: sent.append((fields, list(replied or [])))
    uploader._handle_custom_msg(content, [memoryview(buffer) for buffer in buffers or []])
    assert len(sent) == 1
    return sent[0]


def picture(**fields: Any) -> dict[str, Any]:
    return {"kind": "picture", "id": "1", "name": "a.jpg", **fields}


def test_a_picture_is_handed_over_and_its_answer_sent_back() -> None:
    got: list[tuple[bytes, str]] = []

    def look(data: bytes, name: str) -> Answer:
        got.append((data, name))
        return Answer("cat", 0.99, [("cat", 0.99), ("dog", 0.01)], b"jpeg", 3, 2, 12.5, "a note")

    fields, buffers = send(Uploader(look), picture(name="x" * 300), [b"bytes"])
    assert got == [(b"bytes", "x" * 120)]
    assert fields == {"id": "1", "ok": True, "label": "cat", "probability": 0.99,
                      "top": [["cat", 0.99], ["dog", 0.01]], "confidence": "almost_surely", "elapsed_ms": 12.5,
                      "width_px": 3, "height_px": 2, "note": "a note"}
    assert buffers == [b"jpeg"]


@pytest.mark.parametrize(("content", "buffers"), [
    (picture(), []),
    (picture(), [b""]),
    (picture(), [b"a", b"b"]),
    (picture(name=None), [b"a"]),
    (picture(name=["a"]), [b"a"]),
    (picture(), [bytes(LIMITS["max_bytes"] + 1)]),
    ({"kind": "picture"}, [b"a"]),
    ("picture", [b"a"]),
], ids=["none", "empty", "two", "no name", "a list for a name", "too large", "no id", "no object"])
def test_what_a_page_would_never_send_is_refused_with_a_sentence(content: Any, buffers: list[bytes]) -> None:
    def never(data: bytes, name: str) -> Answer:
        raise AssertionError("this must not be reached")

    fields, replied = send(Uploader(never), content, buffers)
    assert (fields["ok"], replied) == (False, [])
    assert fields["error"].endswith(".")
    assert "Something went wrong" not in fields["error"]


def test_every_key_that_the_page_asks_for_is_in_the_table_of_texts() -> None:
    asked = set(re.findall(r"\btexts\.(\w+)", str(Uploader._esm)))
    words = {key for _, key in CONFIDENCE} | {"unsure"}
    assert asked | words == set(TEXTS)


def test_texts_can_be_replaced_one_by_one() -> None:
    uploader = Uploader(lambda data, name: None, texts={"choose": "Выберите снимок"})
    assert uploader.texts == {**TEXTS, "choose": "Выберите снимок"}


def test_the_repr_is_stable() -> None:
    assert repr(Uploader(lambda data, name: None, title="Digits")) == "Uploader('Digits')"


@pytest.mark.parametrize(("probabilities", "words"), [
    ([1.0], "almost_surely"), ([0.97, 0.03], "almost_surely"), ([0.96, 0.04], "very_probably"),
    ([0.7, 0.3], "probably"), ([0.6, 0.4], "probably"), ([0.55, 0.45], "unsure"), ([0.5, 0.2], "perhaps"),
    ([0.2, 0.19], "unsure"),
])
def test_the_words_for_a_probability(probabilities: list[float], words: str) -> None:
    assert confidence([(str(n), p) for n, p in enumerate(probabilities)]) == words


# --- the app round it ---------------------------------------------------------------------------------------------


class Manifest:
    name = "digits"
    created = "2025-11-20T10:00:00+00:00"
    metrics = {"accuracy": 0.9713, "n_images": 1359}  # noqa: RUF012


class Colours:
    """Stands for a classifier: says how red, green and blue a picture is."""

    classes = ("red", "green", "blue")
    manifest = Manifest()

    def __init__(self, known: bool | None = None) -> None:
        self.known = known
        self.seen: list[Image.Image] = []

    def predict(self, image: Image.Image) -> Prediction:
        self.seen.append(image)
        mean = np.asarray(image, float).reshape(-1, 3).mean(0) + 1e-6
        shares = dict(sorted(zip(self.classes, (mean / mean.sum()).tolist(), strict=True), key=lambda item: -item[1]))
        best = next(iter(shares))
        return Prediction(best, shares[best], shares, known=self.known)


def jpeg(colour: str = "red", size: tuple[int, int] = (800, 600), **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG", **options)
    return out.getvalue()


def test_the_app_warms_the_classifier_up_and_says_what_it_is() -> None:
    colours = Colours()
    page = classifier_app(colours, title="Colours", intro="Which is it?")
    assert len(colours.seen) == 1
    assert page.problem == ""
    assert page.about == {
        "title": "Colours", "intro": "Which is it?", "classes": ["red", "green", "blue"], "classes_total": 3,
        "facts": ["Model: digits, made on 2025-11-20, right for 97.1% of 1,359 pictures it had not learned from.",
                  PRIVACY]}


def test_the_app_answers_with_the_three_best_and_a_preview_of_what_was_seen() -> None:
    colours = Colours()
    fields, (preview,) = send(classifier_app(colours), picture(), [jpeg()])
    assert fields["label"] == "red"
    assert fields["top"][0][0] == "red"
    assert len(fields["top"]) == 3
    assert fields["note"] == ""
    assert fields["elapsed_ms"] > 0
    with Image.open(io.BytesIO(preview)) as shown:
        assert (shown.format, shown.size) == ("JPEG", (512, 384))
        assert (fields["width_px"], fields["height_px"]) == shown.size
    assert colours.seen[-1].size == (800, 600)


def test_a_sideways_photo_is_seen_and_shown_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    colours = Colours()
    fields, _ = send(classifier_app(colours), picture(), [jpeg(size=(80, 60), exif=exif)])
    assert (fields["width_px"], fields["height_px"]) == colours.seen[-1].size == (60, 80)


def test_a_picture_like_none_it_knows_comes_with_a_note() -> None:
    assert send(classifier_app(Colours(known=False)), picture(), [jpeg()])[0]["note"] == UNKNOWN


@pytest.mark.parametrize("data", [b"\xff\xd8 not a jpeg", b"hello", b"<svg/>", jpeg()[:200], b"%PDF-1.7"])
def test_a_file_that_is_no_picture_gets_a_sentence_with_its_name(data: bytes) -> None:
    fields, _ = send(classifier_app(Colours()), picture(name="holiday.jpg"), [data])
    assert not fields["ok"]
    assert fields["error"].startswith("'holiday.jpg'")
    assert fields["error"].endswith(".")


def test_a_missing_bundle_is_a_sentence_on_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SHOEBOX_MODEL", raising=False)
    assert "No model was named" in app().problem
    page = app(tmp_path / "none", title="Cats")
    assert page.about["title"] == "Cats"
    assert "none" in page.problem
    assert "Traceback" not in page.problem
    assert not send(page, picture(), [jpeg()])[0]["ok"]


def test_the_environment_s_model_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHOEBOX_MODEL", str(tmp_path / "from-the-command-line"))
    assert "from-the-command-line" in app(tmp_path / "from-the-notebook").problem


def test_the_app_half_imports_neither_torch_nor_the_cleaner() -> None:
    code = ("import sys; from shoebox.apps import app, classifier_app; from shoebox.widgets import Uploader; "
            "print(*(name for name in ('torch', 'fastai', 'sklearn', 'matplotlib', 'shoebox.widgets.cleaner', "
            "'shoebox.review', 'shoebox.quality', 'voila', 'jupyter_server') if name in sys.modules))")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_the_command_to_serve_imports_no_widgets() -> None:
    code = "import sys; from shoebox.apps import serve; print('anywidget' in sys.modules, 'voila' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]
