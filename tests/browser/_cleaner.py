"""What the tests of the cleaner's page share: predictions as a good model would make them, cards, and waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from playwright.sync_api import Locator, Page

from shoebox.data import Dataset, Predictions


def save_predictions(ds: Dataset, truth: Callable[[str, str], str]) -> None:
    """What a good model would say: 0.9 for the class that `truth(path, label)` names."""
    place = {label: number for number, label in enumerate(ds.classes)}
    probs = np.full((len(ds.images), len(place)), .1 / (len(place) - 1), np.float32)
    for row, record in enumerate(ds.images):
        probs[row, place[truth(record.path, record.label)]] = .9 - row / 1e4
    probs /= probs.sum(axis=1, keepdims=True)
    labels = np.asarray([place[record.label] for record in ds.images])
    paths, ids = zip(*((record.path, record.image_id) for record in ds.images), strict=True)
    ds.save_predictions(Predictions(paths, ids, labels, probs, ds.classes, ("held_out",) * len(paths)))


def card(page: Page, place: int, written: str = "") -> Locator:
    """The picture at this place of the ranking, from 1; `written` is the number as the page groups it."""
    return page.get_by_role("gridcell").filter(has=page.get_by_text(written or str(place), exact=True).and_(
        page.locator(".sbx-place")))


def ready(where: Page, *, is_final: bool = True, **data: int) -> None:
    """Everything in the window is drawn, and in the final order if `is_final`."""
    if is_final:
        where.locator(".sbx-cleaner .sbx-ordering").and_(where.locator("[hidden]")).wait_for(
            state="attached", timeout=60_000)
    wanted = "".join(f'[data-{name}="{value}"]' for name, value in data.items())
    where.locator(f'.sbx-cleaner[data-state="ready"]{wanted}').wait_for(timeout=60_000)


def reviewing(page: Page, url: str, root: Path) -> Iterator[Page]:
    """The cleaner at `url`, drawn; afterwards nothing is decided about the pictures of `root`."""
    page.goto(url, wait_until="commit")
    ready(page, page=0)
    yield page
    page.close()
    ds = Dataset(root)
    while ds.undo_decision():
        pass
