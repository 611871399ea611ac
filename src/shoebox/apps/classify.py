"""The app for one classifier: what stands round the uploader, and what answers it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shoebox.apps._inbox import Inbox
from shoebox.apps._places import give_back_memory
from shoebox.apps._serve import IDLE_VARIABLE
from shoebox.apps._visit import STAGES, Predictor, Stage, Visit, warm_up
from shoebox.apps._watch import VisitLog
from shoebox.errors import BundleError
from shoebox.widgets._texts import read_texts
from shoebox.widgets.uploader import Uploader

__all__ = ["Predictor", "classifier_app", "make_page", "make_ready"]

_SHOWN_CLASSES = 30
_LISTED_CLASSES = 5000  # to choose from, when a person is asked
_LEAST_SIDE_PX = 512

Words = str | Mapping[str, str]
Folder = str | os.PathLike[str]


def classifier_app(classifier: Predictor, *, title: Words | None = None, intro: Words | None = None,
                   languages: Sequence[str | os.PathLike[str]] | None = None, stage: Stage = "live",
                   feedback: Folder | Inbox | None = None, watch: Folder | None = None, card: str = "") -> Uploader:
    """The same for a classifier that is loaded already, with `card` as the plain text about it.

    It is warmed up, so that the first visitor need not wait.
    """
    _check_stage(stage, watch)
    make_ready(classifier)
    return make_page(classifier, title=title, intro=intro, languages=languages, stage=stage, feedback=feedback,
                 watch=watch, card=card)


def make_ready(classifier: Predictor) -> None:
    """One answer, so that the first visitor need not wait for it, and less memory afterwards."""
    warm_up(classifier)
    give_back_memory()  # each visitor is a process, and would hold it for the whole visit


def make_page(classifier: Predictor, *, title: Words | None, intro: Words | None,
              languages: Sequence[str | os.PathLike[str]] | None, stage: Stage, feedback: Folder | Inbox | None,
              watch: Folder | None, card: str) -> Uploader:
    """The page, for arguments as those of `classifier_app`; the classifier is not asked anything yet."""
    _check_stage(stage, watch)
    texts = read_texts(languages)
    inbox = feedback if isinstance(feedback, Inbox) or feedback is None else Inbox(feedback)
    for folder in (watch, None if inbox is None else inbox.folder):
        _check_outside(folder)
    if inbox is not None:
        inbox.expire()  # an app that nobody leaves a picture at keeps its word too
    manifest = getattr(classifier, "manifest", None)
    model_id = _model_id(manifest, getattr(classifier, "precision", "full"))
    log = None if watch is None else VisitLog(watch, model=model_id, stage=stage)
    visit = Visit(classifier, stage=stage, log=log, inbox=inbox, model_id=model_id)
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
