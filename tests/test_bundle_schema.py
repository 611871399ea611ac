"""The published schema and the reader agree: on what is written, and on random changes of it."""

from __future__ import annotations

import copy
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from shoebox.bundle import Manifest, inspect
from shoebox.bundle._manifest import checksum
from shoebox.bundle._records import Calibration, Example, LabelSets, Novelty, Precision
from shoebox.errors import BundleError
from tests._models import tiny_bundle

ROOT = Path(__file__).parent.parent
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs" / "manifest.schema.json").read_bytes()))


def _full():
    with tempfile.TemporaryDirectory() as folder:
        bundle = tiny_bundle(
            Path(folder) / "t", temperature=1.5, extra={"novelty.npz": b"x", "a.onnx": b"y", "example-1.jpg": b"z"},
            novelty=Novelty(60, 0.05, (0.01, 0.1)), label_sets=LabelSets(60, 0.9, 0.3), notes={"heatmap": "Left off."},
            int8=Precision("a.onnx", 60, 0.1, 0.2, 59), examples=(Example("example-1.jpg", "red", (1.0, 0.0, 0.0)),))
        assert inspect(bundle).calibration == Calibration(100, 1.0, 0.9)
        return json.loads((bundle / "manifest.json").read_bytes())


FULL = _full()


def places(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


def accepts(values):
    try:
        Manifest.from_json(json.dumps({**values, "checksum": checksum(values)}).encode())
    except BundleError:
        return False
    return True


def test_the_schema_is_one_and_takes_what_is_written():
    Draft202012Validator.check_schema(SCHEMA.schema)
    SCHEMA.validate(FULL)
    SCHEMA.validate(json.loads((ROOT / "binder" / "digits" / "manifest.json").read_bytes()))
    assert accepts(FULL)
    assert set(SCHEMA.schema["properties"]) == {*Manifest.__dataclass_fields__, "checksum"} == set(FULL)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.integers(), st.floats(allow_nan=False, width=32),
                   st.text(max_size=4), st.sampled_from(["squish", "pad", "a.onnx", "model.onnx", "red", "0" * 64]),
                   st.lists(st.integers(0, 2), max_size=4), st.dictionaries(st.text(max_size=3), st.none(), max_size=1))


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_the_reader_takes_nothing_that_the_schema_refuses(data):
    """The other way round the reader is stricter: it knows what belongs together."""
    values = copy.deepcopy(FULL)
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from([p for p in places(values) if p]))
        where = values
        for key in path[:-1]:
            where = where[key]
        if isinstance(where, dict) and data.draw(st.booleans()):
            where.pop(path[-1])
        else:
            where[path[-1]] = data.draw(VALUES)
    values["checksum"] = FULL["checksum"]
    if accepts(values):
        assert SCHEMA.is_valid(values), [error.message for error in SCHEMA.iter_errors(values)]


@pytest.mark.parametrize("path", [p for p in places(FULL) if p and p[0] not in ("checksum", "versions", "metrics")],
                         ids=lambda path: ".".join(map(str, path)))
def test_both_refuse_the_same_wrong_types(path):
    for wrong in (True, {"x": [1]}, "\n", -10**20):
        values = copy.deepcopy(FULL)
        where = values
        for key in path[:-1]:
            where = where[key]
        where[path[-1]] = wrong
        assert not accepts(values)
        assert not SCHEMA.is_valid({**values, "checksum": "0" * 64}), wrong


def test_both_refuse_unknown_names():
    for path in [p for p in places(FULL) if p in ((), ("preprocessing",), ("novelty",), ("int8",), ("parity",))]:
        values = copy.deepcopy(FULL)
        where = values
        for key in path:
            where = where[key]
        where["pizza"] = 1
        assert not accepts(values) and not SCHEMA.is_valid(values)
