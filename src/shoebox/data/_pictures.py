"""What is there: the readable pictures of a folder, their catalog, thumbnails, sides and saved predictions."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from shoebox.data._catalog import Catalog
from shoebox.data._catalog_sources import SourceTable
from shoebox.data._catalog_thumbnails import Thumbnails
from shoebox.data._files import atomic_write_bytes, check_label, check_own_folder, safe_join
from shoebox.data._images import Truncated, jpeg_bytes, open_image
from shoebox.data._predictions import Predictions
from shoebox.data._provenance import Attribution, SourceRecord, credits_of
from shoebox.data._records import ImageRecord
from shoebox.data._reports import DuplicateGroup, SplitReport, count_sides, find_duplicates, report_split
from shoebox.data._scan import THUMBNAIL_PX, Progress, ScanReport, SplitRule, checked_rule, scan
from shoebox.data._views import contact_sheet, counts_table
from shoebox.errors import DatasetError

__all__ = ["Pictures"]


class Pictures:
    """The pictures of a data set, as the last scan saw them. `Dataset` adds what a person decides about them."""

    def __init__(self, path: str | os.PathLike[str], *, valid_pct: float | None = None, seed: int | None = None,
                 test_pct: float | None = None, keep_truncated: bool | None = None) -> None:
        self.root = Path(path).expanduser().resolve()
        if not self.root.is_dir():
            raise DatasetError(f"There is no folder {str(path)!r}. Give the folder that holds one folder per class.")
        check_own_folder(self.root)
        self._catalog = Catalog(self.root / ".shoebox" / "catalog.sqlite")
        self._thumbnails = Thumbnails(self.root / ".shoebox" / "thumbnails.sqlite")
        self._sources = SourceTable(self._catalog)
        self.split = self._split_rule(valid_pct, seed, test_pct)
        self.keep_truncated = self._truncated_setting(keep_truncated)
        self.report: ScanReport

    def scan(self, progress: Progress | None = None, *, deep: bool = False) -> ScanReport:
        """Look at the folder again. An interrupted scan loses nothing.

        Files unchanged in size and time are not read, unless `deep`.
        """
        self.report, images = scan(self.root, self._catalog, self.split, thumbnails=self._thumbnails, deep=deep,
                           progress=progress, truncated=self._truncated)
        self._reload(images)
        return self.report

    @property
    def images(self) -> tuple[ImageRecord, ...]:
        """Every readable picture, ordered by path."""
        return tuple(self._images.values())

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names in order; a class stands in it as long as it has a picture."""
        return tuple(sorted({record.label for record in self._images.values()}))

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all paths and image ids: equal fingerprints, equal data sets."""
        digest = hashlib.sha256()
        for record in self.images:
            digest.update(f"{record.path}\0{record.image_id}\n".encode())
        return digest.hexdigest()

    def counts(self) -> dict[str, dict[str, int]]:
        """Pictures per class and side: `{"grizzly": {"train": 80, "valid": 20}, …}`."""
        return count_sides(self.images)

    def split_report(self) -> SplitReport:
        """Pictures per class and side, which class has no validation picture, and what else is short."""
        return report_split(self.images)

    def duplicates(self) -> tuple[DuplicateGroup, ...]:
        """Groups of pictures that are the same but for encoding, size, brightness or mirroring.

        Those that stand under more than one label come first: at least one of the labels is wrong.
        """
        return find_duplicates(self.images)

    def record(self, path: str) -> ImageRecord:
        """The catalog's row of one picture."""
        try:
            return self._images[path]
        except KeyError:
            raise DatasetError(f"There is no picture {path!r} in {self.root.name!r}. Scan again, or check the "
                               "path: it is relative to the data set, with forward slashes.") from None

    def file(self, path: str) -> Path:
        """Where the picture `path` stands on disk, checked to be inside the data set."""
        return safe_join(self.root, path)

    def open_image(self, path: str) -> Image.Image:
        """The picture `path` as training sees it: upright RGB, and as far as it is there if `keep_truncated` is on.

        Raises `ImageError` when the file has gone or changed into none.
        """
        return open_image(self.file(path), truncated=self._truncated)

    def thumbnail(self, path: str, side_px: int = 192) -> bytes:
        """JPEG of the picture with its longer side at most `side_px`; up to 256 from the scan's own thumbnail."""
        if side_px > THUMBNAIL_PX:
            return jpeg_bytes(self.open_image(path), side_px=side_px)
        data = self.thumbnails([path])[path]
        return data if side_px == THUMBNAIL_PX else jpeg_bytes(open_image(data), side_px=side_px)

    def thumbnails(self, paths: Iterable[str]) -> dict[str, bytes]:
        """JPEG of each of these pictures, at most 256 pixels a side, from the scan's own: one question for a page.

        Raises `ImageError` for a picture that has no thumbnail yet and cannot be opened.
        """
        ids = {path: self.record(path).image_id for path in paths}
        kept = self._thumbnails.many(set(ids.values()))
        drawn = {image_id: jpeg_bytes(self.open_image(path), side_px=THUMBNAIL_PX)
                 for path, image_id in ids.items() if image_id not in kept}
        self._thumbnails.keep(drawn)
        return {path: kept.get(image_id) or drawn[image_id] for path, image_id in ids.items()}

    def save_predictions(self, predictions: Predictions, name: str = "ranking") -> None:
        """Keep predictions beside the catalog, under a name, for another notebook to rank or compare with."""
        atomic_write_bytes(self._predictions_file(name), predictions.to_bytes())

    def predictions(self, name: str = "ranking") -> Predictions | None:
        """The predictions saved last under `name`, or None."""
        file = self._predictions_file(name)
        return Predictions.from_bytes(file.read_bytes()) if file.is_file() else None

    def sheet(self, per_class: int = 10, side_px: int = 72) -> Image.Image:
        """A picture to look at: one row per class in the order of `classes`, with its first pictures."""
        paths = [[r.path for r in self.images if r.label == label][:per_class] for label in self.classes]
        return contact_sheet([[self.thumbnail(path, side_px) for path in row] for row in paths], per_class, side_px)

    @property
    def sources(self) -> dict[str, tuple[SourceRecord, ...]]:
        """Where pictures came from, by image id; those that are in the trash, or gone, keep theirs."""
        found: dict[str, list[SourceRecord]] = {}
        for record in self._sources.all():
            if record.image_id:
                found.setdefault(record.image_id, []).append(record)
        return {image_id: tuple(records) for image_id, records in found.items()}

    def attribution(self) -> Attribution:
        """The credits list of the pictures that stand in the data set: `.rows`, and `.markdown()` for a model card."""
        records = (record for records in self.sources.values() for record in records)
        return credits_of(((record.path, record.image_id) for record in self.images), records)

    def __repr__(self) -> str:
        return f"Dataset({self.root.name!r}: {len(self._images)} pictures, {len(self.classes)} classes)"

    def _repr_html_(self) -> str:
        return counts_table(self.counts())

    def _predictions_file(self, name: str) -> Path:
        return self.root / ".shoebox" / f"predictions-{check_label(name)}.npz"

    def _reload(self, images: dict[str, ImageRecord] | None = None) -> None:
        self._images = self._catalog.images() if images is None else images

    @property
    def _truncated(self) -> Truncated:
        return "keep" if self.keep_truncated else "refuse"

    def _truncated_setting(self, wanted: bool | None) -> bool:
        if wanted is not None and not isinstance(wanted, bool):
            raise DatasetError(f"keep_truncated is {wanted!r}; True or False was expected.")
        stored = bool(self._catalog.settings({"keep_truncated": bool(wanted)})["keep_truncated"])
        if wanted is None or wanted == stored:
            return stored
        self._catalog.change_setting("keep_truncated", wanted)
        return wanted

    def _split_rule(self, valid_pct: float | None, seed: int | None, test_pct: float | None) -> SplitRule:
        wanted = {"valid_pct": valid_pct, "seed": seed, "test_pct": test_pct}
        asked = {name: value for name, value in wanted.items() if value is not None}
        first = checked_rule({"valid_pct": 0.2, "seed": 42, "test_pct": 0.0} | asked)
        stored = self._catalog.settings(asdict(first))
        for name, value in asked.items():
            if value != stored[name]:
                raise DatasetError(f"This data set was split with {name}={stored[name]}; {value} came. Its split never "
                                   "moves: leave the parameter out, or copy the pictures to a new folder.")
        return checked_rule(stored)
