"""From the book's export.pkl to a bundle: only after asking, and in a process of its own."""

from __future__ import annotations

import os
import pathlib
import pickle
import shutil
import sys

import pytest

import shoebox
from shoebox.bundle import convert, inspect, load_classifier
from shoebox.bundle._export_convert import open_learner
from shoebox.cli import main
from shoebox.data import Dataset
from shoebox.errors import BundleError
from shoebox.training import _fastai  # noqa: F401  fastai whole and quietly, before anything else imports a part

from fastai.vision.all import (  # isort: skip
    CategoryBlock, DataBlock, ImageBlock, RandomSplitter, Resize, get_image_files, parent_label, resnet18)

from fastai.vision.learner import vision_learner

from tests._pictures import folders

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The book's own cells, with three classes of drawn pictures for its bears."""
    root = tmp_path_factory.mktemp("book")
    path = folders(root / "bears", {"grizzly": 8, "black": 8, "teddy": 8})
    bears = DataBlock(blocks=(ImageBlock, CategoryBlock), get_items=get_image_files,
                      splitter=RandomSplitter(valid_pct=0.2, seed=42), get_y=parent_label, item_tfms=Resize(64))
    learn = vision_learner(bears.dataloaders(path, bs=8, num_workers=0), resnet18, pretrained=False)
    learn.path = root
    learn.export()
    return learn, root / "export.pkl", path


def test_the_books_export_becomes_a_bundle(book, tmp_path):
    learn, source, data = book
    manifest = convert(source, data, tmp_path / "model", i_trust_it=True, name="Bears")
    assert manifest == inspect(tmp_path / "model") and manifest.name == "Bears"
    assert set(manifest.classes) == {"grizzly", "black", "teddy"} and manifest.parity.max_difference < 1e-4
    picture = data / "grizzly" / "picture-000.jpg"
    with learn.no_bar(), learn.no_logging():
        label, _, probabilities = learn.predict(picture)
    answer = load_classifier(tmp_path / "model").predict(picture)
    assert answer.label == label and answer.probability == pytest.approx(float(probabilities.max()), abs=1e-4)


def test_the_command_takes_the_choices_of_export(book, tmp_path, capsys):
    _, source, data = book
    assert main(["export", str(source), str(data), str(tmp_path / "model"), "--i-trust-it", "--name", "Teddy's",
                 "--examples", "2"]) == 0
    assert "Teddy's: 3 classes" in capsys.readouterr().out and inspect(tmp_path / "model").name == "Teddy's"
    assert main(["check", str(tmp_path / "model")]) == 0
    assert "2 pictures" in capsys.readouterr().out


class Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_nothing_is_opened_before_the_person_says_so(tmp_path, capsys, monkeypatch):
    marker, source = tmp_path / "ran", tmp_path / "export.pkl"
    source.write_bytes(pickle.dumps(Payload(marker)))
    (tmp_path / "data").mkdir()
    for trust in (False, "yes", 1):
        with pytest.raises(BundleError, match=r"runs whatever code its author put into it.*i_trust_it=True"):
            convert(source, tmp_path / "data", tmp_path / "model", i_trust_it=trust)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: print(question) or "no")
    assert main(["convert", str(source), str(tmp_path / "data"), str(tmp_path / "model")]) == 1
    said = capsys.readouterr()
    assert "runs whatever code" in said.out and "Type yes" in said.out and "--i-trust-it" in said.err
    assert not marker.exists() and not (tmp_path / "model").exists()


class Who:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return eval, (f"open({str(self.file)!r}, 'w').write(str(__import__('os').getpid()))",)


def test_what_is_opened_is_opened_in_a_process_of_its_own(tmp_path):
    source, told = tmp_path / "export.pkl", tmp_path / "who"
    source.write_bytes(pickle.dumps(Who(told)))
    (tmp_path / "data").mkdir()
    with pytest.raises(BundleError, match=r"could not be opened here|no learner"):
        convert(source, tmp_path / "data", tmp_path / "model", i_trust_it=True)
    assert int(told.read_text()) != os.getpid()
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("content", "sentence"), [
    (b"not a pickle", "could not be opened here"), (b"", "could not be opened here"),
    (pickle.dumps({"a": 1}), "could not be opened here|no learner"),
])
def test_what_cannot_be_opened_is_a_sentence(tmp_path, content, sentence):
    (tmp_path / "data").mkdir()
    (tmp_path / "export.pkl").write_bytes(content)
    with pytest.raises(BundleError, match=sentence):
        convert(tmp_path / "export.pkl", tmp_path / "data", tmp_path / "model", i_trust_it=True)
    assert not (tmp_path / "model").exists()


def test_other_classes_are_refused_by_the_export(book, tmp_path):
    other = shutil.copytree(book[2], tmp_path / "other")
    (other / "teddy").rename(other / "panda")
    with pytest.raises(BundleError, match="The learner knows the classes"):
        convert(book[1], other, tmp_path / "model", i_trust_it=True)


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(BundleError, match="There is no file"):
        shoebox.convert(tmp_path / "no.pkl", tmp_path, tmp_path / "model", i_trust_it=True)


def test_a_learner_from_another_kind_of_system_opens(book, tmp_path):
    """Its path is a WindowsPath in the pickle, which pathlib refuses to make here."""
    if sys.platform == "win32":
        pytest.fail("write the same test with PosixPath")
    import zipfile

    foreign = tmp_path / "export.pkl"
    with zipfile.ZipFile(book[1]) as old, zipfile.ZipFile(foreign, "w", zipfile.ZIP_STORED) as new:
        for item in old.infolist():
            data = old.read(item)
            if item.filename.endswith("data.pkl"):
                assert b"PosixPath" in data
                data = data.replace(b"cpathlib\nPosixPath\n", b"cpathlib\nWindowsPath\n")
                assert b"WindowsPath" in data
            new.writestr(item, data)
    learn = open_learner(foreign)
    assert list(learn.dls.vocab) == ["black", "grizzly", "teddy"]
    with pytest.raises(NotImplementedError):
        pathlib.WindowsPath("x")


UNKNOWN = "no record of its training pictures"


def test_nothing_is_fitted_or_claimed_on_pictures_that_may_have_been_learned(book, tmp_path):
    """The book's split is not ours, and is not in the pickle: of our validation pictures it has learned most."""
    learn, source, data = book
    learned = {file.relative_to(data).as_posix() for file in learn.dls.train.items}
    ours = {record.path for record in Dataset(data).images if record.side == "valid"}
    assert ours & learned, "else this tests nothing"
    manifest = convert(source, data, tmp_path / "model", i_trust_it=True)
    assert (manifest.accuracy, manifest.metrics, manifest.temperature) == (None, {}, 1.0)
    assert manifest.calibration is manifest.novelty is manifest.label_sets is None
    assert manifest.parity.side == "any" and manifest.parity.n == len(Dataset(data).images)
    assert all(UNKNOWN in manifest.notes[name] for name in ("calibration", "novelty", "label_sets"))
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text("utf-8")
    for claim in ("had not learned from", "validation pictures", "Found:", "hold the right class"):
        assert claim not in card and claim not in str(manifest)
    assert f"Not measured: this learner has {UNKNOWN}" in card and f"not measured: this learner has {UNKNOWN}" in str(
        manifest)


def test_what_a_recorder_wrote_down_says_which_pictures_are_new(tmp_path):
    ds = Dataset(folders(tmp_path / "data", {"grizzly": 12, "black": 12}), valid_pct=0.4)
    learn = shoebox.vision_learner(shoebox.dataloaders(ds, size_px=32, batch_size=8), shoebox.small_cnn,
                                   pretrained=False)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    learn.path = tmp_path
    learn.export("export.pkl")
    manifest = convert(tmp_path / "export.pkl", ds.root, tmp_path / "model", i_trust_it=True)
    valid = sum(record.side == "valid" for record in ds.images)
    assert manifest.metrics["n_images"] == manifest.label_sets.n == manifest.parity.n == valid > 4
    assert manifest.parity.side == "valid"
