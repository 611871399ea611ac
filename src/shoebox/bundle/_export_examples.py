"""Pictures that travel with a bundle, with the answers of its learner."""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shoebox.bundle._draft import Draft, Picture
from shoebox.bundle._export_parity import Reference
from shoebox.bundle._fields_honest import MAX_EXAMPLES
from shoebox.bundle._records import Example
from shoebox.data import jpeg_bytes, open_image
from shoebox.errors import BundleError

__all__ = ["example_records", "make_examples"]

_SIDE_PX = 640


def make_examples(pictures: Sequence[Picture], files: Sequence[Path], n: int) -> list[tuple[str, bytes]]:
    """Label and JPEG of `n` of the pictures, class by class in turn: upright, small, without metadata."""
    if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= MAX_EXAMPLES:
        raise BundleError(f"examples is {n!r}; give a whole number from 0 to {MAX_EXAMPLES}.")
    turns: dict[str, int] = {}
    keyed = []
    for place, picture in enumerate(pictures):
        turns[picture.label] = turns.get(picture.label, -1) + 1
        keyed.append((turns[picture.label], picture.label, place))
    chosen = [(label, place) for _, label, place in sorted(keyed)[:n]]
    return [(unicodedata.normalize("NFC", label), jpeg_bytes(open_image(files[place]), side_px=_SIDE_PX, quality=92))
            for label, place in chosen]


def example_records(draft: Draft, learn: Any, examples: Sequence[tuple[str, bytes]],
                    classes: tuple[str, ...]) -> tuple[Example, ...]:
    """Put the pictures among the bundle's files, and ask the learner about these very files."""
    if not examples:
        return ()
    names = [f"example-{number:02}.jpg" for number in range(1, len(examples) + 1)]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in names]
        for file, (_, data) in zip(files, examples, strict=True):
            file.write_bytes(data)
        answers = Reference(learn, files).probabilities(lambda done: None)
    draft.files.update({name: data for name, (_, data) in zip(names, examples, strict=True)})
    return tuple(Example(name, label, tuple(float(p) for p in np.clip(row, 0, 1)))
                 for name, (label, _), row in zip(names, examples, answers, strict=True))
