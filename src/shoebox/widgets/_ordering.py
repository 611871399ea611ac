"""From the order that a cleaner begins with to the final one, which comes from the background."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from shoebox.review import Review
from shoebox.types import Issue
from shoebox.widgets._later import Later

__all__ = ["Ordering"]

_TELL_EVERY_S = 0.2
_WORKING = "Working out the order"
_READY = "The pictures are ranked. Another order than this one came out."


class Ordering:
    """Follows a ranking in the making and brings it into a review when somebody asks for it.

    Parameters
    ----------
    review : Review
        Over the order to begin with.
    later : Later of a ranking, or None
        None: the order is final from the start.
    show : callable (state)
        Gets what a page shows, in any thread: `{}` when there is nothing to say; else `state` ("working", "ready" or
        "failed") and `sentence`, while it works also `done` and `total`, both 0 as long as they are not known.
    """

    def __init__(self, review: Review, later: Later[Sequence[Issue]] | None,
                 show: Callable[[dict[str, Any]], None]) -> None:
        self._review, self._later, self._show = review, later, show
        self._told_at = 0.0
        self.is_final = later is None

    def begin(self) -> None:
        """Show how far it is from now on."""
        if self._later is not None:
            self._show({"state": "working", "sentence": _WORKING, "done": 0, "total": 0})
            self._later.follow(self._told, self._ended)

    def seen(self) -> None:
        """A page is there."""
        if self._later is not None:
            self._later.seen()

    def adopt(self) -> bool:
        """Bring the new order into the review if it is there; False when there is none to bring."""
        if self.is_final or self._later is None or self._later.result is None:
            return False
        self._review.adopt(self._later.result)
        self.is_final = True
        self._show({})
        return True

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the work is over; False when `timeout_s` passed, or `stop` came, before."""
        return self._later is None or self._later.wait(timeout_s)

    def raise_error(self) -> None:
        """Raise what ended the work, if something did."""
        if self._later is not None:
            self._later.raise_error()

    def stop(self) -> None:
        """Give the work up; the order stays as it is."""
        if self._later is not None:
            self._later.stop()

    def _told(self, sentence: str, done: int, total: int) -> None:
        if time.monotonic() - self._told_at > _TELL_EVERY_S:
            self._told_at = time.monotonic()
            self._show({"state": "working", "sentence": sentence, "done": done, "total": total})

    def _ended(self) -> None:
        if self._later is None or self.is_final:
            return
        if self._later.result is None:
            self._show({"state": "failed", "sentence": "The pictures stay in this order, because ranking them failed: "
                                                       f"{self._later.error}"})
            self.is_final = True  # nothing better will come
        else:
            self._show({"state": "ready", "sentence": _READY})
