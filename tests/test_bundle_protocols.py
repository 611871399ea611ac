"""Bundles of earlier protocols still open and still say what they said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shoebox.bundle import inspect, load_classifier
from shoebox.bundle._manifest import PROTOCOL, PROTOCOLS
from shoebox.errors import BundleError
from tests._models import edit_manifest

KEPT = Path(__file__).parent / "bundles"


def test_there_is_a_kept_bundle_of_every_earlier_protocol():
    assert {path.name for path in KEPT.iterdir()} == {f"protocol-{n}" for n in PROTOCOLS if n != PROTOCOL}


def test_a_bundle_of_protocol_1_gives_the_probabilities_it_gave():
    """Written by the code of before protocol 2, with what it answered then."""
    classifier = load_classifier(KEPT / "protocol-1")
    answer = classifier.predict(np.full((4, 4, 3), (90, 60, 40), np.uint8), explain=True)
    assert answer.probabilities == pytest.approx(
        {"red": 0.6255866742078647, "green": 0.2440842605982863, "blue": 0.130329065193849}, abs=1e-6)
    assert (answer.known, answer.p_value, answer.label_set, answer.heatmap) == (None,) * 4
    manifest = classifier.manifest
    assert manifest.protocol == 1 and manifest.temperature == 1.5
    assert (manifest.novelty, manifest.label_sets, manifest.int8, manifest.examples) == (None, None, None, ())
    assert "protocol 1" in str(manifest) and "none of these: off" in str(manifest)


def test_a_bundle_of_protocol_2_gives_the_probabilities_it_gave():
    """Written by the code of before protocol 3, with what it answered then; it decodes everything in full."""
    classifier = load_classifier(KEPT / "protocol-2")
    answer = classifier.predict(np.full((4, 4, 3), (90, 60, 40), np.uint8), explain=True)
    assert answer.probabilities == pytest.approx(
        {"red": 0.6255866742078647, "green": 0.2440842605982863, "blue": 0.130329065193849}, abs=1e-6)
    assert answer.label_set == ("red", "green") and answer.heatmap.shape == (4, 4) and answer.known is None
    noise = np.random.default_rng(2).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    assert classifier.predict(noise).probabilities == pytest.approx(
        {"blue": 0.33819753407528697, "red": 0.3350879673487661, "green": 0.32671449857594687}, abs=1e-6)
    manifest = classifier.manifest
    assert manifest.protocol == 2 and manifest.preprocessing.least_px is None and classifier.least_px is None
    assert "protocol 2" in str(manifest) and "every picture decoded in full" in str(manifest)


def test_a_fraction_is_unknown_to_protocol_2(tmp_path):
    for file in (KEPT / "protocol-2").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    edit_manifest(tmp_path, lambda values: values["preprocessing"].update(least_px=448))
    with pytest.raises(BundleError, match=r"preprocessing\.'least_px': unknown"):
        inspect(tmp_path)


def test_what_was_reserved_in_protocol_1_must_still_be_null(tmp_path):
    for file in (KEPT / "protocol-1").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    edit_manifest(tmp_path, lambda values: values.update(thresholds={"novelty": 0.5}))
    with pytest.raises(BundleError, match="thresholds: null was expected"):
        inspect(tmp_path)


def test_fields_of_another_protocol_are_unknown_to_the_old_one(tmp_path):
    for file in (KEPT / "protocol-1").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    edit_manifest(tmp_path, lambda values: values.update(novelty=None))
    with pytest.raises(BundleError, match="'novelty': unknown"):
        inspect(tmp_path)
