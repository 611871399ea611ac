"""The cleaner: a grid that pages through a ranking. Python owns what is decided, the page owns the focus."""

from __future__ import annotations

import pathlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, cast, get_args

import anywidget
import traitlets

from shoebox.data import ApplyResult, ConflictError, Dataset, Decision, Plan
from shoebox.errors import DatasetError
from shoebox.review import Review, as_rows
from shoebox.types import DecisionKind, Issue
from shoebox.widgets._later import Later, Tell
from shoebox.widgets._looking import guest_name, known_path, known_paths, looking, reviewer, wished_view
from shoebox.widgets._messages import Desk, Reply, Request
from shoebox.widgets._modules import join_modules, join_styles
from shoebox.widgets._ordering import Ordering
from shoebox.widgets._telling import compared, ended, told
from shoebox.widgets._watch import Watch

__all__ = ["Cleaner", "Later", "Tell"]

_STATIC = pathlib.Path(__file__).parent / "static"
_PROGRESS_EVERY_S = 0.1
_MAX_ROWS = 200

Estimate = Callable[[Sequence[bool], Any, Any], object]


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
    who : str
        The reviewer's name, written beside each decision; when empty `guest`, or the user's name where there is none.
        The page may give another.
    comparison : Comparison, optional
        What `shoebox.compare` says of the model before and after a retraining; shown above the grid.
    estimate : callable, optional
        From the three parts of `Review.outcome()` to what was found and is probably left; its text stands above the
        grid. `shoebox.clean` gives `shoebox.quality.review_progress`.
    later : Later, optional
        A better ranking of the same pictures that is being made. The page shows how far it is, and goes over to it
        when nobody is in the middle of a page, or when somebody asks for it. `close` gives it up.

    Attributes
    ----------
    snapshot : dict
        What the page shows: items, counts, classes, filters and page, as `shoebox.review.Snapshot`; `queue` grows
        when pictures enter, leave or move, `order` when another ranking takes the place of the first.
    thumbnails : dict[str, bytes]
        JPEGs of the pictures on the page, by path; empty for one that cannot be opened.
    classes : list[str]
        What can be chosen as a label, in the order of the digit keys.
    planned, result : dict or None
        The plan that waits for a yes, and how the last apply or undo went.
    comparison : dict or None
        Accuracy before and after a retraining, each with its interval.
    progress : list[int]
        While files move: done and total. Else empty.
    ordering : dict
        While a better ranking is made, or waits to be shown, or failed: `state` and `sentence`. Else empty.
    notice : str
        What a person should know; empty when all is well.
    guest : str
        What who gives no name is called on a page of Voila; the browser keeps it. Empty elsewhere, and with `who`.

    Examples
    --------
    >>> cleaner = shoebox.clean(ds)  # doctest: +SKIP
    >>> for idx in cleaner.delete(): cleaner.fns[idx].unlink()  # doctest: +SKIP
    """

    _esm = join_modules(_STATIC / "cleaner.js")
    _css = join_styles(_STATIC / "cleaner.css")

    snapshot = traitlets.Dict().tag(sync=True)
    thumbnails = traitlets.Dict().tag(sync=True)
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    planned = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    result = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    progress = traitlets.List(traitlets.Int()).tag(sync=True)
    notice = traitlets.Unicode().tag(sync=True)
    comparison = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    ordering = traitlets.Dict().tag(sync=True)
    guest = traitlets.Unicode().tag(sync=True)

    _ordering: Ordering | None = None
    _watch: Watch | None = None  # stays so when the making fails; `close` is called even then

    def __init__(self, ds: Dataset, ranking: Sequence[Issue], *, page_size: int = 24, who: str = "",
                 comparison: Any = None, estimate: Estimate | None = None,
                 later: Later[Sequence[Issue]] | None = None) -> None:
        try:
            self._review = Review(ds, ranking, page_size=page_size, who=who)
        except BaseException:
            if later is not None:
                later.stop()
            raise
        self._ordering = Ordering(self._review, later, self._show_ordering)
        self._estimate, self._revision, self._told_at = estimate, 0, 0.0
        self._lock = threading.RLock()
        super().__init__(classes=list(self._review.classes), guest="" if who else guest_name(),
                         comparison=None if comparison is None else compared(comparison))
        self._refresh()
        self._watch = Watch(self._catch_up)
        self._desk = Desk({"decide": self._on_decide, "decide_many": self._on_decide_many, "undo": self._on_undo,
                           "redo": self._on_redo, "view": self._on_view, "watch": self._on_watch,
                           "adopt": self._on_adopt, "plan": self._on_plan, "cancel": self._on_cancel,
                           "apply": self._on_apply, "undo_apply": self._on_undo_apply, **looking(self._review)})
        self._desk.attach(self)
        self._ordering.begin()

    def __repr__(self) -> str:
        return f"Cleaner({self._counts.total} pictures, {self._counts.decided} decided)"

    @property
    def fns(self) -> list[pathlib.Path]:
        """Absolute paths in the order of the final ranking; the list never changes while this cleaner lives.

        This, `delete` and `change` wait for a ranking that is still being made, and show it. Where it failed, the
        order that is shown is the final one.
        """
        self.wait(must_succeed=False)
        return self._review.fns

    @property
    def iw(self) -> Cleaner:
        """This widget: fastai keeps its own under this name."""
        return self

    def wait(self, timeout_s: float | None = None, *, must_succeed: bool = True) -> bool:
        """Wait until the order is final, and show it; False when `timeout_s` passed, or `close` came, before.

        An interrupt ends the waiting; the ranking goes on. Raises what made the ranking fail, if it `must_succeed`.
        """
        if self._ordering is None or not self._ordering.wait(timeout_s):
            return False
        if must_succeed:
            self._ordering.raise_error()
        self._adopt()
        return True

    def delete(self) -> list[int]:
        """Places in `fns` of the pictures decided `remove` that are still there."""
        self.wait(must_succeed=False)
        return [index for index, _ in self._review.standing("remove")]

    def change(self) -> list[tuple[int, str]]:
        """(place in `fns`, new label) of the pictures decided `relabel` that are still there."""
        self.wait(must_succeed=False)
        return [(index, label) for index, label in self._review.standing("relabel")
                if label is not None and label != self._review.issues[index].given_label]

    def decide(self, path: str, kind: DecisionKind, label: str | None = None) -> Decision:
        """Write down a decision, as a key or a button does; `DatasetError` when the data set refuses it."""
        with self._lock:
            decision, = self._review.decide([path], kind, label)
            self._refresh()
            return decision

    def undo_decision(self, *, who: str = "") -> Decision | None:
        """Take back the newest decision of this review and turn to its picture; None when there is none.

        Then those made before it by `who` (the reviewer of this cleaner when empty), never another person's.
        """
        decisions = self._step(lambda: self._review.undo_decision(who))
        return decisions[0] if decisions else None

    def redo_decision(self) -> Decision | None:
        """Bring back what was undone last, as long as nothing was decided since; None when there is none."""
        decisions = self._step(self._review.redo_decision)
        return decisions[0] if decisions else None

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
        """End the widget, and a ranking in the making. Decisions stay in the catalog."""
        if self._ordering is not None:
            self._ordering.stop()
        if self._watch is not None:
            self._watch.stop()
        super().close()

    def _refresh(self) -> None:
        """Bring the traits up to the catalog, in one message."""
        shown = self._review.current()
        self._counts = shown.counts
        self._revision += 1
        with self.hold_sync():
            self.notice = self._review.notice
            self.thumbnails = self._review.thumbnails([item.path for item in shown.items])
            self.snapshot = {**shown.as_json(), "revision": self._revision, "queue": self._review.queue_number,
                             "order": self._review.order, "line": self._review.last_line, "found": self._found()}

    def _show_ordering(self, state: dict[str, Any]) -> None:
        with self._lock:  # it may have become final since this was said
            self.ordering = {} if self._ordering is not None and self._ordering.is_final else state

    def _adopt(self) -> None:
        """Go over to the final order if it is there."""
        with self._lock:
            if self._ordering is not None and self._ordering.adopt():
                self.classes = list(self._review.classes)
                self._refresh()

    def _found(self) -> dict[str, str] | None:
        """What the review has brought so far, in a sentence; None before the first decision and the final order."""
        if self._ordering is not None and not self._ordering.is_final:
            return None
        found = self._review.outcome()
        return {"sentence": str(self._estimate(*found))} if self._estimate is not None and found[0] else None

    def _catch_up(self) -> None:
        """Show what was decided and moved elsewhere."""
        with self._lock:
            moved = self._review.look_again()
            if self._review.catch_up() or moved:
                self._refresh()
            if moved:  # to undo what was shown would take back another apply by now
                self.result, self.planned = None, self.planned and self._review.plan()[1].as_json()

    def _move(self, run: Callable[[], ApplyResult]) -> ApplyResult:
        with self._lock:
            try:
                result = run()
            finally:
                self.progress = []
                self._refresh()
            with self.hold_sync():
                self.planned = None
                self.result = ended(result, self._revision)
            return result

    def _tell(self, done: int, total: int) -> None:
        if time.monotonic() - self._told_at > _PROGRESS_EVERY_S:
            self.progress = [done, total]
            self._told_at = time.monotonic()

    def _on_decide(self, request: Request) -> Reply:
        return self._decided([known_path(request, self._review)], request)

    def _on_decide_many(self, request: Request) -> Reply:
        return self._decided(known_paths(request, self._review), request)

    def _decided(self, paths: Sequence[str], request: Request) -> Reply:
        kind = request.one_of("decision", (*get_args(DecisionKind), "accept"))
        label = request.one_of("label", self._review.classes) if kind == "relabel" else None
        seen = {name: request.integer(name) for name in ("seen", "seen_up_to") if name in request.fields}
        step = request.fields.get("step") is True
        with self._lock:
            try:
                decisions = self._review.decide(paths, None if kind == "accept" else cast(DecisionKind, kind), label,
                                                who=reviewer(request), same_step=step, **seen)
            except ConflictError as error:
                self._refresh()
                return self._reply(conflict=[told(decision) for decision in error.standing], error=str(error))
            self._refresh()
        return self._reply(decided=len(decisions), rows=self._rows(decisions))

    def _on_undo(self, request: Request) -> Reply:
        return self._stepped(self._step(lambda: self._review.undo_decision(reviewer(request))))

    def _on_redo(self, request: Request) -> Reply:
        return self._stepped(self._step(self._review.redo_decision))

    def _step(self, run: Callable[[], tuple[Decision, ...]]) -> tuple[Decision, ...]:
        with self._lock:
            decisions = run()
            self._refresh()
            return decisions

    def _stepped(self, decisions: Sequence[Decision]) -> Reply:
        path, seq = (decisions[0].path, decisions[0].seq) if decisions else (None, 0)
        return self._reply(path=path, seq=seq, count=len(decisions), rows=self._rows(decisions))

    def _on_watch(self, request: Request) -> Reply:
        if self._watch is not None:
            self._watch.renew()
        if self._ordering is not None:
            self._ordering.seen()
        self._catch_up()
        return self._reply()

    def _on_adopt(self, request: Request) -> Reply:
        self._adopt()
        return self._reply()

    def _on_view(self, request: Request) -> Reply:
        with self._lock:
            if request.fields.get("adopt") is True:
                self._adopt()
            self._review.view = wished_view(self._review, request)
            self._refresh()
        return self._reply()

    def _on_plan(self, request: Request) -> Reply:
        self._catch_up()
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

    def _rows(self, decisions: Sequence[Decision]) -> list[dict[str, Any]]:
        """What the page may draw at once, wherever it stands in the queue; of very many it asks for what it shows."""
        return as_rows(self._review.items(decision.path for decision in decisions[:_MAX_ROWS]))

    def _reply(self, **fields: Any) -> Reply:
        return Reply({**fields, "revision": self._revision})
