"""Reading bundles of protocol 1: probabilities and sometimes features, without "none of these" or calibration.

Kept because a bundle is somebody's model. What protocol 2 added (calibration, novelty, label sets, weights of 8
bits, examples, notes) is absent; what it dropped (`thresholds`, always null) is checked to be null.
"""

from __future__ import annotations

from typing import Any

from shoebox.bundle import _fields
from shoebox.bundle._checks import Section

__all__ = ["FIELDS_1", "read_protocol_1"]

FIELDS_1 = ("protocol", "name", "created", "classes", "preprocessing", "temperature", "thresholds", "metrics", "parity",
            "dataset", "versions", "files")


def read_protocol_1(top: Section) -> dict[str, Any]:
    """The values of a `Manifest`; those it has defaults for are left to them."""
    _fields.check_null(top, "thresholds")
    return _fields.read_common(top, fractions=False)
