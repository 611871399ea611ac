""""None of these": how unlike the known classes a picture is, in plain numpy.

The mean of three scores of the network's features and probabilities, each scaled on held-out pictures:

- relative Mahalanobis distance (Ren et al., 2021): to the nearest class's mean, less the distance to the mean of all;
- distance to the nearest held-out pictures, by direction of the features (Sun et al., 2022);
- generalised entropy of the probabilities (GEN, Liu et al., 2023).

Fitted by `shoebox.bundle._export_novelty`; here are only the numbers of `novelty.npz` and the arithmetic.
"""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoebox.bundle._conformal import p_values
from shoebox.errors import BundleError

__all__ = ["Gaussian", "NoveltyModel", "distances", "entropies", "nearest", "read_novelty"]

_GAMMA, _TOP = 0.1, 100  # of GEN, as its authors have them
_MAX_BYTES = 2**28

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Gaussian:
    """A covariance shrunk towards a multiple of one (Ledoit and Wolf): exact in `rank` directions, alike in the rest.

    Attributes
    ----------
    means : array (M, d)
        Distances are to the nearest of them.
    basis : array (rank, d)
        Orthonormal directions.
    gains : array (rank,)
        What the squared length along each counts.
    rest : float
        What it counts in every other direction.
    """

    means: NDArray[Any]
    basis: NDArray[Any]
    gains: NDArray[Any]
    rest: float


@dataclass(frozen=True)
class NoveltyModel:
    """The numbers behind "none of these".

    Attributes
    ----------
    classes, everything : Gaussian
        One mean per class with the scatter round it; one mean of all.
    bank : array (n, d)
        Features of held-out pictures, each of length 1.
    k : int
        How many of them are the nearest.
    location, scale : array (3,)
        Turn the three scores into comparable ones.
    calibration : array (n,)
        The score of every held-out picture, found without it; sorted.
    """

    classes: Gaussian
    everything: Gaussian
    bank: NDArray[Any]
    k: int
    location: Floats
    scale: Floats
    calibration: Floats

    def scores(self, features: Floats, probabilities: Floats) -> Floats:
        """(N,) of features (N, d) and probabilities (N, K) before any temperature; higher is stranger."""
        return np.asarray(((self.raw(features, probabilities) - self.location) / self.scale).mean(axis=1), np.float64)

    def raw(self, features: Floats, probabilities: Floats) -> Floats:
        """The three scores (N, 3) as they are; higher is stranger in each."""
        relative = distances(self.classes, features) - distances(self.everything, features)
        return np.stack([relative, nearest(self.bank, features, self.k), entropies(probabilities)], axis=1)

    def p_values(self, features: Floats, probabilities: Floats) -> Floats:
        """(N,) shares of held-out pictures at least as strange, 0 to 1; lower is stranger."""
        return p_values(self.scores(features, probabilities), self.calibration)

    def to_bytes(self) -> bytes:
        """`novelty.npz`."""
        out = io.BytesIO()
        np.savez(out, **_flat(self))  # type: ignore[arg-type]  # numpy's stub takes the names for its switches
        return out.getvalue()


def distances(gaussian: Gaussian, features: Floats) -> Floats:
    """Squared Mahalanobis distance (N,) of features (N, d) to the nearest mean."""
    basis, rest = gaussian.basis.astype(np.float64), float(gaussian.rest)
    found = np.full(len(features), np.inf)
    for mean in gaussian.means.astype(np.float64):
        offset = features - mean
        along = offset @ basis.T
        beside = ((offset - along @ basis) ** 2).sum(axis=1)
        found = np.minimum(found, rest * beside + along**2 @ gaussian.gains.astype(np.float64))
    return found


def nearest(bank: NDArray[Any], features: Floats, k: int) -> Floats:
    """Mean distance (N,) from the direction of features (N, d) to the `k` nearest of `bank` (n, d), 0 to 2."""
    cosines = unit(features) @ bank.astype(np.float64).T
    closest = np.sort(cosines, axis=1)[:, -k:]
    return np.asarray(np.sqrt(np.maximum(2 - 2 * closest, 0)).mean(axis=1), np.float64)


def unit(features: Floats) -> Floats:
    """Features (N, d) of length 1."""
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12), np.float64)


def entropies(probabilities: Floats) -> Floats:
    """Generalised entropy (N,) of the most probable classes of (N, K): sum of (p (1 - p)) ** 0.1."""
    best = -np.sort(-probabilities, axis=1)
    others = np.maximum(best.sum(axis=1, keepdims=True) - best, 0)
    others[:, 0] = best[:, 1:].sum(axis=1)  # 1 - p without losing what single precision rounds away
    return np.asarray((np.maximum(best * others, 1e-30) ** _GAMMA)[:, :_TOP].sum(axis=1), np.float64)


def read_novelty(data: bytes, where: str, *, n_classes: int, n: int) -> NoveltyModel:
    """The numbers in `novelty.npz`; `BundleError` for anything else. No pickle, and no more memory than the file has.

    Parameters
    ----------
    data : bytes
        The file, already checked against its SHA-256.
    where : str
        How the sentence calls it.
    n_classes, n : int
        Classes, and held-out pictures, that the manifest tells of.
    """
    try:
        return _checked(_arrays(data), n_classes, n)
    except (ValueError, KeyError, OSError, EOFError, NotImplementedError, RuntimeError, SyntaxError,
            zipfile.BadZipFile) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise BundleError(f"{where} cannot be used ({reason}). Export the model again, or get an unchanged "
                          "copy.") from None


def _flat(model: NoveltyModel) -> dict[str, NDArray[Any]]:
    flat: dict[str, NDArray[Any]] = {}
    for part in ("classes", "everything"):
        gaussian = getattr(model, part)
        flat |= {f"{part}_{f.name}": np.asarray(getattr(gaussian, f.name), np.float32) for f in fields(Gaussian)}
    return flat | {"bank": model.bank.astype(np.float32), "k": np.asarray(model.k, np.int64),
                   "location": model.location, "scale": model.scale, "calibration": model.calibration}


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    """As `np.load(allow_pickle=False)`, but what a header claims must be there before memory is taken for it."""
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{len(data):,} bytes; at most {_MAX_BYTES:,} were expected")
    found = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for item in archive.infolist():
            if item.compress_type != zipfile.ZIP_STORED or item.file_size > len(data):
                raise ValueError(f"{item.filename[:70]!r} is compressed or larger than the file")
            found[item.filename.removesuffix(".npy")] = _array(archive.read(item))
    return found


def _array(data: bytes) -> NDArray[Any]:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError("a .npy header of version 1.0 was expected")
    shape, fortran, kind = np.lib.format.read_array_header_1_0(file)
    if kind not in (np.float32, np.float64, np.int64) or fortran:
        raise ValueError(f"numbers of {kind} came; float32, float64 or int64 in rows were expected")
    rest = data[file.tell():]
    if len(rest) != math.prod(shape) * kind.itemsize:
        raise ValueError(f"{len(rest):,} bytes came for the shape {shape}")
    return np.frombuffer(rest, kind).reshape(shape)


def _checked(arrays: dict[str, NDArray[Any]], n_classes: int, n: int) -> NoveltyModel:
    names = {*(f"{part}_{f.name}" for part in ("classes", "everything") for f in fields(Gaussian)),
             "bank", "k", "location", "scale", "calibration"}
    if set(arrays) != names:
        raise ValueError(f"the arrays {', '.join(sorted(names))} were expected; {', '.join(sorted(arrays))[:300]} came")
    d = arrays["bank"].shape[-1] if arrays["bank"].ndim == 2 else 0
    wanted: dict[str, tuple[int | None, ...]] = {
        "classes_means": (n_classes, d), "everything_means": (1, d), "bank": (None, d), "k": (), "location": (3,),
        "scale": (3,), "calibration": (n,), "classes_rest": (), "everything_rest": ()}
    for part in ("classes", "everything"):
        wanted[f"{part}_basis"], wanted[f"{part}_gains"] = (None, d), (len(arrays[f"{part}_basis"]),)
    for name, shape in wanted.items():
        _check_shape(name, arrays[name], shape)
    k = int(arrays["k"])
    if not 1 <= k <= len(arrays["bank"]) or (arrays["scale"] <= 0).any() or (np.diff(arrays["calibration"]) < 0).any():
        raise ValueError("its neighbours, scale or order are impossible")
    parts = [Gaussian(arrays[f"{part}_means"], arrays[f"{part}_basis"], arrays[f"{part}_gains"],
                      float(arrays[f"{part}_rest"])) for part in ("classes", "everything")]
    return NoveltyModel(parts[0], parts[1], arrays["bank"], k, *(arrays[name].astype(np.float64) for name in
                                                                ("location", "scale", "calibration")))


def _check_shape(name: str, array: NDArray[Any], shape: tuple[int | None, ...]) -> None:
    right = array.ndim == len(shape) and all(b is None or a == b for a, b in zip(array.shape, shape, strict=True))
    if not right or not np.isfinite(array).all():
        raise ValueError(f"{name} of the shape {array.shape} came; {shape} of finite numbers were expected")
