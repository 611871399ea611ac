"""Refused pictures become a class of their own."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import shoebox
from shoebox.bundle import load_classifier
from shoebox.bundle._export_novelty import fit_novelty
from shoebox.bundle._records import Novelty
from shoebox.data import Dataset
from shoebox.errors import BundleError, DatasetError
from tests._models import feature_model, tiny_bundle
from tests._pictures import folders, save


@pytest.fixture
def classifier(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = np.clip(np.eye(3)[labels] * 220 + rng.normal(12, 8, (90, 3)), 0, 255)
    odds = np.exp(features @ np.asarray([[4, -2, -2], [-2, 4, -2], [-2, -2, 4]]) / 255 * 2)
    model = fit_novelty(features, odds / odds.sum(axis=1, keepdims=True), labels, ["valid"] * 90)
    return load_classifier(tiny_bundle(tmp_path / "model", model=feature_model(), novelty=Novelty(90, 0.05, (0, 0.1)),
                                       extra={"novelty.npz": model.to_bytes()}))


def test_what_is_refused_becomes_a_class_and_the_originals_stay(tmp_path, classifier):
    ds = Dataset(folders(tmp_path / "data", {"red": 3, "green": 3, "blue": 3}))
    inbox = [save(tmp_path / "inbox" / "red.png", Image.new("RGB", (9, 9), (230, 12, 14))),
             save(tmp_path / "inbox" / "white.png", Image.new("RGB", (9, 9), "white")),
             save(tmp_path / "inbox" / "grey.PNG", Image.new("RGB", (9, 9), "gray")), tmp_path / "inbox" / "no.jpg"]
    report = shoebox.add_other(ds, classifier, inbox)
    assert (report.added, len(report.skipped)) == (2, 1) and "no.jpg" in report.skipped[0].sentence
    assert ds.classes == ("blue", "green", "other", "red") and sum(r.label == "other" for r in ds.images) == 2
    assert all(path.exists() for path in inbox[:3])
    assert shoebox.add_other(ds, classifier, inbox[1:3]).already_there == 2


def test_a_model_that_cannot_tell_is_refused(tmp_path):
    ds = Dataset(folders(tmp_path / "data", {"red": 3, "green": 3}))
    with pytest.raises(BundleError, match="cannot tell what is none"):
        shoebox.add_other(ds, load_classifier(tiny_bundle(tmp_path / "model")), [])


def test_the_name_of_the_class_is_checked(tmp_path, classifier):
    ds = Dataset(folders(tmp_path / "data", {"red": 3, "green": 3}))
    with pytest.raises(DatasetError):
        shoebox.add_other(ds, classifier, [], label="../up")
