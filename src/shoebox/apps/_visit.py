"""One visitor in the kernel: looks at pictures, hears what the person says, and keeps what may be kept."""

from __future__ import annotations

import inspect
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
from PIL import Image

from shoebox.apps._inbox import Inbox, InboxError
from shoebox.apps._watch import VisitLog
from shoebox.data import decode_image, jpeg_bytes
from shoebox.errors import ImageError, ShoeboxError
from shoebox.types import Prediction
from shoebox.widgets.uploader import LIMITS, Answer, Heat, Verdict, is_none

__all__ = ["STAGES", "Predictor", "Stage", "Visit", "says_none", "warm_up"]

Stage = Literal["shadow", "supervised", "live"]
STAGES: tuple[Stage, ...] = get_args(Stage)

_SIDE_PX = 2048
_PREVIEW_PX = 512
_KEPT_PX = 1024
_REMEMBERED = 20
_TOP = 3


class Predictor(Protocol):
    """What the app needs of a classifier; `shoebox.load_classifier` gives one.

    Its `predict` may also take `explain=True`, and then gives a `heatmap` with its prediction: float32 (h, w), 0 to 1.
    """

    @property
    def classes(self) -> Sequence[str]:
        """The classes, in the order of the model's output."""

    def predict(self, image: Image.Image) -> Prediction:
        """The answer for an upright RGB picture."""


@dataclass(frozen=True)
class _Seen:
    prediction: Prediction
    picture: bytes  # JPEG from the pixels, so without place, time and camera; empty when nothing is ever kept


class Visit:
    """What one visitor's page is answered by. The answers given last are remembered, so that one can speak of them.

    Parameters
    ----------
    classifier : Predictor
        What answers.
    stage : "shadow", "supervised" or "live"
        In "shadow" the answer stays hidden.
    log : VisitLog, optional
        Where answers are counted, without pictures.
    inbox : Inbox, optional
        Where pictures go that a person agreed to.
    model_id : str
        Says which model it was, in log and inbox.
    """

    def __init__(self, classifier: Predictor, *, stage: Stage = "live", log: VisitLog | None = None,
                 inbox: Inbox | None = None, model_id: str = "") -> None:
        self._classifier = classifier
        self._explains = _explains(classifier)
        self._stage = stage
        self._log = log
        self._inbox = inbox
        self._model_id = model_id
        self._number = 0
        self._seen: OrderedDict[int, _Seen] = OrderedDict()
        self._places = {label: place for place, label in enumerate(classifier.classes)}

    def look(self, data: bytes, name: str) -> Answer:
        """The answer for a picture's bytes; `ImageError` with a sentence when it is none."""
        start = time.perf_counter()
        try:
            image = decode_image(data, name=name, max_bytes=LIMITS["max_bytes"],
                                 least_px=getattr(self._classifier, "least_px", None)).image
        except ImageError as error:
            if self._log is not None:
                self._log.refused(error.cause)
            raise
        start += self._wait_for_the_model()
        prediction = self._predict(image)  # the very pixels that training would see
        image.thumbnail((_SIDE_PX, _SIDE_PX), reducing_gap=3.0)
        elapsed_ms = (time.perf_counter() - start) * 1000
        self._remember(prediction, image, elapsed_ms)
        preview = image.copy()
        preview.thumbnail((_PREVIEW_PX, _PREVIEW_PX))
        return Answer(
            prediction.label, prediction.probability, prediction.top(_TOP),
            lambda: jpeg_bytes(preview, side_px=_PREVIEW_PX), *preview.size, elapsed_ms, prediction.known,
            prediction.p_value, getattr(prediction, "label_set", None),
            _heat(getattr(prediction, "heatmap", None)), self._number, self._stage == "shadow")

    def _wait_for_the_model(self) -> float:
        """Seconds that it took until there was one: they are no part of an answer's time."""
        start = time.perf_counter()
        getattr(self._classifier, "wait", lambda: None)()
        return time.perf_counter() - start

    def hear(self, verdict: Verdict) -> str:
        """Note what the person says; the number under which the picture is kept, empty when it is not.

        Raises
        ------
        InboxError
            The answer is not remembered, the class is none, or there is no room to keep the picture. Whatever
            happens here, answers go on.
        """
        seen = self._seen.get(verdict.number)
        if seen is None:
            raise InboxError("feedback_gone")
        answer, said = self._place(seen.prediction), self._said(verdict, seen.prediction)
        if self._log is not None:
            self._log.verdict(answer, said)
        if not verdict.keep:
            return ""
        if self._inbox is None:
            raise InboxError("feedback_off")
        return self._inbox.add(seen.picture, label=said, answer=answer, probability=seen.prediction.probability,
                               model=self._model_id, classes=self._classifier.classes)

    def forget(self, receipt: str) -> None:
        """Delete what is kept under this number."""
        if self._inbox is None:
            raise InboxError("feedback_off")
        self._inbox.delete(receipt)

    def _predict(self, image: Image.Image) -> Prediction:
        if self._explains and self._stage != "shadow":
            explain: Any = self._classifier.predict
            return explain(image, explain=True)  # type: ignore[no-any-return]
        return self._classifier.predict(image)

    def _remember(self, prediction: Prediction, image: Image.Image, elapsed_ms: float) -> None:
        self._number += 1
        picture = b"" if self._inbox is None else jpeg_bytes(image, side_px=_KEPT_PX, quality=90)
        self._seen[self._number] = _Seen(prediction, picture)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        if self._log is not None:
            self._log.answered(self._place(prediction), prediction.probability, elapsed_ms, p_value=prediction.p_value,
                               known=prediction.known)

    def _place(self, prediction: Prediction) -> int | None:
        return None if says_none(prediction) else self._places[prediction.label]

    def _said(self, verdict: Verdict, prediction: Prediction) -> int | None:
        if verdict.says == "none":
            return None
        if verdict.says == "label":
            if verdict.label is None or verdict.label >= len(self._places):
                raise ShoeboxError(f"There is no class number {verdict.label}; there are {len(self._places)}. "
                                   "Reload the page.")
            return verdict.label
        if self._stage == "shadow":  # nobody saw what they would be calling right
            raise ShoeboxError("The answer is not shown here, so nobody can call it right. Choose what it is.")
        return self._place(prediction)


def says_none(prediction: Prediction) -> bool:
    """Whether the answer is "none of these"."""
    return is_none(prediction.known, getattr(prediction, "label_set", None))


def warm_up(classifier: Predictor) -> None:
    """One answer from a JPEG's bytes to what the page would draw, so that the first visitor need not wait for it."""
    data = jpeg_bytes(Image.new("RGB", (_PREVIEW_PX, _PREVIEW_PX), "gray"), side_px=_PREVIEW_PX)
    Visit(classifier).look(data, "gray.jpg")


def _explains(classifier: Predictor) -> bool:
    return "explain" in inspect.signature(classifier.predict).parameters


def _heat(heatmap: Any) -> Heat | None:
    """From float (h, w), 0 to 1, to what the page draws."""
    if heatmap is None:
        return None
    values = np.asarray(heatmap, np.float64)
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
        return None
    small = Image.fromarray(np.clip(np.rint(values * 255), 0, 255).astype(np.uint8))
    small.thumbnail((_PREVIEW_PX // 4, _PREVIEW_PX // 4))
    return Heat(small.tobytes(), *small.size)
