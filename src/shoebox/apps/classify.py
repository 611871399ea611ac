"""The app for one classifier: what stands round the uploader, and what answers it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from PIL import Image

from shoebox.apps._serve import MODEL_VARIABLE
from shoebox.data import decode_image, jpeg_bytes
from shoebox.errors import BundleError, ShoeboxError
from shoebox.types import Prediction
from shoebox.widgets.uploader import Answer, Uploader

__all__ = ["Predictor", "app", "classifier_app"]

_LOG = logging.getLogger("shoebox")
_MAX_BYTES = 20 * 2**20
_PREVIEW_PX = 512
_SHOWN_CLASSES = 30
_TOP = 3

PRIVACY = "Your picture stays in this server's memory and is not stored."
UNKNOWN = "This picture is unlike those it learned from, so the answer may mean nothing."


class Predictor(Protocol):
    """What the app needs of a classifier; `shoebox.load_classifier` gives one."""

    @property
    def classes(self) -> Sequence[str]:
        """The classes, in the order of the model's output."""

    def predict(self, image: Image.Image) -> Prediction:
        """The answer for an upright RGB picture."""


def app(model: str | os.PathLike[str] | None = None, *, title: str | None = None,
        intro: str | None = None) -> Uploader:
    """The visitor's page for a bundle: take a picture, show the answer.

    Parameters
    ----------
    model : path, optional
        Folder of the bundle. The environment variable SHOEBOX_MODEL, which `shoebox serve --model` sets, wins.
    title, intro : str, optional
        Heading and one sentence above the card, for notebooks that have none in a cell of their own.

    Returns
    -------
    Uploader
        Shown by being the cell's last expression. A bundle that cannot be used is a sentence on the page.

    Examples
    --------
    >>> page = app("models/there-is-none")
    >>> page.problem != ""
    True
    """
    from shoebox.bundle import load_classifier

    path = os.environ.get(MODEL_VARIABLE) or model
    try:
        if not path:
            raise BundleError("No model was named. Write shoebox.app(\"path/of/the/bundle\") in the notebook, or "
                              "serve with --model.")
        return classifier_app(load_classifier(path, threads=1), title=title, intro=intro)
    except ShoeboxError as error:
        page = Uploader(_refuse, title=title or "", intro=intro or "", problem=str(error))
        _LOG.error("The app cannot start: %s", error)  # after the widget, which sees to it that logs are seen
        return page


def classifier_app(classifier: Predictor, *, title: str | None = None, intro: str | None = None) -> Uploader:
    """The same for a classifier that is loaded already. It is warmed up, so that the first visitor need not wait."""
    classifier.predict(Image.new("RGB", (64, 64), "gray"))

    def answer(data: bytes, name: str) -> Answer:
        return _answer(classifier, data, name)

    return Uploader(answer, title=title or "", intro=intro or "",
                    facts=[*_facts(getattr(classifier, "manifest", None)), PRIVACY],
                    classes=classifier.classes[:_SHOWN_CLASSES], classes_total=len(classifier.classes))


def _answer(classifier: Predictor, data: bytes, name: str) -> Answer:
    start = time.perf_counter()
    image = decode_image(data, name=name, max_bytes=_MAX_BYTES).image
    prediction = classifier.predict(image)
    elapsed_ms = (time.perf_counter() - start) * 1000
    preview = image.copy()
    preview.thumbnail((_PREVIEW_PX, _PREVIEW_PX))
    return Answer(prediction.label, prediction.probability, prediction.top(_TOP),
                  jpeg_bytes(preview, side_px=_PREVIEW_PX), *preview.size, elapsed_ms,
                  UNKNOWN if prediction.known is False else "")


def _facts(manifest: Any) -> list[str]:
    """One line: the model's name, its date, and how often it was right on pictures it had not learned from."""
    metrics: Mapping[str, Any] = getattr(manifest, "metrics", None) or {}
    parts = [f"Model: {name}" if (name := getattr(manifest, "name", "")) else ""]
    parts.append(f"made on {created}" if (created := str(getattr(manifest, "created", "") or "")[:10]) else "")
    accuracy, n_images = metrics.get("accuracy"), metrics.get("n_images")
    if isinstance(accuracy, int | float) and isinstance(n_images, int) and n_images > 0:
        parts.append(f"right for {accuracy:.1%} of {n_images:,} pictures it had not learned from")
    line = ", ".join(filter(None, parts))
    return [f"{line[0].upper()}{line[1:]}."] if line else []


def _refuse(data: bytes, name: str) -> Answer:
    raise BundleError("There is no model to ask. Tell the owner of this page.")
