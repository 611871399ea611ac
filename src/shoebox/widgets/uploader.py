"""The visitor's widget: take one picture, show one answer. It knows nothing of classifiers."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anywidget
import traitlets

from shoebox.errors import ImageError
from shoebox.widgets._messages import Desk, MessageError, Reply, Request
from shoebox.widgets._modules import join_modules

__all__ = ["CONFIDENCE", "LIMITS", "TEXTS", "Answer", "Uploader", "confidence"]

_STATIC = pathlib.Path(__file__).parent / "static"
_MAX_NAME_CHARS = 120
_UNSURE_BELOW = 0.6
_UNSURE_WITHIN = 0.15

LIMITS: dict[str, int] = {
    "max_bytes": 8 * 2**20,  # a browser never sends more, and the kernel takes no more
    "shrink_over_bytes": 2**20,
    "shrink_over_px": 2000,
    "side_px": 1280,
    "ping_timeout_ms": 5_000,
    "answer_timeout_ms": 60_000,
}

# From which probability on which words are used; the first that fits. Keys of TEXTS.
CONFIDENCE: tuple[tuple[float, str], ...] = (
    (0.97, "almost_surely"),
    (0.85, "very_probably"),
    (0.60, "probably"),
    (0.00, "perhaps"),
)

TEXTS: dict[str, str] = {
    "choose": "Choose a picture",
    "choose_another": "Choose another picture",
    "hint": "or drop it here, or paste it",
    "kinds": "JPEG, PNG, WebP, GIF, BMP or AVIF. Large photos are made smaller before they are sent.",
    "loading": "Connecting …",
    "ready": "Ready for a picture.",
    "preparing": "Opening the picture …",
    "sending": "Looking at the picture …",
    "only_first": "One picture at a time: only the first is used.",
    "done": "Answer: {label}, {percent}.",
    "answer_region": "Answer",
    "alt": "The picture that was looked at: {name}",
    "best": "The best guesses",
    "bar": "{label}: {percent}",
    "almost_surely": "Almost surely",
    "very_probably": "Very probably",
    "probably": "Probably",
    "perhaps": "Perhaps",
    "unsure": "Unsure between {first} and {second}; a little more like",
    "sure_part": "{percent} sure",
    "took": "Answered in {ms} ms.",
    "more_than": "over {percent}",
    "less_than": "under {percent}",
    "classes": "What it knows ({count})",
    "more_classes": "and {count} more",
    "no_answer": "The server does not answer. Reload the page.",
    "too_slow": "The answer took too long. Try again, or reload the page.",
    "empty": "This file is empty (0 bytes). Choose another picture.",
    "not_opened": "This file cannot be opened as a picture, and it is too large to send as it is. "
                  "Save it as JPEG or PNG and try again.",
    "no_file": "There was no picture in that. Choose, drop or paste a picture file.",
}


@dataclass(frozen=True)
class Answer:
    """What the page shows for one picture.

    Attributes
    ----------
    label : str
        The most probable class.
    probability : float
        Its probability, 0 to 1.
    top : sequence of (str, float)
        The best classes with their probabilities, best first.
    preview : bytes
        JPEG of what was looked at.
    width_px, height_px : int
        Size of the preview.
    elapsed_ms : float
        From the bytes to the answer, in milliseconds.
    note : str
        A sentence that the person should read with the answer; empty for none.
    """

    label: str
    probability: float
    top: Sequence[tuple[str, float]]
    preview: bytes
    width_px: int
    height_px: int
    elapsed_ms: float
    note: str = ""


def confidence(top: Sequence[tuple[str, float]]) -> str:
    """Key of the words for the best probabilities, as `TEXTS` has them.

    Examples
    --------
    >>> confidence([("cat", 0.99), ("dog", 0.01)])
    'almost_surely'
    >>> confidence([("cat", 0.45), ("dog", 0.40)])
    'unsure'
    """
    best = top[0][1]
    if len(top) > 1 and best < _UNSURE_BELOW and best - top[1][1] < _UNSURE_WITHIN:
        return "unsure"
    return next(words for floor, words in CONFIDENCE if best >= floor)


class Uploader(anywidget.AnyWidget):
    """A card that takes a picture by choosing, dropping or pasting, and shows the answer.

    Parameters
    ----------
    on_picture : callable
        `on_picture(data, name) -> Answer`, called in the kernel with the file's bytes (at most 8 MB) and its
        name (at most 120 characters). It refuses with a `ShoeboxError`, whose sentence the person reads.
    title, intro : str
        Heading and one sentence above the card.
    facts : sequence of str
        Lines below the card.
    classes : sequence of str
        What it knows, for a list that can be unfolded.
    classes_total : int, optional
        How many there are, when `classes` are only the first of them.
    problem : str
        Shown in place of the card when there is nothing to ask; empty when all is well.
    texts : mapping of str to str
        Replaces entries of `TEXTS`.
    """

    _esm = join_modules(_STATIC / "uploader.js")
    _css = _STATIC / "uploader.css"

    texts = traitlets.Dict(value_trait=traitlets.Unicode()).tag(sync=True)
    limits = traitlets.Dict(value_trait=traitlets.Int()).tag(sync=True)
    about = traitlets.Dict().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)

    def __init__(self, on_picture: Callable[[bytes, str], Answer], *, title: str = "", intro: str = "",
                 facts: Sequence[str] = (), classes: Sequence[str] = (), classes_total: int | None = None,
                 problem: str = "", texts: Mapping[str, str] | None = None) -> None:
        about = {"title": title, "intro": intro, "facts": list(facts), "classes": list(classes),
                 "classes_total": len(classes) if classes_total is None else classes_total}
        super().__init__(texts={**TEXTS, **(texts or {})}, limits=dict(LIMITS), about=about, problem=problem)
        self._on_picture = on_picture
        self._desk = Desk({"hello": self._hello, "picture": self._picture}, max_bytes=LIMITS["max_bytes"])
        self._desk.attach(self)

    def __repr__(self) -> str:
        return f"Uploader({self.about.get('title', '')!r})"

    def _hello(self, request: Request) -> Reply:
        return Reply()

    def _picture(self, request: Request) -> Reply:
        name = request.text("name", max_chars=4096)[:_MAX_NAME_CHARS] or "picture"
        if len(request.buffers) != 1:
            raise MessageError(f"One picture was expected; {len(request.buffers)} came. Choose a picture.")
        if request.buffers[0].nbytes == 0:
            raise ImageError("empty", self.texts["empty"])
        answer = self._on_picture(request.buffers[0].tobytes(), name)
        return Reply(_fields(answer), [answer.preview])


def _fields(answer: Answer) -> dict[str, Any]:
    return {
        "label": answer.label,
        "probability": float(answer.probability),
        "top": [[label, float(probability)] for label, probability in answer.top],
        "confidence": confidence(answer.top),
        "elapsed_ms": float(answer.elapsed_ms),
        "width_px": answer.width_px,
        "height_px": answer.height_px,
        "note": answer.note,
    }
