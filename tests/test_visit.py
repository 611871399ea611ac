"""The app round the uploader, without a browser: what it says of itself, its answers, stages, and what is counted."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import shoebox.bundle
from shoebox.apps import Inbox, app, classifier_app, watch
from shoebox.apps._visit import Visit
from shoebox.errors import BundleError
from shoebox.types import Prediction
from shoebox.widgets._texts import TextsError
from tests._models import tiny_bundle
from tests.test_uploader import picture, said, send


class Manifest:
    name = "digits"
    created = "2025-11-20T10:00:00+00:00"
    metrics = {"accuracy": 0.9713, "n_images": 1359}  # noqa: RUF012
    files = {"model.onnx": SimpleNamespace(sha256="abcdef" * 10)}  # noqa: RUF012
    preprocessing = SimpleNamespace(resize_px=(400, 300), size_px=(224, 224))


class Colours:
    """Stands for a classifier: says how red, green and blue a picture is."""

    classes = ("red", "green", "blue")
    manifest = Manifest()

    def __init__(self, known: bool | None = None, p_value: float | None = None) -> None:
        self.known, self.p_value = known, p_value
        self.seen: list[Image.Image] = []

    def predict(self, image: Image.Image) -> Prediction:
        self.seen.append(image.copy())
        mean = np.asarray(image, float).reshape(-1, 3).mean(0) + 1e-6
        shares = dict(sorted(zip(self.classes, (mean / mean.sum()).tolist(), strict=True), key=lambda item: -item[1]))
        best = next(iter(shares))
        return Prediction(best, shares[best], shares, known=self.known, p_value=self.p_value)


def jpeg(colour: str = "red", size: tuple[int, int] = (800, 600), **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG", **options)
    return out.getvalue()


class Explaining(Colours):
    """One that also says what is plausible and where it looked, as newer bundles do."""

    def predict(self, image: Image.Image, *, explain: bool = False) -> Any:
        prediction = super().predict(image)
        heatmap = np.linspace(0, 1, 600 * 800, dtype=np.float32).reshape(600, 800) if explain else None
        more = {"top": prediction.top, "label_set": ("red", "blue"), "heatmap": heatmap}
        return SimpleNamespace(**{**vars(prediction), **more})


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


# --- stages, counting and keeping -----------------------------------------------------------------------------------


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
