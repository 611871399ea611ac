"""The files of a new bundle, in memory, from what is known and what was measured."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from shoebox.bundle._folder import MODEL
from shoebox.bundle._manifest import PROTOCOL, Manifest
from shoebox.bundle._records import DatasetRecord, FileRecord, Parity, Preprocessing

__all__ = ["Draft", "Picture", "Pictures"]

_LIBRARIES = ("fastai", "torch", "onnx", "onnxscript", "onnxruntime", "pillow", "shoebox")


class Picture(Protocol):
    """What an export needs of a data set's record."""

    @property
    def path(self) -> str:
        """Relative to the data set."""

    @property
    def image_id(self) -> str:
        """SHA-256 of its file."""

    @property
    def label(self) -> str:
        """The class it is filed under."""

    @property
    def side(self) -> str:
        """`train` or `valid`."""

    @property
    def width_px(self) -> int:
        """As stored."""

    @property
    def height_px(self) -> int:
        """As stored."""

    @property
    def format(self) -> str:
        """`JPEG` for what may be decoded at a fraction of its size."""

    @property
    def partly_there(self) -> bool:
        """Whether it is a truncated file that was kept, which the app would refuse."""


class Pictures(Protocol):
    """What an export needs of a data set; `shoebox.Dataset` has it."""

    @property
    def root(self) -> Path:
        """Its folder."""

    @property
    def images(self) -> Sequence[Picture]:
        """All pictures, ordered by path."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Its class names."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over paths and image ids."""

    def file(self, path: str) -> Path:
        """Where a picture stands on disk."""


class Draft:
    """What is known before anything is measured, and the manifest with what was."""

    def __init__(self, name: str, classes: tuple[str, ...], pipeline: Preprocessing, ds: Pictures,
                 model: bytes) -> None:
        counts = Counter(unicodedata.normalize("NFC", picture.label) for picture in ds.images)
        self.files: dict[str, bytes] = {MODEL: model}
        self.notes: dict[str, str] = {}
        self._name = name
        self._classes = classes
        self._pipeline = pipeline
        self._dataset = DatasetRecord(ds.fingerprint, {label: counts[label] for label in classes})
        self._created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._versions = {library: _version(library) for library in _LIBRARIES}

    def manifest(self, parity: Parity, metrics: Mapping[str, int | float] | None = None,
                 **measured: Any) -> Manifest:
        """The manifest over `files`, read back once, so that what cannot be read is not written.

        `measured` are `temperature` and the fields of `Manifest` that have defaults.
        """
        values = {"temperature": 1.0, "notes": self.notes, **measured}
        manifest = Manifest(
            PROTOCOL, self._name, self._created, self._classes, self._pipeline, metrics=metrics or {}, parity=parity,
            dataset=self._dataset, versions=self._versions,
            files={name: _record(data) for name, data in self.files.items()}, **values)
        return Manifest.from_json(manifest.to_json())


def _record(data: bytes) -> FileRecord:
    return FileRecord(hashlib.sha256(data).hexdigest(), len(data))


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "unknown"
