"""Where a bundle is written: whole or not at all, and over nothing that is no bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoebox.bundle import _write, inspect, load_classifier
from shoebox.bundle._export import export
from shoebox.bundle._write import put_bundle
from shoebox.errors import BundleError
from shoebox.training import _fastai  # noqa: F401  fastai whole and quietly, before anything else imports a part
from tests._exported import all_asked
from tests._models import edit_manifest, tiny_bundle
from tests._pictures import draw, save

pytest_plugins = ["tests._exported_fixtures"]
pytestmark = pytest.mark.slow


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def named(path, name):
    """The files of a bundle of that name."""
    whole = contents(tiny_bundle(path))
    edit_manifest(path, lambda values: values.update(name=name))
    return {**whole, "manifest.json": (path / "manifest.json").read_bytes()}


@pytest.fixture
def drafts(tmp_path):
    return named(tmp_path / "drafts" / "1", "first"), named(tmp_path / "drafts" / "2", "second")


@pytest.fixture
def shelf(tmp_path):
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


def test_a_bundle_is_replaced_as_a_whole(ds, learn, shelf, drafts):
    put_bundle(shelf / "model", {**drafts[0]}, check=load_classifier, overwrite=True)
    assert (shelf / "model").stat().st_mode & 0o777 == 0o755
    with pytest.raises(BundleError, match="overwrite=True"):
        export(learn, ds, shelf / "model", overwrite=False)
    with pytest.raises(BundleError, match="overwrite=True"):
        put_bundle(shelf / "model", drafts[1], check=load_classifier, overwrite=False)
    assert inspect(shelf / "model").name == "first"
    export(learn, all_asked(ds, keep=lambda record: "2" in record.path), shelf / "model")
    assert load_classifier(shelf / "model").manifest.name == "model"
    assert [path.name for path in shelf.iterdir()] == ["model"]


@pytest.mark.parametrize("step", ["write", "check", "rename", "bad"])
def test_when_it_fails_late_the_old_bundle_still_stands(shelf, drafts, monkeypatch, step):
    put_bundle(shelf / "model", drafts[0], check=load_classifier, overwrite=True)
    before = contents(shelf)
    check, draft = load_classifier, dict(drafts[1])

    def disk_full(*_, **__):
        raise OSError(28, "No space left on device")

    rename = Path.rename
    if step == "write":
        monkeypatch.setattr(_write.os, "fsync", disk_full)
    elif step == "check":
        check = disk_full
    elif step == "bad":
        draft["model.onnx"] = draft["model.onnx"][:-1]
    else:
        monkeypatch.setattr(Path, "rename", lambda path, target: disk_full() if path.suffix == ".new" else
                            rename(path, target))
    with pytest.raises((OSError, BundleError), match=r"No space|model\.onnx is not the file"):
        put_bundle(shelf / "model", draft, check=check, overwrite=True)
    assert contents(shelf) == before and [path.name for path in shelf.iterdir()] == ["model"]


def test_nothing_that_is_no_bundle_is_replaced(ds, learn, shelf, drafts):
    folder, file, link, noted = (shelf / name for name in ("thesis", "a file", "link", "noted"))
    save(folder / "chapter.png", draw(1))
    file.write_text("mine")
    put_bundle(noted, drafts[0], check=load_classifier, overwrite=True)
    link.symlink_to(noted, target_is_directory=True)
    (noted / "notes.txt").write_text("mine")
    before = contents(shelf)
    for path, sentence in ((folder, "chapter.png"), (file, "is a file"), (link, "symbolic link"), (noted, "notes.txt")):
        with pytest.raises(BundleError, match=sentence):
            export(learn, ds, path)
        with pytest.raises(BundleError, match=sentence):
            put_bundle(path, drafts[1], check=load_classifier, overwrite=True)
    assert contents(shelf) == before


def test_an_empty_folder_is_filled(shelf, drafts):
    put_bundle(shelf, drafts[0], check=load_classifier, overwrite=False)
    assert contents(shelf) == drafts[0]
