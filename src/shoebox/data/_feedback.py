"""What visitors of an app left, and nobody has looked at yet: a stranger's word trains nothing by itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from shoebox.data._decisions import Decision
from shoebox.data._provenance import SourceRecord
from shoebox.data._records import ImageRecord

if TYPE_CHECKING:
    from shoebox.data._dataset import Dataset

__all__ = ["FEEDBACK", "undecided_feedback"]

FEEDBACK = "feedback"  # the source of what an app's inbox gave


def undecided_feedback(ds: Dataset) -> frozenset[str]:
    """Paths of the pictures that came from visitors and that nobody has decided to keep or to relabel.

    A decision is for a picture's bytes, wherever the file stands now. One to relabel counts once it is applied, as
    before that the picture stands under the label that somebody has called wrong.
    """
    return undecided(ds.images, ds.sources, ds.decisions.values(), ds.moved.values())


def undecided(images: Iterable[ImageRecord], sources: Mapping[str, Collection[SourceRecord]],
              standing: Iterable[Decision], relabelled: Iterable[str]) -> frozenset[str]:
    """The same for records: `standing` decisions, and the paths to which applies have `relabelled` pictures."""
    left = {image_id for image_id, records in sources.items()
            if any(record.source == FEEDBACK and record.state == "added" for record in records)}
    if not left:
        return frozenset()
    settled = {(decision.image_id, decision.label) for decision in standing if decision.kind in ("keep", "relabel")}
    moved = frozenset(relabelled)
    return frozenset(image.path for image in images if image.image_id in left and image.path not in moved
                     and settled.isdisjoint({(image.image_id, None), (image.image_id, image.label)}))
