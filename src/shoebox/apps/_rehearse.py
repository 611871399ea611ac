"""A log before there are visitors: the app's own way of answering, on pictures of one's own, spread over past days."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from shoebox.apps._visit import Predictor, says_none
from shoebox.apps._watch import VisitLog, Watch, watch
from shoebox.data import ImageSource, open_image
from shoebox.errors import ShoeboxError

__all__ = ["rehearse"]

_MARK = "REHEARSAL"


def rehearse(classifier: Predictor, pictures: Sequence[ImageSource], folder: str | os.PathLike[str], *, days: int = 28,
             a_day: int = 15, strange_days: int = 7, strange_share: float = 0.5, seed: int = 0) -> Watch:
    """Write a log as visitors would, and read it, to see what a change looks like before there is one.

    Parameters
    ----------
    classifier : Predictor
        It answers every picture; its probabilities, p-values and times are real, only the dates are not.
    pictures : sequence of path, bytes, PIL image or array
        Not those that it learned from or was calibrated on.
    folder : path
        For this alone; an earlier rehearsal there is replaced, and the log of visitors never touched.
    days, a_day : int
        How many days, the last of them today, with how many pictures each.
    strange_days, strange_share : int, float
        In the last so many days, this share of the pictures is turned by a quarter and its colours are inverted.
    seed : int
        Of what is picked.

    Raises
    ------
    ShoeboxError
        There are no pictures, or the folder holds something else.
    """
    if not pictures:
        raise ShoeboxError("There are no pictures to rehearse with. Give some that the model has not learned from.")
    place = _emptied(Path(folder))
    log, rng, now = VisitLog(place, model="rehearsal"), np.random.default_rng(seed), datetime.now(UTC)
    known = {label: number for number, label in enumerate(classifier.classes)}
    for ago in range(days - 1, -1, -1):
        for _ in range(a_day):
            image = open_image(pictures[int(rng.integers(len(pictures)))])
            if ago < strange_days and rng.random() < strange_share:
                image = ImageOps.invert(image.transpose(Image.Transpose.ROTATE_90))
            answer = classifier.predict(image)
            log.answered(None if says_none(answer) else known[answer.label], answer.probability, answer.elapsed_ms,
                         p_value=answer.p_value, known=answer.known, now=now - timedelta(days=ago))
    return watch(place)


def _emptied(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / _MARK
    if not mark.exists() and any(folder.iterdir()):
        raise ShoeboxError(f"{str(folder)!r} holds something else than a rehearsal, perhaps the log of your visitors. "
                           "Give another folder.")
    for path in folder.glob("visits-*.jsonl"):
        path.unlink()
    mark.touch()
    return folder
