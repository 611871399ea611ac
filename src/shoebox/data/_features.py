"""Features of pictures, kept beside the catalog by image id: what was computed once is never computed again."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shoebox.data._files import atomic_write_bytes, check_label, sha256_bytes
from shoebox.errors import DatasetError

__all__ = ["kept_features"]

_BATCH = 256


def kept_features(root: Path, name: str, image_ids: Sequence[str],
                  compute: Callable[[list[int]], NDArray[np.float32]], *,
                  progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
    """Features (N, d) of the pictures, in order; only those that are not kept yet are computed.

    Each batch is on the disk before the next begins, so an interrupted run goes on where it stopped. A file that
    is damaged, or holds another number of features than most, counts as not there.

    Parameters
    ----------
    root : Path
        The data set's folder.
    name : str
        Of whatever computes: features of different makers must not mix.
    image_ids : sequence of str, length N
        SHA-256 of each picture; equal ids are computed once.
    compute : callable (places in `image_ids`) -> float array (len(places), d)
        Called with at most 256 places.
    progress : callable (done, total), optional
        Called after each batch of new pictures.
    """
    folder = root / ".shoebox" / "features" / check_label(name)
    known = _read(folder)
    places = {image_id: place for place, image_id in reversed(list(enumerate(image_ids))) if image_id not in known}
    new = sorted(places.values())
    for first in range(0, len(new), _BATCH):
        batch = new[first:first + _BATCH]
        features = np.asarray(compute(batch), np.float16)
        if features.ndim != 2 or len(features) != len(batch) or not np.isfinite(features).all():
            raise DatasetError(f"{name!r} gave features of shape {features.shape} for {len(batch)} pictures, or NaN "
                               "among them; one row of finite numbers each was expected. Choose another backbone.")
        ids = [image_ids[place] for place in batch]
        _write(folder, ids, features)
        known.update(zip(ids, features, strict=True))
        if progress:
            progress(min(first + _BATCH, len(new)), len(new))
    if not image_ids:
        return np.zeros((0, 1), np.float32)
    return np.stack([known[image_id] for image_id in image_ids]).astype(np.float32)


def _write(folder: Path, ids: Sequence[str], features: NDArray[np.float16]) -> None:
    out = io.BytesIO()
    np.savez(out, ids=np.frombuffer("".join(ids).encode(), np.uint8), features=features)
    atomic_write_bytes(folder / f"{sha256_bytes(''.join(ids).encode())[:24]}.npz", out.getvalue())


def _read(folder: Path) -> dict[str, NDArray[np.float16]]:
    parts = [part for file in sorted(folder.glob("*.npz")) if (part := _part(file)) is not None]
    widths = [features.shape[1] for _, features in parts]
    usual = max(set(widths), key=widths.count) if widths else 0
    return {image_id: row for ids, features in parts if features.shape[1] == usual
            for image_id, row in zip(ids, features, strict=True)}


def _part(file: Path) -> tuple[list[str], NDArray[np.float16]] | None:
    """One file's ids and features; None when it is damaged."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as kept:
            text, features = kept["ids"].tobytes().decode("ascii"), kept["features"]
    except (KeyError, ValueError, OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return None
    sound = features.ndim == 2 and features.dtype == np.float16 and len(text) == 64 * len(features)
    if not sound or not np.isfinite(features).all():
        return None
    return [text[start:start + 64] for start in range(0, len(text), 64)], features
