"""Reviewing a ranking without a screen: what is shown of it, what is decided, and what an apply would change.

`_columns`, `_session` and `_summary` are pure; `Review` holds a person's place and talks to the data set;
`_close_look` is what is known of one picture. `shoebox.widgets.Cleaner` draws it.
"""

from shoebox.review._close_look import CloseLook, close_look
from shoebox.review._columns import Columns, gone_of, states_of
from shoebox.review._review import Review
from shoebox.review._session import ClassCount, Counts, Item, Share, Snapshot, View, as_rows, page_of, show, snapshot
from shoebox.review._summary import ClassChange, PlanSummary, summarise

__all__ = [
    "ClassChange",
    "ClassCount",
    "CloseLook",
    "Columns",
    "Counts",
    "Item",
    "PlanSummary",
    "Review",
    "Share",
    "Snapshot",
    "View",
    "as_rows",
    "close_look",
    "gone_of",
    "page_of",
    "show",
    "snapshot",
    "states_of",
    "summarise",
]
