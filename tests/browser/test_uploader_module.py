"""The uploader's module by itself, with a model that a test can silence."""

from __future__ import annotations

from typing import Any

import pytest
from _app import Card, plain
from _servers import Visitor
from playwright.sync_api import Page, expect

from shoebox.widgets._texts import texts_of
from shoebox.widgets.uploader import LIMITS, Uploader

# --- the module by itself, with a model that a test can silence ---------------------------------------------------

_STAGE = """async ([source, css, texts, limits, behaviour]) => {
    const stage = {listeners: 0, urls: new Set(), open: new Set(), sent: []};
    window.stage = stage;
    const add = EventTarget.prototype.addEventListener;
    EventTarget.prototype.addEventListener = function (name, callback, options) {
        if (!(this instanceof AbortSignal)) {
            stage.open.add(options?.signal ?? `${name} without a signal`);
        }
        return add.call(this, name, callback, options);
    };
    const create = URL.createObjectURL, revoke = URL.revokeObjectURL;
    const module = await import(create.call(URL, new Blob([source], {type: "text/javascript"})));
    URL.createObjectURL = (blob) => { const url = create.call(URL, blob); stage.urls.add(url); return url; };
    URL.revokeObjectURL = (url) => { stage.urls.delete(url); revoke.call(URL, url); };
    const callbacks = {};
    const of = (name) => callbacks[name] ??= new Set();
    const traits = {texts, limits, about: {stage: "live", classes: [], classes_total: 0}, problem: ""};
    const model = {
        get: (name) => traits[name],
        on: (name, callback) => { of(name).add(callback); stage.listeners += 1; },
        off: (name, callback) => { stage.listeners -= of(name).delete(callback); },
        set: (name, value) => { traits[name] = value; of(`change:${name}`).forEach((callback) => callback()); },
        send: (content, _, buffers) => {
            stage.sent.push(content.kind);
            const reply = behaviour[content.kind];
            if (!reply) return;
            queueMicrotask(() => of("msg:custom").forEach((callback) => callback(
                {id: content.id, ...reply}, content.kind === "picture" ? [new DataView(new ArrayBuffer(4))] : [])));
        },
    };
    const style = document.createElement("style");
    style.textContent = css;
    document.head.append(style);
    stage.module = module;
    stage.model = model;
    stage.end = module.default.render({model, el: document.body});
}"""
ANSWER = {"ok": True, "label": "cat", "probability": 0.5, "top": [["cat", 0.5], ["dog", 0.45]], "confidence": "unsure",
          "elapsed_ms": 3, "width_px": 1, "height_px": 1, "number": 1, "hidden": False, "none": False, "known": None,
          "p_value": None, "label_set": ["cat", "dog"], "heat": None}
ALIVE = {"hello": {"ok": True}, "ping": {"ok": True}}


def stage(page: Page, behaviour: dict[str, Any]) -> Card:
    limits = {**LIMITS, "ping_timeout_ms": 300, "answer_timeout_ms": 300}
    page.goto("about:blank")
    page.evaluate(_STAGE, [str(Uploader._esm), str(Uploader._css), {"en": texts_of("en")}, limits, behaviour])
    return Card(page)


def test_nothing_is_left_when_the_view_is_removed(visitor: Visitor) -> None:
    page = visitor.page
    card = stage(page, {**ALIVE, "picture": ANSWER})
    for _ in range(3):
        card.choose(plain()).expect_answer("cat")
    assert page.evaluate("[stage.urls.size, stage.listeners]") == [1, 2]
    page.evaluate("stage.end()")
    assert page.evaluate("[stage.urls.size, stage.listeners]") == [0, 0]
    left = page.evaluate("[...stage.open].map((s) => typeof s === 'string' ? s : s.aborted)")
    assert left == [True]


def test_a_silent_kernel_and_a_slow_answer_have_their_own_sentences(visitor: Visitor) -> None:
    stage(visitor.page, {"hello": {"ok": True}}).choose(plain()).expect_sentence("The server does not answer.")
    assert visitor.page.evaluate("stage.sent") == ["hello", "ping"]
    stage(visitor.page, ALIVE).choose(plain()).expect_sentence("The answer took too long.")


def test_a_model_that_turns_out_to_be_none_takes_the_card_away(visitor: Visitor) -> None:
    page = visitor.page
    card = stage(page, {**ALIVE, "picture": ANSWER})
    card.choose(plain()).expect_answer("cat")
    page.evaluate("stage.model.set('problem', 'The <b>file</b> was changed.')")
    card.expect_sentence("This app cannot answer at the moment. For whoever made it: The <b>file</b> was changed.")
    expect(card.root).to_have_count(1)
    expect(card.input).to_have_count(0)
    assert page.evaluate("[stage.urls.size, stage.listeners]") == [0, 1]
    page.evaluate("stage.end()")
    assert page.evaluate("stage.listeners") == 0


def test_unsure_is_said_in_words_with_both_names(visitor: Visitor) -> None:
    answer = stage(visitor.page, {**ALIVE, "picture": ANSWER}).choose(plain()).expect_answer("cat")
    expect(answer.get_by_text("Unsure between cat and dog; a little more like")).to_be_visible()
    expect(answer.get_by_text("Any of these is plausible: cat, dog.")).to_be_visible()


def test_a_refusal_is_shown_as_text(visitor: Visitor) -> None:
    refusal = {"ok": False, "error": "No <b>cats</b> today."}
    stage(visitor.page, {**ALIVE, "picture": refusal}).choose(plain()).expect_sentence("No <b>cats</b> today.")


def test_a_visitor_reads_the_page_s_own_words_and_not_those_for_the_maker(visitor: Visitor) -> None:
    """Shipped bug: an English visitor with a HEIC photo was told to run pip."""
    refusal = {"ok": False, "code": "image_unsupported_format",
               "error": "'a.heic' is a HEIC photo, whose library is not installed. Run: pip install \"shoebox[heic]\""}
    card = stage(visitor.page, {**ALIVE, "picture": refusal}).choose(plain(), "a.heic", "image/heic")
    card.expect_sentence("a.heic is of a kind that cannot be opened here. Save it as JPEG or PNG and try again.")
    expect(card.status).not_to_contain_text("pip")


@pytest.mark.parametrize(("language", "days", "words"), [
    ("en", 1, "may be kept for 1 day to make"), ("en", 90, "may be kept for 90 days to make"), ("ru", 1, "1 день,"),
    ("ru", 3, "3 дня,"), ("ru", 90, "90 дней,"), ("zh", 90, "90天，")])
def test_a_length_of_time_is_said_as_the_language_has_it(visitor: Visitor, language: str, days: int,
                                                         words: str) -> None:
    stage(visitor.page, {**ALIVE, "picture": ANSWER})
    visitor.page.evaluate("""([texts, days]) => {
        stage.end();
        document.body.replaceChildren();
        stage.model.set("texts", texts);
        stage.model.set("about", {stage: "live", classes: [], classes_total: 0, keep_days: days});
        stage.end = stage.module.default.render({model: stage.model, el: document.body});
    }""", [{language: texts_of(language)}, days])
    card = Card(visitor.page).choose(plain())
    card.expect_state("done")
    expect(card.root.locator(".sbx-consent")).to_contain_text(words)


def test_percentages_never_claim_certainty(visitor: Visitor) -> None:
    stage(visitor.page, ALIVE)
    words = visitor.page.evaluate("""[1, 0.9999, 0.99, 0.5, 0.0101, 0.0099, 0].map((p) => stage.module.percent(p,
        {more_than: "over {percent}", less_than: "under {percent}"}))""")
    assert words == ["100%", "over 99%", "99%", "50%", "1%", "under 1%", "0%"]
    assert visitor.page.evaluate("stage.module.fit(4000, 1, 1280)") == {"width": 1280, "height": 1}
    assert visitor.page.evaluate("stage.module.fit(30, 40, 1280)") == {"width": 30, "height": 40}
