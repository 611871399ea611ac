"""How sure the model may be: p-values, label sets, temperatures, "none of these" - fitted on held-out pictures only."""

from __future__ import annotations

import io
import subprocess
import sys
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shoebox.bundle import load_classifier
from shoebox.bundle._conformal import at_temperature, label_set, p_values
from shoebox.bundle._export_novelty import (
    ALARM_RATE,
    beta_band,
    fit_honest,
    fit_label_sets,
    fit_novelty,
    fit_temperature,
)
from shoebox.bundle._intervals import beta_cdf
from shoebox.bundle._novelty import distances, entropies, nearest, read_novelty
from shoebox.bundle._records import LabelSets, Novelty
from shoebox.errors import BundleError
from tests._models import CLASSES, feature_model, tiny_bundle

VALID = ["valid"] * 10_000


def blobs(seed, n, classes=4, d=12, spread=1.0):
    """Features round one corner per class, labels, and a softmax of the distances."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    corners = np.eye(classes, d) * 8
    features = np.maximum(corners[labels] + rng.normal(0, spread, (n, d)), 0)
    logits = -((features[:, None] - corners) ** 2).sum(axis=2) / 20
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return features, odds / odds.sum(axis=1, keepdims=True), labels


# the arithmetic

def test_p_values_count_the_held_out_pictures_at_least_as_strange():
    calibration = np.asarray([1.0, 2.0, 2.0, 5.0])
    assert p_values(np.asarray([0.0, 2.0, 2.1, 9.0]), calibration) == pytest.approx([1, 0.8, 0.4, 0.2])


def test_a_label_set_is_every_class_over_the_threshold_best_first():
    assert label_set(np.asarray([0.2, 0.5, 0.3]), 0.25).tolist() == [1, 2]
    assert label_set(np.asarray([0.2, 0.5, 0.3]), 0.6).tolist() == []
    assert label_set(np.asarray([0.2, 0.5, 0.3]), 0.0).tolist() == [1, 2, 0]


def test_the_beta_band_is_the_one_that_is_known():
    """For the usual 5 %, the bands as printed in the design: 50: .7-9.1, 100: 2.0-8.9, 250: 2.8-7.2 (in %)."""
    scipy = pytest.importorskip("scipy.stats")
    printed = {50: (0.007, 0.091), 100: (0.020, 0.089), 250: (0.028, 0.072)}
    for n in (50, 100, 250, 999):
        low, high = beta_band(n, 0.05)
        alarms = int((n + 1) * 0.05 + 1e-9)
        assert scipy.beta.cdf([low, high], alarms, n + 1 - alarms) == pytest.approx([0.05, 0.95])
        assert (low, high) == pytest.approx(printed.get(n, (low, high)), abs=0.0006)
        draws = np.sort(np.random.default_rng(n).random((4000, n)), axis=1)
        rates = 1 - draws[:, n - alarms]  # share of new scores over the threshold that n uniform scores set
        assert np.mean((rates >= low) & (rates <= high)) == pytest.approx(0.9, abs=0.015)
    assert beta_band(10, 0.05) == (0.0, 0.0)


def test_the_level_of_a_band_is_found_again_without_a_statistics_library():
    scipy = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for n in (1, 2, 19, 50, 1000, 50_000):
        for a in {1, n, int(rng.integers(1, n + 1))}:
            for share in (0.0, 1e-9, 0.02, a / (n + 1), 0.5, 0.999, 1.0):
                assert beta_cdf(share, a, n + 1 - a) == pytest.approx(scipy.beta.cdf(share, a, n + 1 - a), abs=1e-9)
        assert Novelty(n, 0.05, beta_band(n, 0.05)).level == pytest.approx(0.9 if n > 18 else 1.0)
    older = tuple(scipy.beta.ppf([0.025, 0.975], 5, 96))
    assert Novelty(100, 0.05, older).level == pytest.approx(0.95)
    assert Novelty(100, 0.05, (0.0, 1.0)).level == 1
    start = time.perf_counter()
    for band in ((0.0, 0.5), (1e-12, 1e-11), (0.4999, 0.5), (0.9, 0.99)):
        assert 0 <= Novelty(2**31, 0.5, band).level <= 1
    assert time.perf_counter() - start < 10, "whatever a manifest claims"


def test_label_sets_keep_their_promise_on_average():
    hits = []
    for seed in range(200):
        _, probabilities, labels = blobs(seed, 260, spread=4.0)
        fitted = fit_label_sets(probabilities[:60], labels[:60])
        hits.append(np.mean(probabilities[60:][np.arange(200), labels[60:]] >= fitted.threshold))
    assert 0.89 <= np.mean(hits) <= 0.92
    assert fit_label_sets(probabilities[:8], labels[:8]).threshold == 0


def test_the_temperature_is_found_again_and_only_with_enough_pictures():
    probabilities = blobs(3, 2000, spread=4.0)[1]
    rng = np.random.default_rng(0)
    drawn = np.asarray([rng.choice(4, p=row) for row in probabilities])  # labels that these probabilities are right for
    sharp = at_temperature(probabilities, 0.4)
    temperature, fitted = fit_temperature(sharp, drawn)
    assert temperature == pytest.approx(2.5, rel=0.15) and fitted.log_loss_after < fitted.log_loss_before
    assert fit_temperature(sharp[:99], drawn[:99]) == (1.0, None)
    assert fit_temperature(sharp[:100], drawn[:100])[1].n == 100


def test_relative_mahalanobis_is_the_one_of_ledoit_and_wolf():
    """Against scikit-learn's own covariance and inverse."""
    from sklearn.covariance import ledoit_wolf

    features, probabilities, labels = blobs(1, 120)
    model = fit_novelty(features, probabilities, labels, VALID[:120])
    means = np.stack([features[labels == c].mean(axis=0) for c in range(4)])
    inverse = np.linalg.inv(ledoit_wolf(features - means[labels], assume_centered=True)[0])
    new = blobs(2, 30)[0] + 1
    expected = np.min([np.einsum("ni,ij,nj->n", new - m, inverse, new - m) for m in means], axis=0)
    assert distances(model.classes, new) == pytest.approx(expected, rel=1e-3)
    assert nearest(model.bank, features[:5], 1) == pytest.approx(np.zeros(5), abs=1e-3)


def test_more_features_than_pictures_are_fine():
    features, probabilities, labels = blobs(5, 80, d=900)
    model = fit_novelty(features, probabilities, labels, VALID[:80])
    far = np.abs(np.random.default_rng(1).normal(0, 8, (40, 900)))
    assert model.p_values(far, np.full((40, 4), 0.25)).max() <= 0.05
    assert np.median(model.p_values(*blobs(6, 200, d=900)[:2])) > 0.2


def test_the_surest_answer_has_the_least_entropy():
    rows = np.asarray([[1 - 3e-9, 1e-9, 1e-9, 1e-9], [0.97, 0.01, 0.01, 0.01], [0.4, 0.3, 0.2, 0.1], [0.25] * 4])
    assert (np.diff(entropies(rows)) > 0).all()


# false alarms

def test_false_alarms_are_as_many_as_were_promised():
    inside, rates = 0, []
    for seed in range(60):
        features, probabilities, labels = blobs(seed, 1100)
        model = fit_novelty(features[:100], probabilities[:100], labels[:100], VALID[:100])
        rate = np.mean(model.p_values(features[100:], probabilities[100:]) <= ALARM_RATE)
        low, high = beta_band(100, ALARM_RATE)
        rates.append(rate)
        inside += low <= rate <= high
    assert inside >= 54 and 0.03 <= np.mean(rates) <= 0.06


def test_training_pictures_are_refused():
    features, probabilities, labels = blobs(1, 100)
    sides = ["valid"] * 97 + ["train", "test", "train"]
    for fit in (fit_novelty, lambda f, p, y, s: fit_honest(p, f, y, s)):
        with pytest.raises(BundleError, match="3 of 100 pictures are no validation pictures"):
            fit(features, probabilities, labels, sides)


@pytest.mark.parametrize(("n", "rare", "words"), [(49, 9, "49 held-out"), (80, 2, "2 of the smallest class")])
def test_with_too_few_pictures_it_is_left_off_and_said(n, rare, words):
    features, probabilities, labels = blobs(1, n)
    labels = np.where(labels == 3, 0, labels)
    labels[:rare] = 3
    found = fit_honest(probabilities, features, labels, VALID[:n])
    assert found.novelty is None and found.model is None and words in found.notes["novelty"]
    assert found.calibration is None and found.label_sets.n == n and "100 are needed" in found.notes["calibration"]


def test_without_features_it_is_left_off_and_said():
    _, probabilities, labels = blobs(1, 200)
    assert "last layer" in fit_honest(probabilities, None, labels, VALID[:200]).notes["novelty"]


# in the app

def novelty_bytes(model):
    return replace(model, calibration=model.calibration).to_bytes()


@pytest.fixture(scope="module")
def colours():
    """For `feature_model`: features are the mean colour; the known pictures are nearly red, green or blue."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = np.clip(np.eye(3)[labels] * 220 + rng.normal(12, 8, (90, 3)), 0, 255)
    logits = features @ np.asarray([[4, -2, -2], [-2, 4, -2], [-2, -2, 4]]) / 255 * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return fit_novelty(features, probabilities, labels, VALID[:90])


@pytest.fixture
def classifier(tmp_path, colours):
    bundle = tiny_bundle(tmp_path / "tiny", model=feature_model(), extra={"novelty.npz": colours.to_bytes()},
                         novelty=Novelty(90, 0.05, beta_band(90, 0.05)), label_sets=LabelSets(90, 0.9, 0.4))
    return load_classifier(bundle)


def test_known_colours_are_known_and_others_are_not(classifier):
    red = classifier.predict(Image.new("RGB", (9, 9), (230, 12, 14)))
    assert red.known is True and 0.05 < red.p_value <= 1 and red.label_set == ("red",)
    for colour in ((255, 255, 255), (0, 0, 0), (128, 128, 128), (240, 240, 0)):
        strange = classifier.predict(Image.new("RGB", (9, 9), colour))
        assert strange.known is False and strange.p_value == pytest.approx(1 / 91)
    assert classifier.predict(Image.new("RGB", (9, 9), (128, 128, 128))).label_set == ()
    assert set(red.timings_ms) == {"decode", "run"} and all(ms > 0 for ms in red.timings_ms.values())


def test_inspect_tells_the_band(classifier):
    words = str(classifier.manifest)
    assert "90 held-out pictures" in words and "between 1.5% and 8.4%" in words and "(90 % band)" in words
    assert "for 90% of pictures" in words


def test_scoring_needs_no_statistics_library(classifier, tmp_path):
    code = ("import sys, numpy as np, shoebox\n"
            "answer = shoebox.load_classifier(sys.argv[1]).predict(np.full((9, 9, 3), 128, np.uint8), explain=True)\n"
            "print(answer.known, [m for m in ('sklearn', 'scipy', 'pandas', 'torch', 'onnx') if m in sys.modules])\n")
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path / "tiny")], capture_output=True, text=True,
                         check=False)
    assert (ran.stdout, ran.stderr) == ("False []\n", "")


def test_the_numbers_survive_writing_and_reading(colours):
    again = read_novelty(colours.to_bytes(), "novelty.npz", n_classes=3, n=90)
    features = np.random.default_rng(1).random((20, 3)) * 255
    probabilities = np.full((20, 3), 1 / 3)
    assert again.scores(features, probabilities) == pytest.approx(colours.scores(features, probabilities), rel=1e-5)
    assert colours.to_bytes() == colours.to_bytes()


def npz(**changes):
    def write(model):
        out, source = io.BytesIO(), np.load(io.BytesIO(model.to_bytes()))
        arrays = {name: changes.get(name, source[name]) for name in source}
        arrays |= {name: value for name, value in changes.items() if name not in arrays}
        np.savez(out, **{name: value for name, value in arrays.items() if value is not None})
        return out.getvalue()
    return write


def claims_two_gigabytes(model):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**29,)})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("bank.npy", header.getvalue())
    return out.getvalue()


def squeezed(model):
    out = io.BytesIO()
    np.savez_compressed(out, bank=np.zeros((1000, 1000)))
    return out.getvalue()


HARMED = {
    "nothing": lambda model: b"", "text": lambda model: b"not a zip", "cut": lambda model: model.to_bytes()[:-30],
    "a pickle": npz(bank=np.asarray([{"a": 1}], object)), "another class": npz(classes_means=np.zeros((4, 3), "f4")),
    "NaN": npz(scale=np.asarray([1, np.nan, 1.0])), "no scale": npz(scale=np.zeros(3)), "missing": npz(k=None),
    "more": npz(extra=np.zeros(1)), "unsorted": npz(calibration=np.arange(90.0)[::-1]),
    "fewer": npz(calibration=np.zeros(9)),
    "k": npz(k=np.asarray(99)), "text in it": npz(bank=np.asarray([["a"]])), "2 GB": claims_two_gigabytes,
    "compressed": squeezed, "no bank": npz(bank=np.zeros(3, "f4")),
}


@pytest.mark.parametrize("harm", HARMED)
def test_other_numbers_are_refused_in_a_sentence(tmp_path, colours, harm):
    data = HARMED[harm](colours) or b"\0"
    bundle = tiny_bundle(tmp_path / "tiny", model=feature_model(), extra={"novelty.npz": data},
                         novelty=Novelty(90, 0.05, (0.0, 0.1)))
    with pytest.raises(BundleError, match=r"novelty\.npz cannot be used"):
        load_classifier(bundle)


@settings(deadline=None)
@given(place=st.floats(0, 1), value=st.integers(1, 255), cut=st.booleans())
def test_damage_anywhere_is_our_error_or_harmless(colours, place, value, cut):
    data = bytearray(colours.to_bytes())
    at = int(place * (len(data) - 1))
    data[at] ^= value
    try:
        read_novelty(bytes(data[:at] if cut else data), "novelty.npz", n_classes=3, n=90)
    except BundleError as error:
        assert "cannot be used" in str(error)


def test_novelty_without_features_is_refused(tmp_path, colours):
    bundle = tiny_bundle(tmp_path / "tiny", extra={"novelty.npz": colours.to_bytes()},
                         novelty=Novelty(90, 0.05, (0.0, 0.1)))
    with pytest.raises(BundleError, match="gives no 'features'"):
        load_classifier(bundle)
    assert CLASSES
