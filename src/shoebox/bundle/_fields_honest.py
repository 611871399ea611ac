"""The checks of the manifest's fields that say how sure the model may be, and of its further files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from shoebox.bundle._checks import Section, is_plain_text
from shoebox.bundle._records import Calibration, Example, LabelSets, Novelty, Precision

__all__ = ["MAX_EXAMPLES", "NOTED", "read_honest"]

MAX_EXAMPLES = 50
NOTED = ("calibration", "novelty", "label_sets", "int8", "heatmap")
_MAX_PICTURES = 2**31


def read_honest(top: Section, values: Mapping[str, Any]) -> dict[str, Any]:
    """What protocols 2 and 3 have beside what is common to all; `values` are those, read already."""
    classes, files = values["classes"], values["files"]
    return {"calibration": _calibration(top), "novelty": _novelty(top, files), "label_sets": _label_sets(top),
            "int8": _int8(top, files), "examples": _examples(top, classes, files), "notes": _notes(top)}


def _calibration(top: Section) -> Calibration | None:
    """The pictures and log-losses behind the temperature; null goes with a temperature of 1."""
    section = top.optional("calibration", Calibration.__dataclass_fields__)
    if section is None:
        if top.raw("temperature") not in (1, None):
            top.fault("calibration", "a temperature other than 1 needs its calibration")
        return None
    return Calibration(section.integer("n", 1, _MAX_PICTURES), section.number("log_loss_before", 0, 1e6),
                       section.number("log_loss_after", 0, 1e6))


def _novelty(top: Section, files: Collection[str]) -> Novelty | None:
    """Threshold and band of "none of these", and a file that the bundle has."""
    section = top.optional("novelty", Novelty.__dataclass_fields__)
    if section is None:
        return None
    band = section.numbers("band", 2, 0.0, 1.0)
    if band is None or len(band) < 2 or band[0] > band[1]:
        section.fault("band", "a low and a high share were expected, in this order")
        band = (0.0, 1.0)
    return Novelty(section.integer("n", 1, _MAX_PICTURES), section.number("alarm_rate", 1e-9, 0.5),
                   (band[0], band[1]), _file(section, files))


def _label_sets(top: Section) -> LabelSets | None:
    """Coverage and threshold of the label sets."""
    section = top.optional("label_sets", LabelSets.__dataclass_fields__)
    if section is None:
        return None
    return LabelSets(section.integer("n", 1, _MAX_PICTURES), section.number("coverage", 0.5, 1.0),
                     section.number("threshold", 0.0, 1.0))


def _int8(top: Section, files: Collection[str]) -> Precision | None:
    """What the weights of 8 bits cost, and their file."""
    section = top.optional("int8", Precision.__dataclass_fields__)
    if section is None:
        return None
    n, bound = section.integer("n", 1, _MAX_PICTURES), section.number("bound", 1e-12, 1.0)
    return Precision(_file(section, files), n, section.number("max_difference", 0.0, 1.0), bound,
                     section.integer("same_labels", 0, n))


def _examples(top: Section, classes: Collection[str], files: Collection[str]) -> tuple[Example, ...]:
    """Pictures of the bundle with one probability per class each."""
    found = []
    for section in top.sections("examples", Example.__dataclass_fields__, MAX_EXAMPLES):
        label = section.text("label", max_chars=255)
        if label not in classes:
            section.fault("label", f"{label[:70]!r} is none of the classes")
        probabilities = section.numbers("probabilities", len(classes), 0.0, 1.0)
        if probabilities is None:
            section.fault("probabilities", "one probability per class was expected")
        found.append(Example(_file(section, files), label, probabilities or ()))
    return tuple(found)


def _notes(top: Section) -> dict[str, str]:
    """Sentences about what was left off, by feature."""
    section = top.section("notes", ())
    for key, value in section.items():
        if key not in NOTED:
            section.fault(repr(key[:70]), f"one of {', '.join(NOTED)} was expected")
        if not isinstance(value, str) or not is_plain_text(value, 1000):
            section.fault(repr(key[:70]), "a sentence was expected")
    return dict(section.items())


def _file(section: Section, files: Collection[str]) -> str:
    name = section.text("file", max_chars=100)
    if name and name not in files:
        section.fault("file", f"{name!r} is none of the bundle's files")
    return name
