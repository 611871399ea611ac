"""The app's half of the bundle: what `predict` gives."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from shoebox.bundle import load_classifier
from shoebox.errors import BundleError, ImageError
from tests._models import CLASSES, WEIGHTS, tiny_bundle
from tests._pictures import AWKWARD, CYRILLIC, draw, save

NAMES = (CYRILLIC, AWKWARD, "🐻 | `x` \\ 熊")


@pytest.fixture
def bundle(tmp_path):
    return tiny_bundle(tmp_path / "tiny")


def test_every_kind_of_picture_gives_the_same_answer(bundle, tmp_path):
    classifier = load_classifier(bundle)
    image = Image.new("RGB", (30, 20), (250, 10, 10))
    path = save(tmp_path / "red.png", image)
    answers = [classifier.predict(source) for source in
               (path, str(path), path.read_bytes(), memoryview(path.read_bytes()), image, np.asarray(image))]
    assert {answer.label for answer in answers} == {"red"}
    assert len({tuple(answer.probabilities.items()) for answer in answers}) == 1


def test_probabilities_are_the_models_own_best_first(bundle):
    answer = load_classifier(bundle).predict(Image.new("RGB", (5, 7), (20, 200, 120)))
    logits = np.asarray([20, 200, 120]) @ (WEIGHTS.astype(float) / 255 * 2)
    expected = np.exp(logits) / np.exp(logits).sum()
    assert list(answer.probabilities) == ["green", "blue", "red"] == [label for label, _ in answer.top()]
    assert [answer.probabilities[label] for label in CLASSES] == pytest.approx(expected, abs=1e-6)
    assert answer.probability == answer.probabilities["green"] and answer.elapsed_ms > 0
    assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert answer.known is None and answer.p_value is None


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_divides_the_logits(tmp_path, temperature):
    classifier = load_classifier(tiny_bundle(tmp_path / "warm", temperature=temperature))
    answer = classifier.predict(Image.new("RGB", (4, 4), (90, 60, 40)))
    logits = np.asarray([90, 60, 40]) @ (WEIGHTS.astype(float) / 255 * 2) / temperature
    expected = np.exp(logits) / np.exp(logits).sum()
    assert [answer.probabilities[label] for label in CLASSES] == pytest.approx(expected, abs=1e-5)


def test_a_phone_photo_is_turned_upright(bundle, tmp_path):
    """Upper half red as seen, left half red as stored: only the upright picture has the right pixels."""
    shapes = []
    classifier = load_classifier(bundle)
    inner = classifier._run
    classifier._run = lambda pixels, more: shapes.append(pixels.shape) or inner(pixels, more)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "phone.jpg", draw(1, (40, 20)), exif=exif)
    classifier.predict(path)
    assert shapes == [(1, 40, 20, 3)]


def test_a_broken_picture_is_an_image_error(bundle, tmp_path):
    classifier = load_classifier(bundle)
    data = save(tmp_path / "whole.jpg", draw(2)).read_bytes()
    for broken in (b"", b"text", data[:200], tmp_path / "not-there.jpg", np.zeros((3, 3), np.float32)):
        with pytest.raises(ImageError):
            classifier.predict(broken)
    assert classifier.predict(data).label in CLASSES


def test_many_pictures_come_back_in_order_with_progress(bundle):
    colours = [(250, 0, 0), (0, 0, 250), (0, 250, 0), (250, 0, 0)]
    heard = []
    answers = load_classifier(bundle).predict_many((Image.new("RGB", (9, 9), colour) for colour in colours),
                                                   lambda done, total: heard.append((done, total)))
    assert [answer.label for answer in answers] == ["red", "blue", "green", "red"]
    assert heard == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert load_classifier(bundle).predict_many([]) == []


def test_many_pictures_of_any_size_are_each_as_alone(bundle):
    classifier = load_classifier(bundle, threads=3)
    pictures = [draw(seed, (20 + 7 * seed % 50, 30 + seed)) for seed in range(23)]
    alone = [classifier.predict(picture).probabilities for picture in pictures]
    for batch_size in (1, 7, 32):
        together = classifier.predict_many(pictures, batch_size=batch_size)
        assert [answer.probabilities for answer in together] == alone
    with pytest.raises(BundleError, match="batch_size is 0"):
        classifier.predict_many(pictures, batch_size=0)


def test_the_first_picture_that_cannot_be_used_ends_it(bundle):
    heard = []
    with pytest.raises(ImageError, match="empty"):
        load_classifier(bundle).predict_many([draw(1), draw(2), b"", b"text", draw(3)],
                                             lambda done, total: heard.append(done))
    assert heard == [1, 2]


def test_threads_share_one_classifier(bundle):
    classifier = load_classifier(bundle, threads=1)
    pictures = [draw(seed, (20 + seed, 50 - seed)) for seed in range(24)]
    alone = [classifier.predict(picture).probabilities for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda picture: classifier.predict(picture).probabilities, pictures * 4))
    assert together == alone * 4


def test_the_number_of_threads_is_checked(bundle):
    with pytest.raises(BundleError, match="threads is 0"):
        load_classifier(bundle, threads=0)


def test_a_classifier_says_what_it_is_in_a_line(bundle):
    assert repr(load_classifier(bundle)) == "Classifier('Tiny', 3 classes, 8 x 8 px, 0.0 MB)"


def test_class_names_in_any_script_come_through(tmp_path):
    nfd = tuple(unicodedata.normalize("NFD", name) for name in NAMES)
    classifier = load_classifier(tiny_bundle(tmp_path / "папка с 'именем'", classes=nfd))
    assert classifier.classes == NAMES
    assert set(classifier.predict(Image.new("RGB", (4, 4))).probabilities) == set(NAMES)
    assert classifier.manifest.dataset.counts == dict.fromkeys(NAMES, 2)


# the app half stays small

def test_a_fresh_process_loads_and_predicts_without_the_studio(bundle, tmp_path):
    path = save(tmp_path / "red.jpg", Image.new("RGB", (50, 40), "red"))
    code = ("import sys\n"
            "import shoebox\n"
            "answer = shoebox.load_classifier(sys.argv[1]).predict(sys.argv[2])\n"
            "studio = ('torch', 'torchvision', 'fastai', 'fastcore', 'onnx', 'onnxscript', 'sklearn', 'pandas', "
            "'matplotlib', 'IPython', 'ipywidgets', 'anywidget', 'pickletools', 'cloudpickle')\n"
            "print(answer.label, sorted(set(studio) & set(sys.modules)))\n")
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code, str(bundle), str(path)], capture_output=True,
                         text=True, check=False, cwd=tmp_path)
    assert (ran.stdout, ran.stderr) == ("red []\n", "")


@pytest.mark.parametrize(("own", "seen"), [(None, "4"), ("9", "9")])
def test_numpys_threads_sleep_when_loading_imports_it_and_the_environment_stays_as_it_was(bundle, tmp_path, own, seen):
    code = ("import os, sys\n"
            "seen = []\n"
            "sys.addaudithook(lambda event, args: seen.append(os.environ.get('OPENBLAS_THREAD_TIMEOUT'))\n"
            "                 if event == 'import' and args[0] == 'numpy' else None)\n"
            "import shoebox\n"
            "shoebox.load_classifier(sys.argv[1])\n"
            "print(seen[0], os.environ.get('OPENBLAS_THREAD_TIMEOUT'))\n")
    environment = {**os.environ, **({} if own is None else {"OPENBLAS_THREAD_TIMEOUT": own})}
    ran = subprocess.run([sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, check=True,
                         cwd=tmp_path, env=environment)
    assert ran.stdout == f"{seen} {own}\n"
