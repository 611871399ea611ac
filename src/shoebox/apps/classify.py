"""The app for one classifier: what stands round the uploader, and what answers it."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shoebox.apps._inbox import Inbox
from shoebox.apps._places import give_back_memory
from shoebox.apps._serve import IDLE_VARIABLE, MODEL_VARIABLE
from shoebox.apps._visit import STAGES, Predictor, Stage, Visit
from shoebox.apps._watch import VisitLog
from shoebox.errors import BundleError, ShoeboxError
from shoebox.widgets._texts import read_texts
from shoebox.widgets.uploader import Answer, Uploader

__all__ = ["Predictor", "app", "classifier_app"]

_LOG = logging.getLogger("shoebox")
_SHOWN_CLASSES = 30
_LISTED_CLASSES = 5000  # to choose from, when a person is asked
_LEAST_SIDE_PX = 512
_MAX_CARD_BYTES = 2**16
_THREADS = 2  # of one visitor's answer: 22 ms for a ResNet-18 in place of 36; with six at once as good as one

Words = str | Mapping[str, str]
Folder = str | os.PathLike[str]


def app(model: Folder | None = None, *, title: Words | None = None, intro: Words | None = None,
        languages: Sequence[str | os.PathLike[str]] | None = None, stage: Stage = "live",
        feedback: Folder | Inbox | None = None, watch: Folder | None = None, precision: str = "full") -> Uploader:
    """The visitor's page for a bundle: take pictures, show answers.

    Parameters
    ----------
    model : path, optional
        Folder of the bundle. The environment variable SHOEBOX_MODEL, which `shoebox serve --model` sets, wins.
    title, intro : str or mapping, optional
        Heading and one sentence above the card, for notebooks that have none in a cell of their own; one text, or
        one for each language: `{"en": "Which bear?", "ru": "Какой медведь?"}`.
    languages : sequence of str or path, optional
        Languages of the page, of which the visitor's browser chooses; the first is for those who read none of them.
        A path that ends in .json is a file of your own, made after shoebox/widgets/texts/en.json.
    stage : "live", "supervised" or "shadow"
        "shadow": the answers are recorded and not shown, beside the person's own. "supervised": an answer
        counts when a person has confirmed it. "live": answers are shown as they come. The visitor reads which it is.
    feedback : path or Inbox, optional
        Where pictures are kept that a visitor agrees to leave, with what they say it is. Without it nothing is kept.
    watch : path, optional
        Where answers are counted, without pictures; `shoebox.watch(path)` reads it. The stages "shadow" and
        "supervised" need it.
    precision : str
        "full" or "int8": which of the bundle's models answers; the one of 8 bits needs less memory.

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
        options: dict[str, Any] = {} if precision == "full" else {"precision": precision}
        classifier = load_classifier(path, threads=min(_THREADS, os.cpu_count() or 1), **options)
        return classifier_app(classifier, title=title, intro=intro, languages=languages, stage=stage,
                              feedback=feedback, watch=watch, card=_card(Path(path)))
    except ShoeboxError as error:
        page = Uploader(_refuse, about={"title": title or "", "intro": intro or ""}, problem=str(error))
        _LOG.error("The app cannot start: %s", error)  # after the widget, which sees to it that logs are seen
        return page


def classifier_app(classifier: Predictor, *, title: Words | None = None, intro: Words | None = None,
                   languages: Sequence[str | os.PathLike[str]] | None = None, stage: Stage = "live",
                   feedback: Folder | Inbox | None = None, watch: Folder | None = None, card: str = "") -> Uploader:
    """The same for a classifier that is loaded already, with `card` as the plain text about it.

    It is warmed up, so that the first visitor need not wait.
    """
    _check_stage(stage, watch)
    texts = read_texts(languages)
    inbox = feedback if isinstance(feedback, Inbox) or feedback is None else Inbox(feedback)
    for folder in (watch, None if inbox is None else inbox.folder):
        _check_outside(folder)
    manifest = getattr(classifier, "manifest", None)
    model_id = _model_id(manifest, getattr(classifier, "precision", "full"))
    log = None if watch is None else VisitLog(watch, model=model_id, stage=stage)
    visit = Visit(classifier, stage=stage, log=log, inbox=inbox, model_id=model_id)
    visit.warm_up()
    give_back_memory()  # each visitor is a process, and would hold it for the whole visit
    asked = inbox is not None or stage != "live"
    classes = list(classifier.classes[:_LISTED_CLASSES if asked else _SHOWN_CLASSES])
    about = {"title": title or "", "intro": intro or "", "classes": classes, "classes_total": len(classifier.classes),
             "classes_shown": _SHOWN_CLASSES, "model": _model(manifest), "card": card, "stage": stage,
             "keep_days": 0 if inbox is None else inbox.keep_days, "counted": log is not None}
    return Uploader(visit.look, on_verdict=visit.hear if asked else None,
                    on_forget=None if inbox is None else visit.forget, about=about, texts=texts,
                    limits={**_sides(manifest), "idle_s": int(os.environ.get(IDLE_VARIABLE) or 0)})


def _check_stage(stage: str, watch: Folder | None) -> None:
    if stage not in STAGES:
        raise BundleError(f"The stage {stage!r} is not known; there are {', '.join(STAGES)}. Choose one of them.")
    if stage != "live" and watch is None:
        raise BundleError(f"The stage {stage!r} records what the app and persons say, and no place for it was named. "
                          'Write shoebox.app(..., watch="../work/watch").')


def _check_outside(folder: Folder | None) -> None:
    """What visitors leave must not lie where the page's own files do, from which a server might show it."""
    if folder is not None and Path.cwd().resolve() in (Path(folder).resolve(), *Path(folder).resolve().parents):
        raise BundleError(f"{str(folder)!r} lies in the folder of the app's notebook, from which a server might show "
                          'it. Choose one outside, for example "../work".')


def _model(manifest: Any) -> dict[str, Any]:
    """Name, date, and how often it was right on pictures it had not learned from; what is not known is left out."""
    metrics: Mapping[str, Any] = getattr(manifest, "metrics", None) or {}
    accuracy, n_images = metrics.get("accuracy"), metrics.get("n_images")
    known: dict[str, Any] = {"name": str(getattr(manifest, "name", "") or ""),
                             "date": str(getattr(manifest, "created", "") or "")[:10]}
    if isinstance(accuracy, int | float) and isinstance(n_images, int) and n_images > 0:
        known |= {"accuracy": float(accuracy), "count": n_images}
    return {key: value for key, value in known.items() if value != ""}


def _model_id(manifest: Any, precision: str) -> str:
    """Of the very file that answers: the first 12 digits of its SHA-256."""
    files: Mapping[str, Any] = getattr(manifest, "files", None) or {}
    name = "model.onnx" if precision == "full" else f"model.{precision}.onnx"
    return str(getattr(files.get(name), "sha256", "") or "")[:12]


def _sides(manifest: Any) -> dict[str, int]:
    """To which size a browser makes large photos smaller: twice what the model looks at, and never less than that."""
    preprocessing = getattr(manifest, "preprocessing", None)
    sizes = [getattr(preprocessing, name, None) or (0, 0) for name in ("resize_px", "size_px")]
    needed = max(max(size) for size in sizes)
    return {"side_px": max(_LEAST_SIDE_PX, 2 * needed), "short_px": needed} if needed else {"short_px": 0}


def _card(folder: Path) -> str:
    """The model card as plain text: the bundle was checked, so this is the file that was exported."""
    try:
        text = (folder / "MODEL_CARD.md").read_bytes()[:_MAX_CARD_BYTES].decode("utf-8", errors="replace")
    except OSError:
        return ""
    return re.sub(r"\\([^\w\s])", r"\1", text)  # what kept a name from being read as markup, which nothing here does


def _refuse(data: bytes, name: str) -> Answer:
    raise BundleError("There is no model to ask. Tell the owner of this page.")
