"""Reviewing a ranking without a screen: what is shown of it, what is decided, and what an apply would change.

`_session` and `_summary` are pure functions; `Review` holds a person's place and talks to the data set;
`shoebox.widgets.Cleaner` draws it.
"""

from shoebox.review._review import Review
from shoebox.review._session import ClassCount, Counts, Item, Snapshot, View, page_of, snapshot
from shoebox.review._summary import ClassChange, PlanSummary, summarise

__all__ = [
    "ClassChange",
    "ClassCount",
    "Counts",
    "Item",
    "PlanSummary",
    "Review",
    "Snapshot",
    "View",
    "page_of",
    "snapshot",
    "summarise",
]
