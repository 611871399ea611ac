"""The cleaner's requests that only look: pages ahead, pictures that are alike, one picture in full.

And what all its requests share: paths, the reviewer's name and a view, checked on their way in.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

from shoebox.review import Review, View, as_rows
from shoebox.widgets._messages import Handler, MessageError, Reply, Request

__all__ = ["MAX_PATH_CHARS", "guest_name", "known_path", "known_paths", "looking", "reviewer", "wished_view"]

MAX_PATH_CHARS = 4096
MAX_PATHS = 2_000  # of a request: a page asks for further ones in turn
MAX_STRIP = 96
_MAX_NAME_CHARS = 80


def looking(review: Review) -> dict[str, Handler]:
    """Handlers by the kind of request. None of them changes anything."""

    def look(request: Request) -> Reply:
        number = request.integer("page")
        items = review.page(number)
        pictures = request.fields.get("pictures", True) is True
        thumbnails = review.thumbnails([item.path for item in items]) if pictures else {}
        return Reply({"page": number, "queue": review.queue_number, "items": as_rows(items)},
                     [thumbnails[item.path] for item in items] if pictures else [])

    def glance(request: Request) -> Reply:
        shown, line = review.glance(wished_view(review, request))
        paths = [item.path for item in shown.items] if request.fields.get("pictures", True) is True else []
        thumbnails = review.thumbnails(paths)
        return Reply({"glance": {**shown.as_json(), "line": line, "order": review.order}},
                     [thumbnails[path] for path in paths])

    def strips(request: Request) -> Reply:
        paths = [path for path in _texts(request, "paths", MAX_STRIP) if review.has_picture(path)]
        thumbnails = review.thumbnails(paths)
        return Reply({"paths": paths, "labels": [review.label_of(path) for path in paths]},
                     [thumbnails[path] for path in paths])

    def between(request: Request) -> Reply:
        first, last = (known_path(request, review, name) for name in ("first", "last"))
        return Reply({"seen_up_to": review.last_line, "paths": review.between(first, last)})

    def like(request: Request) -> Reply:
        return Reply({"seen_up_to": review.last_line, "paths": review.like(known_path(request, review))})

    def close_look(request: Request) -> Reply:
        found = review.close_look(known_path(request, review))
        return Reply(found.as_json(), [found.jpeg])

    def confusion(request: Request) -> Reply:
        return Reply(review.confusion())

    return {"look": look, "glance": glance, "strips": strips, "between": between, "like": like,
            "close_look": close_look, "confusion": confusion}


def known_path(request: Request, review: Review, name: str = "path") -> str:
    """The field as a path of the ranking; `MessageError` otherwise."""
    return _checked(request.text(name, max_chars=MAX_PATH_CHARS), review)


def known_paths(request: Request, review: Review) -> list[str]:
    """The field `paths` as paths of the ranking, each once; `MessageError` otherwise."""
    return [_checked(path, review) for path in dict.fromkeys(_texts(request, "paths", MAX_PATHS))]


def reviewer(request: Request) -> str:
    """The name that the page gives its reviewer; empty when it gives none."""
    return request.text("who", max_chars=_MAX_NAME_CHARS).strip() if "who" in request.fields else ""


def guest_name() -> str:
    """What a reviewer without a name is called where Voila shows the page, to the owner too; empty in a notebook.

    Without it all of them had the owner's name, and each could undo what another had decided.
    """
    return f"guest {secrets.token_hex(3)}" if "VOILA_SERVER_URL" in os.environ else ""


def wished_view(review: Review, request: Request) -> View:
    """The view with the filters and the page that a request names; the others stay."""
    fields, view = request.fields, review.view
    choices = {"label": review.labels, "suggested": review.classes, "issue_kind": review.kinds,
               "source": review.sources, "side": ("train", "valid")}
    for name, known in choices.items():
        if name in fields:
            value = None if fields[name] is None else request.one_of(name, known)
            view = replace(view, **cast(Any, {name.removeprefix("issue_"): value}))
    if "status" in fields:
        view = replace(view, status=cast(Any, request.one_of("status", ("all", "undecided", "decided"))))
    return replace(view, page=request.integer("page")) if "page" in fields else view


def _checked(path: str, review: Review) -> str:
    if path not in review:
        raise MessageError(f"There is no picture {path!r} in this ranking. Run the cell again.")
    return path


def _texts(request: Request, name: str, most: int) -> Iterable[str]:
    values = request.fields.get(name)
    if (not isinstance(values, list) or len(values) > most
            or not all(isinstance(value, str) and len(value) <= MAX_PATH_CHARS for value in values)):
        raise MessageError(f"The request {request.kind!r} needs {name!r} as a list of at most {most} texts. "
                           "Reload the page.")
    return values
