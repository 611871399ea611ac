"""Reading bundles of protocol 2: all that protocol 3 has, but every picture is decoded in full.

Kept because a bundle is somebody's model. What protocol 3 added, `preprocessing.least_px`, is None.
"""

from __future__ import annotations

from typing import Any

from shoebox.bundle import _fields_honest as _honest
from shoebox.bundle._checks import Section
from shoebox.bundle._fields import read_common

__all__ = ["FIELDS_2", "read_protocol_2"]

FIELDS_2 = ("protocol", "name", "created", "classes", "preprocessing", "temperature", "metrics", "parity", "dataset",
            "versions", "files", "calibration", "novelty", "label_sets", "int8", "examples", "notes")


def read_protocol_2(top: Section) -> dict[str, Any]:
    """The values of a `Manifest`."""
    values = read_common(top, fractions=False)
    return {**values, **_honest.read_honest(top, values)}
