"""The inbox: caps, forged submissions, deletion, retention, a full disk, several processes."""

from __future__ import annotations

import contextlib
import io
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import shoebox
from shoebox.apps import Inbox, classifier_app
from shoebox.apps._inbox import Caps, InboxError
from shoebox.cli import main
from shoebox.errors import DatasetError, ImageError, ShoeboxError

CLASSES = ("чёрный", "grizzly", "<b>teddy</b>")


def photo(seed: int = 0, size: tuple[int, int] = (80, 60)) -> bytes:
    """With place, camera and a tail."""
    rng = np.random.default_rng(seed)
    exif = Image.Exif()
    exif[0x010F] = "ACME Phone"
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 29.0)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), np.uint8)).save(
        out, "JPEG", exif=exif, comment=b"GPS inside")
    return out.getvalue() + b"ACME tail"


def add(inbox: Inbox, data: bytes | None = None, **fields: object) -> str:
    given = {"label": 1, "answer": 0, "probability": 0.75, "model": "abc", "classes": CLASSES, **fields}
    return inbox.add(photo() if data is None else data, **given)  # type: ignore[arg-type]


def test_an_entry_says_what_both_said_and_holds_only_pixels(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox")
    assert list(inbox.entries()) == [] and not (tmp_path / "inbox").exists(), "a question writes nothing"
    receipt = add(Inbox(tmp_path / "inbox", keep_days=10**6), now=datetime(2027, 4, 8, 15, 59, tzinfo=UTC))
    (entry,) = inbox.entries()
    assert (entry.id, entry.suggested, entry.answer, entry.model) == (receipt, "grizzly", "чёрный", "abc")
    assert entry.probability == 0.75 and entry.at == datetime(2027, 4, 8, 15, tzinfo=UTC)
    data = entry.path.read_bytes()
    for trace in (b"ACME", b"GPS", b"Exif", b"tail"):
        assert trace not in data
    with Image.open(io.BytesIO(data)) as kept:
        assert kept.format == "JPEG" and not kept.getexif() and kept.size == (80, 60)
    assert len(inbox) == 1 and repr(inbox).endswith("1 pictures)")


def test_of_a_thousand_forged_submissions_twenty_are_kept(tmp_path: Path) -> None:
    """What a stranger's own program may send: anything, as often as it likes."""
    rng = np.random.default_rng(0)
    inbox = Inbox(tmp_path / "inbox")
    good, kept, refused = photo(), 0, 0
    odd = [b"", b"no picture", good[:500], b"<svg onload=alert(1)>", b"GIF89a" + bytes(30), bytes(1000)]
    for number in range(1000):
        data = odd[number % len(odd)] if number % 2 else good
        label = [0, 2, None, -1, 3, 10**9][int(rng.integers(6))]
        try:
            add(inbox, data, label=label)
            kept += 1
        except (InboxError, ImageError, ShoeboxError) as error:
            refused += 1
            assert str(error).endswith(".")
    assert (kept, refused) == (20, 980)
    files = list((tmp_path / "inbox" / "pictures").iterdir())
    assert len(files) == len(inbox) == 20
    for path in files:
        assert b"ACME" not in path.read_bytes() and b"Exif" not in path.read_bytes()


def test_a_day_and_the_whole_have_their_caps_over_all_visits(tmp_path: Path) -> None:
    noon = datetime.now(UTC)
    caps = Caps(per_day=3)
    for _ in range(3):
        add(Inbox(tmp_path, caps=caps), now=noon)
    with pytest.raises(InboxError, match="until tomorrow"):
        add(Inbox(tmp_path, caps=caps), now=noon)
    add(Inbox(tmp_path, caps=caps), now=noon + timedelta(days=1))
    with pytest.raises(InboxError, match="no room"):
        add(Inbox(tmp_path, caps=Caps(total_bytes=4 * 1000)))


def test_space_stays_free_on_the_disk_for_others(tmp_path: Path) -> None:
    with pytest.raises(InboxError, match="no room") as refused:
        add(Inbox(tmp_path, caps=Caps(keep_free_bytes=10**18)))
    assert refused.value.code == "feedback_space"
    assert not list(tmp_path.glob("pictures/*"))


def test_a_disk_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InboxError, match="could not be kept"):
        add(Inbox(tmp_path / "file"))
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "inbox.sqlite").write_bytes(b"not a data base at all" * 100)
    with pytest.raises(InboxError, match="could not be kept"):
        add(Inbox(tmp_path / "inbox"))


def test_a_picture_that_could_not_be_entered_is_not_left_behind(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    add(inbox)
    with pytest.raises(InboxError):
        add(inbox, probability=float("nan"))  # which the column does not take
    assert len(list((tmp_path / "pictures").iterdir())) == 1


def test_it_is_deleted_by_its_number_and_nothing_else_is(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    first, second = add(inbox, photo(1)), add(inbox, photo(2))
    for wrong in ("", "../inbox.sqlite", "%", first[:-1], "' OR 1=1 --", first.upper()):
        with pytest.raises(InboxError, match="no picture under this number"):
            inbox.delete(wrong)
    inbox.delete(first)
    assert [entry.id for entry in inbox.entries()] == [second]
    assert [path.stem for path in (tmp_path / "pictures").iterdir()] == [second]
    with pytest.raises(InboxError):
        inbox.delete(first)


def test_what_is_older_than_promised_is_deleted_when_the_inbox_is_read(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    inbox = Inbox(tmp_path, keep_days=30)
    old, young = add(inbox, now=now - timedelta(days=31)), add(inbox, now=now - timedelta(days=29))
    assert [entry.id for entry in inbox.entries()] == [young]
    assert not (tmp_path / "pictures" / f"{old}.jpg").exists()
    with pytest.raises(ShoeboxError, match="keep_days is 0"):
        Inbox(tmp_path, keep_days=0)


def test_each_picture_is_kept_as_long_as_was_promised_with_it_whoever_reads_the_inbox(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for n, (keep_days, ago) in enumerate([(7, 8), (7, 6), (None, 91), (365, 300)]):
        add(Inbox(tmp_path, keep_days=keep_days), photo(n), now=now - timedelta(days=ago))
    assert [(now - entry.at).days for entry in Inbox(tmp_path).entries()] == [300, 6]
    assert [(now - entry.at).days for entry in Inbox(tmp_path, keep_days=30).entries()] == [6], "sooner is no breach"


def test_an_inbox_of_before_that_promised_nothing_with_each_picture_still_opens(tmp_path: Path) -> None:
    first = add(Inbox(tmp_path))
    with contextlib.closing(sqlite3.connect(tmp_path / "inbox.sqlite")) as catalog:
        catalog.execute("ALTER TABLE entries DROP COLUMN keep_days")
    second = add(Inbox(tmp_path, keep_days=30), photo(1))
    assert [entry.id for entry in Inbox(tmp_path).entries()] == [first, second]


def test_old_pictures_go_when_a_page_is_made_though_nobody_leaves_one(tmp_path: Path) -> None:
    from tests._colours import Colours

    old = add(Inbox(tmp_path / "inbox"), now=datetime.now(UTC) - timedelta(days=91))
    classifier_app(Colours(), feedback=tmp_path / "inbox")
    assert not (tmp_path / "inbox" / "pictures" / f"{old}.jpg").exists()


def test_an_inbox_that_cannot_be_read_is_no_reason_to_show_no_page(tmp_path: Path,
                                                                 caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "inbox.sqlite").write_bytes(b"not a data base at all" * 100)
    Inbox(tmp_path).expire()
    assert "cannot be deleted" in caplog.text
    Inbox(tmp_path / "none").expire()
    assert not (tmp_path / "none").exists()


# --- into a data set ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["in place of the classes", "as the source"])
def test_what_visitors_left_is_collected_with_what_they_said_and_what_the_app_had_said(tmp_path: Path,
                                                                                     how: str) -> None:
    inbox = Inbox(tmp_path / "inbox")
    receipt = add(inbox, photo(1))
    add(inbox, photo(2), label=None, answer=2)
    arguments = {"source": inbox} if how == "as the source" else {"classes": inbox}
    report = shoebox.collect(tmp_path / "bears", **arguments)
    (image,) = report.ds.images
    assert (image.label, report.summary()) == ("grizzly", "asked 1, saved 1")
    ((source,),) = report.ds.sources.values()
    assert (source.source, source.engine, source.url) == ("feedback", "abc", f"feedback/{receipt}")
    assert source.note == "suggested 'grizzly'; the app had said 'чёрный' (model abc)"
    assert "1 of the inbox's pictures are said to be none of the classes" in report.notes[0]
    again = shoebox.collect(tmp_path / "bears", {"other": "none of these"}, source=inbox)
    assert again.ds.classes == ("grizzly", "other") and not again.notes
    assert len(inbox) == 2, "the inbox is only read"


def test_an_inbox_with_nothing_to_collect_is_a_sentence(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox")
    with pytest.raises(DatasetError, match=r"no picture of which a visitor said what it is\.$"):
        shoebox.collect(tmp_path / "bears", inbox)
    add(inbox, label=None)
    with pytest.raises(DatasetError, match="1 of the inbox's pictures are said to be none"):
        shoebox.collect(tmp_path / "bears", inbox)
    with pytest.raises(DatasetError, match="Give both as the source"):
        shoebox.collect(tmp_path / "bears", inbox, source="openverse")


def test_the_command_line_takes_an_inbox(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(Inbox(tmp_path / "inbox"))
    assert main(["collect", str(tmp_path / "bears"), "--inbox", str(tmp_path / "inbox")]) == 0
    assert "grizzly: 1 of 1 addresses" in capsys.readouterr().out
    assert main(["collect", str(tmp_path / "bears"), "--inbox", str(tmp_path / "nothing")]) == 1
    assert "There is no inbox" in capsys.readouterr().err


def test_several_kernels_write_at_once_and_the_day_s_cap_holds(tmp_path: Path) -> None:
    code = ("import sys; from tests.test_inbox import *\n"
            "inbox = Inbox(sys.argv[1], caps=Caps(per_day=25))\n"
            "for n in range(15):\n"
            "    try: add(inbox, photo(n))\n"
            "    except InboxError as error: assert error.code == 'feedback_day', error\n")
    root = Path(__file__).parents[1]
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=root) for _ in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert len(Inbox(tmp_path)) == len(list((tmp_path / "pictures").iterdir())) == 25
