"""Files that end too early: refused unless a person wants them kept, call by call and thread by thread."""

from __future__ import annotations

import io
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import ImageFile

from shoebox.data import Dataset, decode_image, open_image
from shoebox.data._truncated import truncated_files
from shoebox.errors import DatasetError, ImageError
from tests._pictures import draw, folders


def encoded(kind, **kwargs):
    out = io.BytesIO()
    draw(1, (200, 150)).save(out, kind, **kwargs)
    return out.getvalue()


SAMPLES = {"JPEG": encoded("JPEG", quality=90), "progressive JPEG": encoded("JPEG", quality=90, progressive=True),
           "PNG": encoded("PNG"), "GIF": encoded("GIF", interlace=0), "BMP": encoded("BMP"), "WEBP": encoded("WEBP"),
           "AVIF": encoded("AVIF"), "TIFF": encoded("TIFF", compression="raw")}
CUT = SAMPLES["JPEG"][:len(SAMPLES["JPEG"]) * 3 // 4]


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_cut_files_are_refused_as_truncated(kind, share):
    data = SAMPLES[kind][:int(len(SAMPLES[kind]) * share)]
    with pytest.raises(ImageError) as caught:
        decode_image(data)
    assert caught.value.cause == "truncated"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF"])
def test_what_is_there_is_kept_when_asked(kind):
    whole = np.asarray(open_image(SAMPLES[kind]))
    cut = SAMPLES[kind][:int(len(SAMPLES[kind]) * 0.6)]
    kept = decode_image(cut, truncated="keep")
    assert kept.partly_there and kept.image.size == (200, 150)
    pixels = np.asarray(kept.image)
    rows = slice(-40, None) if kind == "BMP" else slice(0, 40)  # a BMP begins at the bottom
    assert (pixels[rows] == whole[rows]).all() and not (pixels == whole).all()
    assert (np.asarray(open_image(cut, truncated="keep")) == pixels).all()


def test_whole_files_are_not_marked_and_hopeless_ones_still_refused():
    assert not decode_image(SAMPLES["JPEG"], truncated="keep").partly_there
    for data, cause in ((SAMPLES["WEBP"][:500], "truncated"), (SAMPLES["PNG"][:20], "truncated"),
                        (b"text", "not_an_image")):
        with pytest.raises(ImageError) as caught:
            decode_image(data, truncated="keep")
        assert caught.value.cause == cause
    with pytest.raises(ValueError, match="refuse"):
        decode_image(CUT, truncated="yes")


def test_the_persons_own_setting_of_pillow_is_neither_obeyed_nor_lost(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # many notebooks begin with this line
    with pytest.raises(ImageError):
        decode_image(CUT)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_threads_that_keep_and_threads_that_refuse_do_not_mix():
    def ask(number):
        try:
            return decode_image(CUT, truncated="keep" if number % 2 else "refuse").partly_there
        except ImageError as error:
            return error.cause

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(400)))
    assert answers == ["truncated", True] * 200
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_one_waits_for_the_other_and_nobody_starves():
    entered, order = threading.Event(), []

    def other():
        entered.set()
        with truncated_files(keep=True):
            order.append("keep")

    with truncated_files(keep=False):
        thread = threading.Thread(target=other)
        thread.start()
        entered.wait()
        order.append("refuse")
        assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    thread.join(20)
    assert order == ["refuse", "keep"] and not thread.is_alive()


def _in_child(queue):
    try:
        queue.put(decode_image(CUT, truncated="keep").partly_there)
    except ImageError as error:
        queue.put(str(error))


def test_a_forked_worker_does_not_wait_for_its_parents_threads():
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with truncated_files(keep=False):
        child = context.Process(target=_in_child, args=(queue,))
        child.start()
        assert queue.get(timeout=60) is True
    child.join(20)
    assert child.exitcode == 0


def cut_off(root):
    (root / "cat" / "cut.jpg").write_bytes(CUT)
    return root


def test_a_data_set_brings_them_back_and_leaves_them_out_again(tmp_path):
    root = cut_off(folders(tmp_path, {"cat": 3, "dog": 3}))
    ds = Dataset(root)
    assert [item.cause for item in ds.report.skipped] == ["truncated"] and not ds.report.partly_there
    kept = Dataset(root, keep_truncated=True)
    assert not kept.report.skipped and kept.report.partly_there == ("cat/cut.jpg",)
    assert kept.report.added == 1 and "only partly there, and kept: 'cat/cut.jpg'" in str(kept.report)
    assert kept.record("cat/cut.jpg").partly_there
    again = Dataset(root)
    assert again.keep_truncated and again.report.partly_there == ("cat/cut.jpg",) and again.report.added == 0
    out = Dataset(root, keep_truncated=False)
    assert [item.path for item in out.report.skipped] == ["cat/cut.jpg"] and not out.report.partly_there
    assert len(out.images) == 6
    with pytest.raises(DatasetError, match="keep_truncated"):
        Dataset(root, keep_truncated="yes")


def test_training_sees_what_the_data_set_shows(tmp_path):
    import shoebox

    ds = Dataset(cut_off(folders(tmp_path, {"cat": 6, "dog": 6})), keep_truncated=True)
    dls = shoebox.dataloaders(ds, size_px=32, batch_size=4)
    opened = {}
    for dataset in (dls.train_ds, dls.valid_ds):
        for number, file in enumerate(dataset.items):
            opened[file.relative_to(ds.root).as_posix()] = np.asarray(dataset[number][0])
    assert "cat/cut.jpg" in opened and len(opened) == 13
    for record in ds.images:
        assert (opened[record.path] == np.asarray(ds.open_image(record.path))).all()
        assert open_image(ds.thumbnail(record.path)).width <= 192
    assert (opened["cat/cut.jpg"] == np.asarray(open_image(CUT, truncated="keep"))).all()
