"""The visitor's widget: take pictures, show answers, hear what the person says. It knows nothing of classifiers."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import anywidget
import traitlets
from ipywidgets import Layout

from shoebox.errors import ImageError
from shoebox.widgets._messages import Desk, MessageError, Reply, Request
from shoebox.widgets._modules import join_modules, join_styles
from shoebox.widgets._texts import read_texts, texts_of

__all__ = ["CONFIDENCE", "LIMITS", "MARK", "Answer", "Heat", "Uploader", "Verdict", "confidence", "is_none"]

_STATIC = pathlib.Path(__file__).parent / "static"
_MAX_NAME_CHARS = 120
_MAX_RECEIPT_CHARS = 40
_UNSURE_BELOW = 0.6
_UNSURE_WITHIN = 0.15
MARK = "application/vnd.shoebox.card+json"
_READ_ONLY = "Nothing on this page can be set from outside. Reload the page."

LIMITS: dict[str, int] = {
    "max_bytes": 8 * 2**20,  # a browser never sends more, and the kernel takes no more
    "max_pictures": 50,  # in one go
    "shrink_over_bytes": 2**18,
    "side_px": 640,  # to which a large picture is made smaller; one and a half times as large is left alone
    "ping_timeout_ms": 5_000,
    "answer_timeout_ms": 60_000,
    "pulse_ms": 15_000,  # how often the page looks whether its kernel is still there
    "idle_s": 0,  # after which the kernel is put to sleep; 0: not known
}

# From which probability on which words are used; the first that fits. Keys of the texts.
CONFIDENCE: tuple[tuple[float, str], ...] = (
    (0.97, "almost_surely"),
    (0.85, "very_probably"),
    (0.60, "probably"),
    (0.00, "perhaps"),
)


@dataclass(frozen=True)
class Heat:
    """Where the network looked: `values` are width x height bytes, row by row from the top, 255 is most.

    They cover the whole preview, whatever their own size.
    """

    values: bytes
    width: int
    height: int


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
    preview : callable
        `preview() -> bytes`: a JPEG of what was looked at. Only called for a page that has nothing to show itself.
    width_px, height_px : int
        Size of the preview.
    elapsed_ms : float
        From the bytes to the answer, in milliseconds.
    known : bool or None
        False when the picture is like none of the classes. None when that is not known.
    p_value : float or None
        Share of held-out pictures at least this strange, 0 to 1 (lower is stranger).
    label_set : sequence of str, or None
        All classes that are plausible; empty when it is not sure to be any. None when that is not known.
    heat : Heat or None
        Where the network looked.
    number : int
        By which the person can speak of this picture in a `Verdict`.
    hidden : bool
        The answer stays in the kernel; the page shows the preview and asks the person.
    """

    label: str
    probability: float
    top: Sequence[tuple[str, float]]
    preview: Callable[[], bytes]
    width_px: int
    height_px: int
    elapsed_ms: float
    known: bool | None = None
    p_value: float | None = None
    label_set: Sequence[str] | None = None
    heat: Heat | None = None
    number: int = 0
    hidden: bool = False

    @property
    def none(self) -> bool:
        """Whether it is said to be none of the classes, as `is_none` has it."""
        return is_none(self.known, self.label_set)


@dataclass(frozen=True)
class Verdict:
    """What a person says of a picture.

    Attributes
    ----------
    number : int
        Of the `Answer`.
    says : "right", "label" or "none"
        That the answer is right, that it is another class, or that it is none of them.
    label : int or None
        Which class, as its place in the list of classes, when `says` is "label".
    keep : bool
        The person agrees that the picture is kept.
    """

    number: int
    says: Literal["right", "label", "none"]
    label: int | None
    keep: bool


def is_none(known: bool | None, label_set: Sequence[str] | None) -> bool:
    """Whether an answer says that it is none of the classes: the one rule for page, log and inbox.

    Parameters
    ----------
    known : bool or None
        False: the picture is like none of the classes.
    label_set : sequence of str, or None
        Empty: no class is plausible.

    Examples
    --------
    >>> is_none(None, ("cat",)), is_none(False, ("cat",)), is_none(True, ()), is_none(None, None)
    (False, True, True, False)
    """
    return known is False or (label_set is not None and not label_set)


def confidence(top: Sequence[tuple[str, float]]) -> str:
    """Key of the words for the best probabilities, as the texts have them.

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


class _Layout(Layout):
    """A widget of its own, to which a visitor can send messages too: it tells its state and takes none."""

    def _handle_msg(self, msg: Any) -> None:
        data = msg["content"].get("data")
        if isinstance(data, dict) and data.get("method") == "request_state":
            super()._handle_msg(msg)


class Uploader(anywidget.AnyWidget):
    """A card that takes pictures by choosing, dropping, pasting or the camera, and shows the answers.

    All that a visitor sends is checked; nothing of its state can be set from the page.

    Parameters
    ----------
    on_picture : callable
        `on_picture(data, name) -> Answer`, called in the kernel with the file's bytes (at most 8 MB) and its
        name (at most 120 characters). It refuses with a `ShoeboxError`, whose sentence the person reads.
    on_verdict : callable, optional
        `on_verdict(verdict) -> str`: the number under which the picture is kept, empty when it is not.
    on_forget : callable, optional
        `on_forget(number)`: delete what is kept under this number, or refuse with a `ShoeboxError`.
    about : mapping, optional
        What stands round the card, as JSON: `title` and `intro` (a text, or a text by language), `classes`,
        `classes_total`, `model` (`name`, `date`, `accuracy`, `count`), `card` (plain text), `stage` ("live",
        "supervised" or "shadow"), `keep_days` (0: nothing is ever kept) and `counted` (answers are counted).
    problem : str
        Shown in place of the card when there is nothing to ask; empty when all is well.
    texts : mapping of str to mapping, optional
        Texts by language, as `read_texts` gives them; the first is for those who read none of them.
    limits : mapping of str to int
        Replaces entries of `LIMITS`.
    """

    _esm = join_modules(_STATIC / "uploader.js")
    _css = join_styles(_STATIC / "uploader.css")

    texts = traitlets.Dict().tag(sync=True)
    limits = traitlets.Dict(value_trait=traitlets.Int()).tag(sync=True)
    about = traitlets.Dict().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)

    def __init__(self, on_picture: Callable[[bytes, str], Answer], *,
                 on_verdict: Callable[[Verdict], str] | None = None, on_forget: Callable[[str], None] | None = None,
                 about: Mapping[str, Any] | None = None, problem: str = "",
                 texts: Mapping[str, Mapping[str, str]] | None = None, limits: Mapping[str, int] | None = None) -> None:
        chosen = read_texts() if texts is None else texts
        super().__init__(texts={language: dict(words) for language, words in chosen.items()},
                         limits={**LIMITS, **(limits or {})}, about=dict(about or {}), problem=problem,
                         layout=_Layout())
        self._on_picture = on_picture
        self._on_verdict = on_verdict
        self._on_forget = on_forget
        handlers = {"hello": self._hello, "picture": self._picture}
        if on_verdict is not None:
            handlers["verdict"] = self._verdict
        if on_forget is not None:
            handlers["forget"] = self._forget
        self._desk = Desk(handlers, max_bytes=self.limits["max_bytes"])
        self._desk.attach(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """As any widget's, with a mark: a page that shows nothing else needs no front end but the card's own."""
        shown = super()._repr_mimebundle_(**kwargs)
        if shown is not None:
            shown[0][MARK] = {}
        return shown

    def __repr__(self) -> str:
        return f"Uploader({self.about.get('title', '')!r})"

    def _handle_msg(self, msg: Any) -> None:
        """Messages of the page: requests, and the wish to see the state. Anything else changes nothing."""
        try:
            data = msg["content"]["data"]
            wanted = data["method"] in ("custom", "request_state") and (data["method"] != "custom" or "content" in data)
        except (KeyError, TypeError):
            wanted = False
        if wanted:
            super()._handle_msg(msg)
        else:
            self.send({"id": "", "ok": False, "error": _READ_ONLY})

    def _hello(self, request: Request) -> Reply:
        return Reply()

    def _picture(self, request: Request) -> Reply:
        name = request.text("name", max_chars=4096)[:_MAX_NAME_CHARS] or "picture"
        if len(request.buffers) != 1:
            raise MessageError(f"One picture was expected; {len(request.buffers)} came. Choose a picture.")
        if request.buffers[0].nbytes == 0:
            raise ImageError("empty", texts_of("en")["empty"])
        answer = self._on_picture(request.buffers[0].tobytes(), name)
        buffers = [] if request.fields.get("has_picture") is True else [answer.preview()]
        if answer.heat is not None and not answer.hidden:
            buffers.append(answer.heat.values)
        return Reply(_fields(answer), buffers)

    def _verdict(self, request: Request) -> Reply:
        assert self._on_verdict is not None
        says = request.one_of("says", ("right", "label", "none"))
        label = request.integer("label", high=100_000) if says == "label" else None
        keep = request.fields.get("keep")
        if not isinstance(keep, bool):
            raise MessageError("The request 'verdict' needs 'keep' as true or false. Reload the page.")
        verdict = Verdict(request.integer("number"), says, label, keep)  # type: ignore[arg-type]
        return Reply({"receipt": self._on_verdict(verdict)})

    def _forget(self, request: Request) -> Reply:
        assert self._on_forget is not None
        self._on_forget(request.text("receipt", max_chars=_MAX_RECEIPT_CHARS))
        return Reply()


def _fields(answer: Answer) -> dict[str, Any]:
    shown = {"number": answer.number, "hidden": answer.hidden, "width_px": answer.width_px,
             "height_px": answer.height_px}
    if answer.hidden:
        return shown  # nothing of the answer leaves the kernel
    heat = answer.heat
    return shown | {
        "label": answer.label,
        "probability": float(answer.probability),
        "top": [[label, float(probability)] for label, probability in answer.top],
        "confidence": confidence(answer.top),
        "elapsed_ms": float(answer.elapsed_ms),
        "none": answer.none,
        "known": answer.known,
        "p_value": None if answer.p_value is None else float(answer.p_value),
        "label_set": None if answer.label_set is None else list(answer.label_set),
        "heat": None if heat is None else [heat.width, heat.height],
    }
