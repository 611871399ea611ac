"""A classifier for tests that says how red, green and blue a picture is, and pictures for it."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from shoebox.types import Prediction


class Manifest:
    name = "digits"
    created = "2025-11-20T10:00:00+00:00"
    metrics = {"accuracy": 0.9713, "n_images": 1359}  # noqa: RUF012
    files = {"model.onnx": SimpleNamespace(sha256="abcdef" * 10)}  # noqa: RUF012
    preprocessing = SimpleNamespace(resize_px=(400, 300), size_px=(224, 224))


class Colours:
    """Stands for a classifier: says how red, green and blue a picture is."""

    classes = ("red", "green", "blue")
    manifest = Manifest()

    def __init__(self, known: bool | None = None, p_value: float | None = None) -> None:
        self.known, self.p_value = known, p_value
        self.seen: list[Image.Image] = []

    def predict(self, image: Image.Image) -> Prediction:
        self.seen.append(image.copy())
        mean = np.asarray(image, float).reshape(-1, 3).mean(0) + 1e-6
        shares = dict(sorted(zip(self.classes, (mean / mean.sum()).tolist(), strict=True), key=lambda item: -item[1]))
        best = next(iter(shares))
        return Prediction(best, shares[best], shares, known=self.known, p_value=self.p_value)


def jpeg(colour: str = "red", size: tuple[int, int] = (800, 600), **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG", **options)
    return out.getvalue()


class Explaining(Colours):
    """One that also says what is plausible and where it looked, as newer bundles do."""

    def predict(self, image: Image.Image, *, explain: bool = False) -> Any:
        prediction = super().predict(image)
        heatmap = np.linspace(0, 1, 600 * 800, dtype=np.float32).reshape(600, 800) if explain else None
        more = {"top": prediction.top, "label_set": ("red", "blue"), "heatmap": heatmap}
        return SimpleNamespace(**{**vars(prediction), **more})
