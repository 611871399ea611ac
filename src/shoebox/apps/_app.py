"""The visitor's page for a bundle: the model is opened while the page is made and shown."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoebox.apps._opening import Opening
from shoebox.apps._serve import MODEL_VARIABLE, SHA256_VARIABLE, TURNS_VARIABLE
from shoebox.errors import BundleError, ShoeboxError

if TYPE_CHECKING:
    from shoebox.apps._inbox import Inbox
    from shoebox.apps._visit import Stage
    from shoebox.widgets.uploader import Answer, Uploader

__all__ = ["app"]

_LOG = logging.getLogger("shoebox")
_MAX_CARD_BYTES = 2**16
_THREADS = 2  # of one visitor's answer: 22 ms for a ResNet-18 in place of 36; with six at once as good as one

Words = str | Mapping[str, str]
Folder = str | os.PathLike[str]


def app(model: Folder | None = None, *, title: Words | None = None, intro: Words | None = None,
        languages: Sequence[str | os.PathLike[str]] | None = None, stage: Stage = "live",
        feedback: Folder | Inbox | None = None, watch: Folder | None = None, precision: str = "full",
        sha256: str | None = None) -> Uploader:
    """The visitor's page for a bundle: take pictures, show answers.

    Parameters
    ----------
    model : path or address, optional
        Folder of the bundle, or address of a packed one, which is downloaded when it is first asked for and kept: see
        `shoebox.fetch`. The environment variable SHOEBOX_MODEL, which `shoebox serve --model` sets, wins, and with it
        SHOEBOX_SHA256. `shoebox serve` fetches those two before the first visitor comes.
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
    sha256 : str, optional
        Of the zip at an address, and needed for one.

    Returns
    -------
    Uploader
        Shown by being the cell's last expression. A bundle that cannot be used is a sentence on the page: at once
        when its manifest cannot be read, and after its files were checked and its model was opened, which goes on in
        a thread, when one of them is not what was exported. The first answer waits for that.

    Examples
    --------
    >>> page = app("models/there-is-none")
    >>> page.problem != ""
    True
    """
    from shoebox.bundle import inspect, load_classifier
    from shoebox.bundle._load import located

    named = os.environ.get(MODEL_VARIABLE)
    try:
        if not (named or model):
            raise BundleError("No model was named. Write shoebox.app(\"path/of/the/bundle\") in the notebook, or "
                              "serve with --model.")
        path = located(named, os.environ.get(SHA256_VARIABLE)) if named else located(model or "", sha256)
        manifest = inspect(path)

        def open_it() -> Any:
            from shoebox.apps.classify import make_ready
            from shoebox.bundle._turns import processors

            options: dict[str, Any] = {} if precision == "full" else {"precision": precision}
            classifier = load_classifier(path, threads=min(_THREADS, processors()), **options,
                                         turns=os.environ.get(TURNS_VARIABLE) or None)
            make_ready(classifier)
            return classifier

        opening = Opening(manifest, open_it, precision)
        opening.start()  # hashing and ONNX Runtime leave the interpreter to what the page needs
        from shoebox.apps.classify import make_page

        page = make_page(opening, title=title, intro=intro, languages=languages, stage=stage, feedback=feedback,
                         watch=watch, card=_card(Path(path)))
        opening.when_failed(lambda sentence: setattr(page, "problem", sentence))
        return page
    except ShoeboxError as error:
        from shoebox.widgets.uploader import Uploader

        page = Uploader(_refuse, about={"title": title or "", "intro": intro or ""}, problem=str(error))
        _LOG.error("The app cannot start: %s", error)  # after the widget, which sees to it that logs are seen
        return page


def _card(folder: Path) -> str:
    """The model card as plain text. It is checked with the other files; if it was changed, the page says only that."""
    try:
        text = (folder / "MODEL_CARD.md").read_bytes()[:_MAX_CARD_BYTES].decode("utf-8", errors="replace")
    except OSError:
        return ""
    return re.sub(r"\\([^\w\s])", r"\1", text)  # what kept a name from being read as markup, which nothing here does


def _refuse(data: bytes, name: str) -> Answer:
    raise BundleError("There is no model to ask. Tell the owner of this page.")
