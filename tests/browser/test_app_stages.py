"""The three stages, and pictures that a visitor agrees to leave: in a real browser, with a real inbox."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from _app import Card, encode
from _servers import Visitor, start_voila
from _stages import write_stage
from PIL import Image
from playwright.sync_api import expect

from shoebox.apps import Inbox, watch


def located(colour: str) -> bytes:
    """A phone's photo: with place, camera and a tail."""
    exif = Image.Exif()
    exif[0x010F] = "ACME Phone"
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 29.0)
    return encode(Image.new("RGB", (320, 240), colour), exif=exif) + b"a tail that nobody sees"


def test_a_trial_run_hides_the_answer_and_records_both(visitor: Visitor, tmp_path: Path) -> None:
    notebook = write_stage(tmp_path, "stage='shadow', watch='../watch'")
    with start_voila(notebook, tmp_path) as server:
        card = Card(visitor.page).open(server.url)
        expect(card.page.get_by_text("Trial run: the model's answers are recorded and not shown.")).to_be_visible()
        card.choose(located("red")).expect_state("done")
        expect(card.status).to_have_text("Looked at. Now say what you see.")
        expect(card.answer.get_by_role("heading")).to_have_count(0)
        expect(card.answer.get_by_role("listitem")).to_have_count(0)
        card.answer.get_by_label("Choose what it is").select_option("blue")
        card.answer.get_by_role("button", name="Send").click()
        expect(card.answer.get_by_text("Noted, without the picture. Thank you.")).to_be_visible()
        card.page.close()
    events = watch(tmp_path / "watch").events
    assert [(event["kind"], event["stage"]) for event in events] == [("answer", "shadow"), ("verdict", "shadow")]
    assert (events[0]["label"], events[1]["answer"], events[1]["said"]) == (0, 0, 2)


def test_a_supervised_answer_is_not_confirmed_until_a_person_says_so(visitor: Visitor, tmp_path: Path) -> None:
    notebook = write_stage(tmp_path, "stage='supervised', watch='../watch'")
    with start_voila(notebook, tmp_path) as server:
        card = Card(visitor.page).open(server.url)
        expect(card.page.get_by_text("Supervised: no answer counts until a person has confirmed it.")).to_be_visible()
        card.choose(located("green")).expect_answer("green")
        expect(card.answer.get_by_text("Not confirmed yet. Is this right?")).to_be_visible()
        card.answer.get_by_role("button", name="Right").click()
        expect(card.answer.get_by_text("Confirmed by a person: green. Noted")).to_be_visible()
        card.choose(located("red")).expect_answer("red")
        card.answer.get_by_role("button", name="Wrong, it is …").click()
        card.answer.get_by_label("Choose what it is").select_option("none of these")
        card.page.keyboard.press("Tab")
        card.page.keyboard.press("Enter")
        expect(card.answer.get_by_text("Confirmed by a person: none of these.")).to_be_visible()
        card.page.close()
    seen = watch(tmp_path / "watch")
    verdicts = [event for event in seen.events if event["kind"] == "verdict"]
    assert [(event["answer"], event["said"]) for event in verdicts] == [(1, 1), (0, None)]
    assert (seen.days[0].verdicts, seen.days[0].agreed) == (2, 1)


def test_a_picture_is_kept_with_consent_only_without_its_place_and_deleted_by_its_number(
        visitors: Callable[..., Visitor], tmp_path: Path) -> None:
    notebook = write_stage(tmp_path, "feedback='../inbox'")
    with start_voila(notebook, tmp_path, max_visitors=3) as server:
        card = Card(visitors().page).open(server.url)
        expect(card.page.get_by_text("It is stored only if you say so")).to_be_visible()
        card.choose(located("red")).expect_answer("red")
        expect(card.page.locator("[role=status], [role=alert], [aria-live]")).to_have_count(1)
        consent = card.answer.get_by_role("checkbox", name="may be kept for 90 days")
        expect(consent).not_to_be_checked()
        card.answer.get_by_role("button", name="Right").click()  # without consent nothing is sent
        expect(card.answer.get_by_text("Is this right?")).to_be_visible()
        assert not (tmp_path / "inbox").exists()
        consent.check()
        card.answer.get_by_role("button", name="Wrong, it is …").click()
        card.answer.get_by_label("Choose what it is").select_option("blue")
        card.answer.get_by_role("button", name="Send").click()
        expect(card.answer.get_by_text("The picture is kept under the number")).to_be_visible()
        expect(card.status).to_contain_text("The picture is kept under the number")
        expect(card.page.locator("[role=status], [role=alert], [aria-live]")).to_have_count(1)
        card.expect_state("done")
        (entry,) = Inbox(tmp_path / "inbox").entries()
        assert (entry.suggested, entry.answer) == ("blue", "red")
        data = entry.path.read_bytes()
        assert b"ACME" not in data and b"tail" not in data and b"Exif" not in data
        with Image.open(io.BytesIO(data)) as kept:
            assert not kept.getexif() and kept.size == (320, 240)
        for probe in ("inbox/pictures/", "../inbox/pictures/", "%2e%2e/inbox/pictures/"):
            assert server.status(f"voila/files/{probe}{entry.path.name}") >= 400

        other = Card(visitors().page).open(server.url)  # another day, by the number
        other.page.get_by_text("Delete a picture that you left here").click()
        other.page.get_by_label("Its number").fill("not-a-number")
        other.page.get_by_role("button", name="Delete it").click()
        expect(other.page.locator(".sbx-forget").get_by_text("There is no picture under this number.")).to_be_visible()
        expect(other.status).to_have_text("There is no picture under this number. It may have been deleted already.")
        other.page.get_by_label("Its number").fill(entry.id)
        other.page.get_by_role("button", name="Delete it").click()
        expect(other.page.locator(".sbx-forget").get_by_text("Deleted.")).to_be_visible()
        expect(other.status).to_have_text("Deleted.")
        assert list(Inbox(tmp_path / "inbox").entries()) == [] and not entry.path.exists()

        card.answer.get_by_role("button", name="Delete it").click()
        expect(card.answer.get_by_text("It may have been deleted already.")).to_be_visible()
        card.page.close()
        other.page.close()


def test_live_is_said_too(visitor: Visitor, tmp_path: Path) -> None:
    with start_voila(write_stage(tmp_path, "stage='live'"), tmp_path) as server:
        card = Card(visitor.page).open(server.url)
        expect(card.page.get_by_text("Live: answers are shown as they come, and nobody checks them.")).to_be_visible()
        card.choose(located("green")).expect_answer("green")
        expect(card.answer.get_by_role("button", name="Right")).to_have_count(0)
        card.page.close()


def test_a_page_left_alone_is_put_to_sleep_and_says_so(visitor: Visitor, tmp_path: Path) -> None:
    visitor.expect_trouble = True  # the browser notes the 404 by which the page learns of it
    notebook = write_stage(tmp_path, "")
    with start_voila(notebook, tmp_path, idle_s=3) as server:
        card = Card(visitor.page).open(server.url)
        expect(card.status).to_contain_text("put to sleep after 1 min without a picture", timeout=40_000)
        expect(card.input).to_be_disabled()
        card.page.get_by_role("button", name="Reload the page").click()
        card.expect_state("ready")
        card.choose(located("red")).expect_answer("red")
        card.page.close()
