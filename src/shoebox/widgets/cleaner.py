"""The cleaner: a grid that pages through a ranking. Python owns what is decided, the page owns the focus."""

from __future__ import annotations

import pathlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast, get_args

import anywidget
import traitlets

from shoebox.data import ApplyResult, Dataset, Decision, Plan
from shoebox.errors import DatasetError
from shoebox.review import Review, View
from shoebox.types import DecisionKind, Issue, Side
from shoebox.widgets._messages import Desk, MessageError, Reply, Request
from shoebox.widgets._modules import join_modules

__all__ = ["Cleaner"]

_STATIC = pathlib.Path(__file__).parent / "static"
_MAX_PATH_CHARS = 4096
_PROGRESS_EVERY_S = 0.1


class Cleaner(anywidget.AnyWidget):
    """A grid of pictures, most suspicious label first, with everything to keep, relabel or remove them.

    A decision is in the catalog before the picture changes on the page, so a closed tab, a cell that is run again
    or a restarted kernel loses nothing. Files move only with `apply`, and `undo` brings them back.

    Parameters
    ----------
    ds : Dataset
        The pictures, and where decisions are kept.
    ranking : sequence of Issue
        Worst first, as `shoebox.rank` gives it. Pictures that are no longer what the ranking saw are left out,
        and `notice` says how many.
    page_size : int
        Pictures on a page, at least 1.

    Attributes
    ----------
    snapshot : dict
        What the page shows: items, counts, classes, filters and page, as `shoebox.review.Snapshot`.
    thumbnails : dict[str, bytes]
        JPEGs of the pictures on the page, by path; empty for one that cannot be opened.
    classes : list[str]
        What can be chosen as a label, in the order of the digit keys.
    planned, result : dict or None
        The plan that waits for a yes, and how the last apply or undo went.
    progress : list[int]
        While files move: done and total. Else empty.
    notice : str
        What a person should know; empty when all is well.

    Examples
    --------
    >>> cleaner = shoebox.clean(ds)  # doctest: +SKIP
    >>> for idx in cleaner.delete(): cleaner.fns[idx].unlink()  # doctest: +SKIP
    """

    _esm = join_modules(_STATIC / "cleaner.js")
    _css = _STATIC / "cleaner.css"

    snapshot = traitlets.Dict().tag(sync=True)
    thumbnails = traitlets.Dict().tag(sync=True)
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    planned = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    result = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    progress = traitlets.List(traitlets.Int()).tag(sync=True)
    notice = traitlets.Unicode().tag(sync=True)

    _pool: ThreadPoolExecutor | None = None  # stays so when the making fails; `close` is called even then

    def __init__(self, ds: Dataset, ranking: Sequence[Issue], *, page_size: int = 24) -> None:
        self._review = Review(ds, ranking, page_size=page_size)
        self._revision = 0
        self._told_at = 0.0
        self._warmed = View()
        self._lock = threading.RLock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="shoebox-thumbnails")
        super().__init__(classes=list(self._review.classes))
        self._refresh()
        self._desk = Desk({"decide": self._on_decide, "undo": self._on_undo, "view": self._on_view,
                           "plan": self._on_plan, "cancel": self._on_cancel, "apply": self._on_apply,
                           "undo_apply": self._on_undo_apply})
        self._desk.attach(self)

    def __repr__(self) -> str:
        return f"Cleaner({self._counts.total} pictures, {self._counts.decided} decided)"

    @property
    def fns(self) -> list[pathlib.Path]:
        """Absolute paths in the order of the ranking; the list never changes while this cleaner lives."""
        return self._review.fns

    @property
    def iw(self) -> Cleaner:
        """This widget: fastai keeps its own under this name."""
        return self

    def delete(self) -> list[int]:
        """Places in `fns` of the pictures decided `remove` that are still there."""
        return [index for index, _ in self._review.standing("remove")]

    def change(self) -> list[tuple[int, str]]:
        """(place in `fns`, new label) of the pictures decided `relabel` that are still there."""
        return [(index, label) for index, label in self._review.standing("relabel")
                if label is not None and label != self._review.issues[index].given_label]

    def decide(self, path: str, kind: DecisionKind, label: str | None = None) -> Decision:
        """Write down a decision, as a key or a button does; `DatasetError` when the data set refuses it."""
        with self._lock:
            decision = self._review.decide(path, kind, label)
            self._refresh()
            return decision

    def undo_decision(self) -> Decision | None:
        """Take back the newest decision and turn to its picture; None when there is nothing to take back."""
        with self._lock:
            decision = self._review.undo_decision()
            self._refresh()
            return decision

    def plan(self) -> Plan:
        """What `apply` would move where; nothing is touched."""
        return self._review.plan()[0]

    def apply(self) -> ApplyResult:
        """Move relabelled pictures to their class and removed ones to the trash, as `Dataset.apply` does."""
        return self._move(lambda: self._review.apply(progress=self._tell))

    def undo(self) -> ApplyResult:
        """Bring the files of the newest apply back, as `Dataset.undo_apply` does."""
        return self._move(lambda: self._review.undo_apply(progress=self._tell))

    def close(self) -> None:
        """End the widget. Decisions stay in the catalog."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
        super().close()

    def _refresh(self) -> None:
        """Bring the traits up to the catalog, in one message."""
        shown = self._review.current()
        self._counts = shown.counts
        self._revision += 1
        with self.hold_sync():
            self.notice = self._review.notice
            self.thumbnails = self._review.thumbnails(shown)
            self.snapshot = {**shown.as_json(), "revision": self._revision}
        self._warm_up(replace(self._review.view, page=shown.page + 1), shown.pages)

    def _warm_up(self, view: View, pages: int) -> None:
        """Have the next page's thumbnails drawn while a person looks at this one."""
        moves_on = view.status != "all"  # every decision brings another picture to the page
        if self._pool is not None and view.page < pages and (view != self._warmed or moves_on):
            self._warmed = view
            self._pool.submit(self._review.warm_up, view)

    def _move(self, run: Callable[[], ApplyResult]) -> ApplyResult:
        with self._lock:
            try:
                result = run()
            finally:
                self.progress = []
                self._refresh()
            with self.hold_sync():
                self.planned = None
                self.result = {"sentence": result.summary().splitlines()[0], "moved": result.moved,
                               "undone": result.undone, "failed": [skipped.sentence for skipped in result.failed],
                               "revision": self._revision}
            return result

    def _tell(self, done: int, total: int) -> None:
        if time.monotonic() - self._told_at > _PROGRESS_EVERY_S:
            self.progress = [done, total]
            self._told_at = time.monotonic()

    def _on_decide(self, request: Request) -> Reply:
        path = request.text("path", max_chars=_MAX_PATH_CHARS)
        if path not in self._review:
            raise MessageError(f"There is no picture {path!r} in this ranking. Run the cell again.")
        kind = cast(DecisionKind, request.one_of("decision", get_args(DecisionKind)))
        self.decide(path, kind, request.one_of("label", self._review.classes) if kind == "relabel" else None)
        return self._reply()

    def _on_undo(self, request: Request) -> Reply:
        decision = self.undo_decision()
        return self._reply(path=decision and decision.path)

    def _on_view(self, request: Request) -> Reply:
        with self._lock:
            self._review.view = _changed(self._review.view, request, self._review.labels)
            self._refresh()
        return self._reply()

    def _on_plan(self, request: Request) -> Reply:
        self.planned = self._review.plan()[1].as_json()
        return self._reply()

    def _on_cancel(self, request: Request) -> Reply:
        self.planned = None
        return self._reply()

    def _on_apply(self, request: Request) -> Reply:
        token = request.text("confirm")
        try:
            self._move(lambda: self._review.apply(confirm=token, progress=self._tell))
        except DatasetError:
            self._on_plan(request)
            raise
        return self._reply()

    def _on_undo_apply(self, request: Request) -> Reply:
        self.undo()
        return self._reply()

    def _reply(self, **fields: Any) -> Reply:
        return Reply({**fields, "revision": self._revision})


def _changed(view: View, request: Request, labels: Sequence[str]) -> View:
    """The view with the filters and the page that a request names; the others stay."""
    fields = request.fields
    if "label" in fields:
        view = replace(view, label=None if fields["label"] is None else request.one_of("label", labels))
    if "side" in fields:
        side = None if fields["side"] is None else request.one_of("side", ("train", "valid"))
        view = replace(view, side=cast(Side | None, side))
    if "status" in fields:
        view = replace(view, status=cast(Any, request.one_of("status", ("all", "undecided", "decided"))))
    return replace(view, page=request.integer("page")) if "page" in fields else view
