"""The app round the uploader, without a browser: what it says of itself, its answers, stages, and what is counted."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shoebox.apps import Inbox, classifier_app, watch
from shoebox.apps._visit import Visit
from shoebox.errors import BundleError
from shoebox.types import Prediction
from shoebox.widgets._texts import TextsError
from tests._colours import Colours, Explaining, jpeg
from tests.test_uploader import picture, said, send


def test_the_app_warms_the_classifier_up_and_says_what_it_is() -> None:
    colours = Colours()
    page = classifier_app(colours, title="Colours", intro={"en": "Which?", "ru": "Какой?"}, card="# Card")
    assert len(colours.seen) == 1
    assert page.problem == ""
    assert page.about == {
        "title": "Colours", "intro": {"en": "Which?", "ru": "Какой?"}, "classes": ["red", "green", "blue"],
        "classes_total": 3, "classes_shown": 30, "card": "# Card", "stage": "live", "keep_days": 0, "counted": False,
        "model": {"name": "digits", "date": "2025-11-20", "accuracy": 0.9713, "count": 1359}}
    assert (page.limits["side_px"], page.limits["short_px"]) == (800, 400)
    assert list(page.texts) == ["en", "ru", "zh"]


def test_the_app_answers_with_the_three_best_and_a_preview_of_what_was_seen() -> None:
    colours = Colours()
    fields, (preview,) = send(classifier_app(colours), picture(), [jpeg()])
    assert fields["label"] == "red"
    assert fields["top"][0][0] == "red"
    assert len(fields["top"]) == 3
    assert (fields["known"], fields["p_value"], fields["label_set"], fields["heat"]) == (None, None, None, None)
    assert fields["elapsed_ms"] > 0
    with Image.open(io.BytesIO(preview)) as shown:
        assert (shown.format, shown.size) == ("JPEG", (512, 384))
        assert (fields["width_px"], fields["height_px"]) == shown.size
    assert colours.seen[-1].size == (800, 600)


def test_a_page_that_has_the_picture_is_sent_none() -> None:
    fields, buffers = send(classifier_app(Explaining()), picture(has_picture=True), [jpeg()])
    assert [len(heat) for heat in buffers] == [np.prod(fields["heat"])]
    _, (preview, _) = send(classifier_app(Explaining()), picture(has_picture="yes"), [jpeg()])
    assert preview.startswith(b"\xff\xd8")


def test_a_sideways_photo_is_seen_and_shown_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    colours = Colours()
    fields, _ = send(classifier_app(colours), picture(), [jpeg(size=(80, 60), exif=exif)])
    assert (fields["width_px"], fields["height_px"]) == colours.seen[-1].size == (60, 80)


def test_a_picture_like_none_it_knows_is_said_to_be_so_with_its_p_value() -> None:
    fields, _ = send(classifier_app(Colours(known=False, p_value=0.004)), picture(), [jpeg()])
    assert (fields["known"], fields["p_value"]) == (False, 0.004)


def test_a_classifier_that_explains_itself_is_asked_to() -> None:
    fields, (_, heat) = send(classifier_app(Explaining()), picture(), [jpeg()])
    assert fields["label_set"] == ["red", "blue"]
    assert fields["heat"] == [128, 96] and len(heat) == 128 * 96
    assert heat[0] < 5 and heat[-1] > 250


@pytest.mark.parametrize("broken", [np.zeros((0, 3)), np.zeros(3), np.full((2, 2), np.nan), np.zeros((2, 2, 3))])
def test_a_heatmap_that_is_none_is_left_out(broken: Any) -> None:
    from shoebox.apps._visit import _heat

    assert _heat(broken) is None


def test_a_large_picture_is_looked_at_as_training_would_see_it_and_a_huge_one_refused() -> None:
    colours = Colours()
    page = classifier_app(colours)
    assert send(page, picture(), [jpeg(size=(5000, 3000))])[0]["ok"]
    assert colours.seen[-1].size == (5000, 3000)
    out = io.BytesIO()
    Image.new("L", (7100, 7100)).save(out, "PNG")
    fields = send(page, picture(id="2"), [out.getvalue()])[0]
    assert (fields["ok"], fields["code"]) == (False, "image_too_many_pixels")


@pytest.mark.parametrize("data", [b"\xff\xd8 not a jpeg", b"hello", b"<svg/>", jpeg()[:200], b"%PDF-1.7"])
def test_a_file_that_is_no_picture_gets_a_sentence_with_its_name(data: bytes) -> None:
    fields, _ = send(classifier_app(Colours()), picture(name="holiday.jpg"), [data])
    assert not fields["ok"]
    assert fields["error"].startswith("'holiday.jpg'")
    assert fields["error"].endswith(".")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path


def test_answers_refusals_and_verdicts_are_counted_without_pictures(folder: Path) -> None:
    page = classifier_app(Colours(p_value=0.5), watch="../watch", stage="supervised")
    assert page.about["counted"]
    assert send(page, picture(), [jpeg()])[0]["number"] == 1
    send(page, picture(id="2"), [b"no picture"])
    assert send(page, said(id="3", number=1, says="right", label=None, keep=False))[0]["receipt"] == ""
    assert send(page, said(id="4", number=1, says="label", label=2, keep=False))[0]["ok"]
    seen = watch(folder / "watch")
    assert [event["kind"] for event in seen.events] == ["answer", "refused", "verdict", "verdict"]
    assert seen.events[0]["label"] == 0 and seen.events[0]["model"] == "abcdefabcdef"
    assert seen.events[0]["stage"] == "supervised" and seen.events[1]["cause"] == "not_an_image"
    assert [(event["answer"], event["said"]) for event in seen.events[2:]] == [(0, 0), (0, 2)]
    assert sum(path.stat().st_size for path in (folder / "watch").iterdir()) < 1000
    assert not send(page, said(id="5", number=1, keep=True))[0]["ok"], "there is no inbox"


def test_in_a_trial_run_the_answer_is_recorded_and_not_shown_and_nobody_can_call_it_right(folder: Path) -> None:
    page = classifier_app(Explaining(), watch="../watch", stage="shadow")
    fields, buffers = send(page, picture(), [jpeg()])
    assert set(fields) == {"id", "ok", "number", "hidden", "width_px", "height_px"} and len(buffers) == 1
    assert not send(page, said(id="2", number=1, says="right", keep=False))[0]["ok"]
    assert send(page, said(id="3", number=1, label=1, keep=False))[0]["ok"]
    events = watch(folder / "watch").events
    assert events[0]["label"] == 0 and (events[1]["answer"], events[1]["said"]) == (0, 1)


def test_a_picture_is_kept_with_consent_only_and_deleted_by_its_number(folder: Path) -> None:
    page = classifier_app(Colours(), feedback="../inbox")
    assert page.about["keep_days"] == 90
    send(page, picture(), [jpeg()])
    assert not (folder / "inbox").exists()
    fields = send(page, said(id="2", number=1, label=2))[0]
    (entry,) = Inbox(folder / "inbox").entries()
    assert (entry.id, entry.suggested, entry.answer, entry.model) == (fields["receipt"], "blue", "red", "abcdefabcdef")
    assert send(page, {"kind": "forget", "id": "3", "receipt": fields["receipt"]})[0]["ok"]
    assert list(Inbox(folder / "inbox").entries()) == [] and not entry.path.exists()
    assert send(page, {"kind": "forget", "id": "4", "receipt": fields["receipt"]})[0]["code"] == "forget_unknown"
    assert send(page, said(id="5", number=99))[0]["code"] == "feedback_gone"
    assert "no class number" in send(page, said(id="6", number=1, label=3))[0]["error"]


def test_none_of_these_is_an_answer_that_can_be_right(folder: Path) -> None:
    page = classifier_app(Colours(known=False), watch="../watch", stage="supervised",
                          feedback=Inbox("../inbox", keep_days=7))
    assert page.about["keep_days"] == 7
    send(page, picture(), [jpeg()])
    assert send(page, said(id="2", number=1, says="right"))[0]["receipt"]
    (entry,) = Inbox(folder / "inbox").entries()
    assert (entry.suggested, entry.answer) == (None, None)


@pytest.mark.parametrize(("known", "label_set", "says_none"), [
    (True, (), True), (None, (), True), (False, ("red",), True), (False, None, True), (True, ("red",), False),
    (None, None, False)])
def test_page_log_inbox_and_the_day_s_rate_mean_the_same_by_none_of_these(
        folder: Path, known: bool | None, label_set: tuple[str, ...] | None, says_none: bool) -> None:
    class Doubting(Colours):
        def predict(self, image: Image.Image) -> Prediction:
            return replace(super().predict(image), label_set=label_set)

    page = classifier_app(Doubting(known), watch="../watch", stage="supervised", feedback="../inbox")
    fields, _ = send(page, picture(), [jpeg()])
    assert fields["none"] is says_none
    assert send(page, said(id="2", number=1, says="right"))[0]["receipt"]
    seen, expected = watch(folder / "watch"), None if says_none else 0
    assert seen.events[0]["label"] == expected
    assert (seen.events[1]["answer"], seen.events[1]["said"]) == (expected, expected)
    assert (seen.days[0].none, seen.days[0].agreed) == (int(says_none), 1)
    (entry,) = Inbox(folder / "inbox").entries()
    assert entry.answer == entry.suggested == (None if says_none else "red")


def test_when_nothing_can_be_written_the_answers_go_on(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "watch").write_text("a file where the folder should be")
    (folder / "inbox").write_text("and here")
    page = classifier_app(Colours(), watch="../watch", feedback="../inbox")
    for number in range(1, 4):
        assert send(page, picture(id=f"p{number}"), [jpeg()])[0]["label"] == "red"
        assert send(page, said(id=f"v{number}", number=number))[0]["code"] == "feedback_failed"
    assert sum("cannot be logged" in message for message in caplog.messages) == 1


@pytest.mark.parametrize("place", [".", "inbox", "a/b/../c"])
def test_what_visitors_leave_never_lies_beside_the_notebook(folder: Path, place: str) -> None:
    for where in ({"feedback": place}, {"watch": place}, {"feedback": Inbox(place)}):
        with pytest.raises(BundleError, match="Choose one outside"):
            classifier_app(Colours(), **where)


def test_an_unknown_stage_and_one_without_a_place_for_its_record_are_refused(folder: Path) -> None:
    with pytest.raises(BundleError, match="shadow, supervised, live"):
        classifier_app(Colours(), stage="beta")  # type: ignore[arg-type]
    with pytest.raises(BundleError, match="watch="):
        classifier_app(Colours(), stage="shadow")
    with pytest.raises(TextsError, match="'xx'"):
        classifier_app(Colours(), languages=["en", "xx"])


def test_a_thousand_mutated_uploads_are_each_answered_and_none_is_a_surprise() -> None:
    """bench/app.py sends ten thousand."""
    from tests._forged_uploads import mutants, send_raw

    page = classifier_app(Colours())
    accepted = 0
    for content, buffers in mutants(1000, seed=1):
        replies = send_raw(page, content, buffers)
        assert len(replies) == 1
        assert replies[0]["ok"] or replies[0]["error"].endswith((".", "?")), replies
        assert replies[0].get("code") != "unexpected", (content, replies)
        accepted += replies[0]["ok"]
    assert 100 < accepted < 900


def test_the_app_decodes_as_the_classifier_asks() -> None:
    """A large JPEG at the fraction that the bundle was trained with; for one that says nothing, in full."""
    for least_px, size in ((448, (1000, 750)), (None, (4000, 3000))):
        classifier = Colours()
        classifier.least_px = least_px  # type: ignore[attr-defined]
        answer = Visit(classifier).look(jpeg("red", (4000, 3000)), "large.jpg")
        assert classifier.seen[-1].size == size and (answer.width_px, answer.height_px) == (512, 384)
    plain = Colours()
    Visit(plain).look(jpeg("red", (4000, 3000)), "large.jpg")
    assert plain.seen[-1].size == (4000, 3000)
