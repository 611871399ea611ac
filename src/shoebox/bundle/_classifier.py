"""The app's half of a bundle: check it, load it, predict. Needs numpy, Pillow and onnxruntime; no torch, no pickle."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoebox.bundle._conformal import at_temperature, label_set
from shoebox.bundle._load import model_file
from shoebox.bundle._manifest import Manifest
from shoebox.bundle._sealed import Sealed
from shoebox.bundle._session import check_signature, checked_threads, open_session
from shoebox.bundle._shape import can_shape, shaped
from shoebox.bundle._turns import Turns, processors
from shoebox.data import ImageSource, open_image
from shoebox.errors import BundleError
from shoebox.types import Prediction

if TYPE_CHECKING:
    from shoebox.bundle._novelty import NoveltyModel

__all__ = ["Classifier"]


class Classifier:
    """A model that is ready to answer; `load_classifier` gives one. May be used from several threads at once.

    Loading answers one small picture, so that the first real one need not wait and a model that cannot answer is
    found out.

    Parameters
    ----------
    manifest : Manifest
        What the bundle says of itself.
    session : onnxruntime.InferenceSession or bytes
        Of `model.onnx`, or another precision of it, that was checked against the manifest, opened for as many
        `threads`; or its bytes.
    novelty : bytes, optional
        `novelty.npz`, when the manifest tells of one.
    threads : int, optional
        Threads of one prediction; as many as there are processors, at most 4, unless given.
    precision : str
        Of the model.
    turns : path, optional
        As in `load_classifier`.

    Attributes
    ----------
    manifest : Manifest
        What the bundle says of itself.
    classes : tuple of str
        In the order of the model's output.
    threads : int
        As above.
    precision : str
        `full` or `int8`.
    least_px : int or None
        At what fraction a JPEG is decoded, as in training: see `shoebox.open_image`.
    """

    def __init__(self, manifest: Manifest, session: Any, *, novelty: bytes | None = None,
                 threads: int | None = None, precision: str = "full",
                 turns: str | os.PathLike[str] | None = None) -> None:
        self.manifest = manifest
        self.classes = manifest.classes
        self.threads = checked_threads(threads)
        self.precision = precision
        self._turn = nullcontext if turns is None else Turns(turns, max(1, processors() // self.threads)).taken
        self.least_px = manifest.preprocessing.least_px
        self._name = model_file(manifest, precision)
        self._session = (open_session(Sealed(session), self._name, self.threads) if isinstance(session, bytes)
                         else session)
        self._outputs = check_signature(self._session, self._name, len(self.classes))
        self._novelty = self._read_novelty(novelty)
        self._shapes = can_shape(manifest)
        self._run(np.full((1, 8, 8, 3), 127, np.uint8))

    def predict(self, image: ImageSource, *, explain: bool = False) -> Prediction:
        """The answer for one picture.

        Parameters
        ----------
        image : path, bytes, PIL image or array
            As `shoebox.open_image` takes it; turned upright by its EXIF orientation. A JPEG that comes as path or bytes
            is decoded as in training, a large one at a fraction of its size (`least_px`). Of a PIL image or an array
            the pixels are taken as they are, and those of a JPEG that was decoded otherwise can give a slightly other
            answer; `open_image(path, least_px=classifier.least_px)` decodes as `predict` does.
        explain : bool
            Say also where the answer was seen: `heatmap` of the result, when the bundle can.

        Returns
        -------
        Prediction
            With every class, most probable first. `known` and `p_value` are None when the bundle has no "none of
            these", `label_set` is None when it has no label sets; `manifest.notes` says why.

        Raises
        ------
        ImageError
            The picture cannot be used; a sentence says why.
        BundleError
            The model failed.
        """
        return self._predict(image, explain, self.threads)

    def _predict(self, image: ImageSource, explain: bool, threads: int) -> Prediction:
        """As `predict`, with `threads` for making the picture small."""
        start = time.perf_counter()
        picture = open_image(image, least_px=self.least_px)
        size_px = picture.size
        decoded = time.perf_counter()
        if self._shapes:
            picture = shaped(picture, self.manifest.preprocessing, threads=threads)
        outputs = self._run(np.asarray(picture, np.uint8)[None],
                            ("cam",) if explain and "cam" in self._outputs else ())
        ran = time.perf_counter()
        raw = outputs["probabilities"]
        probabilities = at_temperature(raw, self.manifest.temperature)[0]
        order = np.argsort(-probabilities, kind="stable")
        ranked = {self.classes[i]: float(probabilities[i]) for i in order}
        p_value = None if self._novelty is None else float(self._novelty.p_values(outputs["features"], raw)[0])
        answer = self.classes[order[0]]
        return Prediction(
            answer, ranked[answer], ranked, self._is_known(p_value), p_value,
            label_set=self._label_set(probabilities), heatmap=self._heatmap(outputs, int(order[0]), *size_px),
            timings_ms={"decode": (decoded - start) * 1000, "run": (ran - decoded) * 1000},
            elapsed_ms=(time.perf_counter() - start) * 1000)

    def predict_many(self, images: Iterable[ImageSource], progress: Callable[[int, int], None] | None = None, *,
                     batch_size: int = 32, explain: bool = False) -> list[Prediction]:
        """The answers in the same order; each is what `predict` gives.

        `threads` + 1 pictures are under way at a time, so that one is decoded while others are with the network: on two
        processors no slower than batches of 4 to 16 through the graph, and each answer is the very one of `predict`.

        Parameters
        ----------
        images : iterable of path, bytes, PIL image or array
            As for `predict`.
        progress : callable (done, total), optional
            Called after each, in order.
        batch_size : int
            How many are handed out at a time; the first picture that cannot be used ends it with its `ImageError`
            after at most so many.
        explain : bool
            As for `predict`.
        """
        from concurrent.futures import ThreadPoolExecutor

        if batch_size < 1:
            raise BundleError(f"batch_size is {batch_size}; give a whole number from 1.")
        sources = list(images)
        answers: list[Prediction] = []
        with ThreadPoolExecutor(self.threads + 1) as pool:
            for start in range(0, len(sources), batch_size):
                batch = sources[start:start + batch_size]
                for answer in pool.map(lambda source: self._predict(source, explain, 1), batch):
                    answers.append(answer)
                    if progress is not None:
                        progress(len(answers), len(sources))
        return answers

    def raw(self, image: ImageSource) -> dict[str, NDArray[np.float64]]:
        """The model's own outputs for one picture, all of it in the graph, before any temperature.

        `probabilities` (K,), and `features` (F,) and `cam` (K, rows, columns) where the model has them: what the
        network makes of the picture before its last layer, and what speaks for each class at each place of its input.
        """
        outputs = self._run(np.asarray(open_image(image, least_px=self.least_px), np.uint8)[None], tuple(self._outputs))
        return {name: values[0] for name, values in outputs.items()}

    def __repr__(self) -> str:
        width, height = self.manifest.preprocessing.size_px
        return (f"Classifier({self.manifest.name!r}, {len(self.classes)} classes, {width} x {height} px, "
                f"{self.manifest.files[self._name].size_bytes / 1e6:.1f} MB)")

    def _read_novelty(self, data: bytes | None) -> NoveltyModel | None:
        record = self.manifest.novelty
        if record is None or data is None:
            return None
        if "features" not in self._outputs:
            raise BundleError(f"{self._name} gives no 'features', which {record.file} needs. Export the model again.")
        from shoebox.bundle._novelty import read_novelty

        return read_novelty(data, record.file, n_classes=len(self.classes), n=record.n)

    def _is_known(self, p_value: float | None) -> bool | None:
        record = self.manifest.novelty
        return None if p_value is None or record is None else p_value > record.alarm_rate

    def _label_set(self, probabilities: NDArray[np.float64]) -> tuple[str, ...] | None:
        record = self.manifest.label_sets
        if record is None:
            return None
        return tuple(self.classes[place] for place in label_set(probabilities, record.threshold))

    def _heatmap(self, outputs: Mapping[str, NDArray[Any]], place: int, width_px: int,
                 height_px: int) -> NDArray[np.float32] | None:
        if "cam" not in outputs:
            return None
        from shoebox.bundle._explain import heatmap

        return heatmap(outputs["cam"][0, place], self.manifest.preprocessing, width_px, height_px)

    def _run(self, pixels: NDArray[np.uint8], more: tuple[str, ...] = ()) -> dict[str, NDArray[np.float64]]:
        """uint8 (N, H, W, 3) -> the model's outputs, checked: probabilities (N, K) before any temperature."""
        names = list(dict.fromkeys(["probabilities", *more, *(["features"] if self._novelty is not None else [])]))
        try:
            with self._turn():
                found = self._session.run(names, {"image": np.ascontiguousarray(pixels)})
        except Exception as error:  # onnxruntime raises a dozen classes of its own
            raise BundleError(f"The model {self.manifest.name!r} failed on a picture of {pixels.shape[2]} x "
                              f"{pixels.shape[1]} pixels ({_first_line(error)}). Export it again.") from None
        outputs = {name: np.asarray(values, np.float64) for name, values in zip(names, found, strict=True)}
        probabilities = outputs["probabilities"]
        if (probabilities.shape != (len(pixels), len(self.classes)) or (probabilities < 0).any()
                or not all(np.isfinite(values).all() for values in outputs.values())
                or (np.abs(probabilities.sum(axis=1) - 1) > 1e-3).any()):
            raise BundleError(f"The model {self.manifest.name!r} gave no probabilities for its {len(self.classes)} "
                              "classes. Export it again.")
        return outputs


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
