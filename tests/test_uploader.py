"""Messages between page and kernel, the uploader and the app around it, without a browser."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import Any

import pytest

from shoebox.errors import ImageError
from shoebox.widgets._messages import Desk, Reply, Request
from shoebox.widgets.uploader import LIMITS, Answer, Heat, Uploader, Verdict, confidence


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
                                                          "error": "Nothing came. Send something.",
                                                          "code": "image_empty"}
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
        return Answer("cat", 0.99, [("cat", 0.99), ("dog", 0.01)], lambda: b"jpeg", 3, 2, 12.5, True, 0.25, ("cat",),
                      Heat(b"123456", 3, 2), 7)

    fields, buffers = send(Uploader(look), picture(name="x" * 300), [b"bytes"])
    assert got == [(b"bytes", "x" * 120)]
    assert fields == {"id": "1", "ok": True, "label": "cat", "probability": 0.99,
                      "top": [["cat", 0.99], ["dog", 0.01]], "confidence": "almost_surely", "elapsed_ms": 12.5,
                      "none": False, "width_px": 3, "height_px": 2, "known": True, "p_value": 0.25,
                      "label_set": ["cat"], "heat": [3, 2], "number": 7, "hidden": False}
    assert buffers == [b"jpeg", b"123456"]


def test_of_a_hidden_answer_nothing_leaves_the_kernel() -> None:
    def look(data: bytes, name: str) -> Answer:
        return Answer("cat", 0.99, [("cat", 0.99)], lambda: b"jpeg", 3, 2, 12.5, True, 0.25, ("cat",),
                      Heat(b"1", 1, 1), 7, hidden=True)

    fields, buffers = send(Uploader(look), picture(), [b"bytes"])
    assert fields == {"id": "1", "ok": True, "width_px": 3, "height_px": 2, "number": 7, "hidden": True}
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


def never(data: bytes, name: str) -> Answer:
    raise AssertionError("this must not be reached")


def said(**fields: Any) -> dict[str, Any]:
    return {"kind": "verdict", "id": "1", "number": 3, "says": "label", "label": 2, "keep": True, **fields}


def test_what_a_person_says_is_handed_over_and_the_number_sent_back() -> None:
    heard: list[Verdict] = []
    uploader = Uploader(never, on_verdict=lambda verdict: heard.append(verdict) or "abc", on_forget=lambda _: None)
    assert send(uploader, said())[0] == {"id": "1", "ok": True, "receipt": "abc"}
    assert send(uploader, said(id="2", says="none", label="<b>", keep=False))[0]["ok"]
    assert heard == [Verdict(3, "label", 2, True), Verdict(3, "none", None, False)]
    assert send(uploader, {"kind": "forget", "id": "3", "receipt": "abc"})[0]["ok"]


FORGED = [said(says="all"), said(says=None), said(says=["label"]), said(label=-1), said(label="2"), said(label=True),
          said(label=1.5), said(label=None), said(label=10**9), said(keep="yes"), said(keep=None), said(keep=1),
          said(number=-1), said(number="3"), said(number=None), {"kind": "verdict", "id": "1"},
          {"kind": "forget", "id": "1"}, {"kind": "forget", "id": "1", "receipt": 7},
          {"kind": "forget", "id": "1", "receipt": "x" * 41}, {"kind": "execute", "id": "1", "code": "1"}]


@pytest.mark.parametrize("content", FORGED, ids=range(len(FORGED)))
def test_twenty_forged_wishes_are_refused_with_a_sentence(content: dict[str, Any]) -> None:
    def never_heard(wish: object) -> str:
        raise AssertionError("this must not be reached")

    fields, _ = send(Uploader(never, on_verdict=never_heard, on_forget=never_heard), content)
    assert len(FORGED) == 20
    assert not fields["ok"] and fields["error"].endswith(".") and "Something went wrong" not in fields["error"]


def test_without_anybody_to_hear_it_a_verdict_is_not_known() -> None:
    assert "is not known here" in send(Uploader(never), said())[0]["error"]


NONSENSE = [{"method": "update", "state": {"problem": "<b>mine</b>"}}, {"method": "update", "state": {"texts": {}}},
            {"method": "update", "state": {"limits": {"max_bytes": 10**12}}},
            {"method": "update", "state": {"about": 7}},
            {"method": "update", "state": {"_esm": "alert(1)"}}, {"method": "update", "state": {"layout": None}},
            {"method": "update", "state": {"_model_name": "x"}}, {"method": "update", "state": None},
            {"method": "update", "state": {}, "buffer_paths": [["texts", "a"]]}, {"method": "update"},
            {"method": "backbone", "sync_data": {"problem": "x"}}, {"method": None}, {"method": ["custom"]}, {}, None,
            [], "update", 7, {"method": "custom"}, {"method": "request_states"}]


@pytest.mark.parametrize("data", NONSENSE, ids=range(len(NONSENSE)))
def test_a_visitor_who_sets_traits_to_nonsense_gets_nothing_but_a_sentence(data: Any) -> None:
    uploader = Uploader(never, about={"title": "Bears"})
    before = {key: value for key, value in uploader.get_state().items() if key != "layout"}
    sent: list[dict[str, Any]] = []
    uploader.send = lambda fields, buffers=None: sent.append(fields)
    uploader._handle_msg({"content": {"data": data}, "buffers": []})
    assert len(NONSENSE) == 20
    assert [fields["ok"] for fields in sent] == [False] and sent[0]["error"].endswith(".")
    assert {key: value for key, value in uploader.get_state().items() if key != "layout"} == before


@pytest.mark.parametrize("data", NONSENSE, ids=range(len(NONSENSE)))
def test_nor_does_the_layout_take_anything_from_a_visitor(data: Any) -> None:
    layout = Uploader(never).layout
    before = layout.get_state()
    layout._handle_msg({"content": {"data": data}, "buffers": []})
    layout._handle_msg({"content": {"data": {"method": "update", "state": {"width": "1px", "display": "none"}}}})
    assert layout.get_state() == before
    sent: list[Any] = []
    layout.send_state = lambda *_, **__: sent.append(1)
    layout._handle_msg({"content": {"data": {"method": "request_state"}}})
    assert sent == [1], "a page has to be able to read it"


def test_the_repr_is_stable() -> None:
    assert repr(Uploader(lambda data, name: None, about={"title": "Digits"})) == "Uploader('Digits')"


@pytest.mark.parametrize(("probabilities", "words"), [
    ([1.0], "almost_surely"), ([0.97, 0.03], "almost_surely"), ([0.96, 0.04], "very_probably"),
    ([0.7, 0.3], "probably"), ([0.6, 0.4], "probably"), ([0.55, 0.45], "unsure"), ([0.5, 0.2], "perhaps"),
    ([0.2, 0.19], "unsure"),
])
def test_the_words_for_a_probability(probabilities: list[float], words: str) -> None:
    assert confidence([(str(n), p) for n, p in enumerate(probabilities)]) == words
