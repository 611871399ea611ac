"""The app's half of a bundle: check it, load it, predict. Needs numpy, Pillow and onnxruntime; no torch, no pickle."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from shoebox.bundle._external import refuse_external_data
from shoebox.bundle._folder import MODEL, bundle_folder, read_member
from shoebox.bundle._manifest import Manifest, read_manifest
from shoebox.bundle._records import FileRecord
from shoebox.data import ImageSource, open_image
from shoebox.errors import BundleError
from shoebox.types import Prediction

__all__ = ["Classifier", "load_classifier"]

_INPUT = ("image", "tensor(uint8)", 4)
_OUTPUTS = {"probabilities": "tensor(float)", "features": "tensor(float)"}
_MAX_THREADS = 4


def load_classifier(path: str | os.PathLike[str], *, threads: int | None = None) -> Classifier:
    """Check every file of a bundle and load its model.

    Parameters
    ----------
    path : str or Path
        The folder that `shoebox.export` wrote.
    threads : int, optional
        Threads for one prediction; at first as many as there are processors, at most 4.

    Raises
    ------
    BundleError
        No bundle, an unknown protocol, a missing, changed or linked file, or a model with other inputs and
        outputs than a bundle's. Size and SHA-256 of all files are checked before the first byte of the model is
        parsed, and what is parsed are the very bytes that were checked.

    Examples
    --------
    >>> load_classifier("models/digits").predict("seven.png").label  # doctest: +SKIP
    '7'
    """
    folder = bundle_folder(path)
    manifest = read_manifest(folder)
    contents = {name: _verified(folder, name, record) for name, record in manifest.files.items()}
    return Classifier(manifest, contents[MODEL], threads=threads)


class Classifier:
    """A model that is ready to answer; `load_classifier` gives one. May be used from several threads at once.

    Attributes
    ----------
    manifest : Manifest
        What the bundle says of itself.
    classes : tuple of str
        In the order of the model's output.
    """

    def __init__(self, manifest: Manifest, model: bytes, *, threads: int | None = None) -> None:
        self.manifest = manifest
        self.classes = manifest.classes
        self._size_bytes = len(model)
        self._session = _session(model, _checked_threads(threads))
        _check_signature(self._session, len(self.classes))
        self._run(np.full((1, 8, 8, 3), 127, np.uint8))

    def predict(self, image: ImageSource) -> Prediction:
        """The answer for one picture.

        Parameters
        ----------
        image : path, bytes, PIL image or array
            As `shoebox.open_image` takes it; turned upright by its EXIF orientation.

        Returns
        -------
        Prediction
            With every class, most probable first. `known` and `p_value` are None: this bundle cannot tell.

        Raises
        ------
        ImageError
            The picture cannot be used; a sentence says why.
        BundleError
            The model failed.
        """
        start = time.perf_counter()
        pixels = np.asarray(open_image(image), np.uint8)[None]
        probabilities = self._run(pixels)[0]
        order = np.argsort(-probabilities, kind="stable")
        ranked = {self.classes[i]: float(probabilities[i]) for i in order}
        best = self.classes[order[0]]
        return Prediction(best, ranked[best], ranked, elapsed_ms=(time.perf_counter() - start) * 1000)

    def predict_many(self, images: Iterable[ImageSource],
                     progress: Callable[[int, int], None] | None = None) -> list[Prediction]:
        """The answers in the same order, one picture after the other.

        `progress(done, total)` is called after each. The first picture that cannot be used ends it with its
        `ImageError`.
        """
        sources = list(images)
        answers = []
        for done, source in enumerate(sources, 1):
            answers.append(self.predict(source))
            if progress is not None:
                progress(done, len(sources))
        return answers

    def __repr__(self) -> str:
        width, height = self.manifest.preprocessing.size_px
        return (f"Classifier({self.manifest.name!r}, {len(self.classes)} classes, {width} x {height} px, "
                f"{self._size_bytes / 1e6:.1f} MB)")

    def _run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """uint8 (N, H, W, 3) -> probabilities (N, K) at the manifest's temperature."""
        try:
            raw = self._session.run(["probabilities"], {"image": np.ascontiguousarray(pixels)})[0]
        except Exception as error:  # onnxruntime raises a dozen classes of its own
            raise BundleError(f"The model {self.manifest.name!r} failed on a picture of {pixels.shape[2]} x "
                              f"{pixels.shape[1]} pixels ({_first_line(error)}). Export it again.") from None
        probabilities = np.asarray(raw, np.float64)
        if (probabilities.shape != (len(pixels), len(self.classes)) or not np.isfinite(probabilities).all()
                or (probabilities < 0).any() or (np.abs(probabilities.sum(axis=1) - 1) > 1e-3).any()):
            raise BundleError(f"The model {self.manifest.name!r} gave no probabilities for its {len(self.classes)} "
                              "classes. Export it again.")
        return _at_temperature(probabilities, self.manifest.temperature)


def _verified(folder: Path, name: str, record: FileRecord) -> bytes:
    data = read_member(folder, name, record.size_bytes)
    if len(data) != record.size_bytes or hashlib.sha256(data).hexdigest() != record.sha256:
        raise BundleError(f"{folder.name}/{name} is not the file that was exported: its size or SHA-256 is another. "
                          "Nothing of it was run. Export the model again, or get an unchanged copy.")
    return data


def _checked_threads(threads: int | None) -> int:
    if threads is None:
        return min(_MAX_THREADS, os.cpu_count() or 1)
    if threads < 1:
        raise BundleError(f"threads is {threads}; give a whole number from 1, or nothing.")
    return threads


def _session(model: bytes, threads: int) -> Any:
    refuse_external_data(model, MODEL)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # no slower, and a large picture leaves no memory behind
    options.log_severity_level = 4  # failures come as exceptions; nothing else belongs on a visitor's page
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen classes of its own
        raise BundleError(f"{MODEL} cannot be loaded ({_first_line(error)}). Export the model again, or update "
                          "onnxruntime.") from None


def _check_signature(session: Any, n_classes: int) -> None:
    inputs = [(item.name, item.type, len(item.shape)) for item in session.get_inputs()]
    outputs = {item.name: item.type for item in session.get_outputs()}
    shapes = {item.name: item.shape for item in session.get_outputs()}
    known = all(_OUTPUTS.get(name) == kind for name, kind in outputs.items())
    if inputs != [_INPUT] or not known or "probabilities" not in outputs:
        raise BundleError(f"{MODEL} takes {inputs} and gives {outputs}; a bundle's model takes 'image' as uint8 "
                          "(N, H, W, 3) and gives 'probabilities'. Export the model with shoebox.export.")
    if shapes["probabilities"][1:] != [n_classes]:
        raise BundleError(f"{MODEL} gives probabilities of shape {shapes['probabilities']}, but the manifest names "
                          f"{n_classes} classes. Export the model again.")


def _at_temperature(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """softmax(logits / T), from softmax(logits): p ** (1 / T), normalised."""
    if temperature == 1.0:
        return probabilities
    with np.errstate(divide="ignore"):
        scaled = np.log(probabilities) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
