"""The data floor: image bytes, files, the catalog and the `Dataset` that notebooks hold.

`_images` is the one door for image bytes, `_scan` turns class folders into catalog rows, `_split` decides sides,
`_decisions` and `_apply` carry what a person decided to the files and back. Needs numpy and Pillow only.

Names are loaded when they are first used: the app needs the door alone, and the rest would cost it time and memory.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoebox.data._apply import ApplyResult, Plan
    from shoebox.data._catalog_sources import SourceTable
    from shoebox.data._dataset import Dataset
    from shoebox.data._deciding import Choice, ConflictError
    from shoebox.data._decisions import Decision, PastDecision
    from shoebox.data._features import kept_features
    from shoebox.data._feedback import undecided_feedback
    from shoebox.data._files import (
        FreeNames,
        atomic_write_bytes,
        check_label,
        folder_lock,
        fsync_folder,
        name_key,
        safe_join,
        sha256_bytes,
        sha256_file,
    )
    from shoebox.data._find import find_files
    from shoebox.data._images import (
        DecodedImage,
        ImageSource,
        check_image,
        decode_image,
        jpeg_bytes,
        open_image,
        read_bytes,
    )
    from shoebox.data._moves import move_file, move_files
    from shoebox.data._outlines import OUTLINES, outlines
    from shoebox.data._predictions import Predictions
    from shoebox.data._provenance import Attribution, Credit, SourceRecord
    from shoebox.data._records import ImageRecord, Move, Skipped
    from shoebox.data._reports import DuplicateGroup, SplitReport
    from shoebox.data._scan import Progress, ScanReport

__all__ = [
    "OUTLINES",
    "ApplyResult",
    "Attribution",
    "Choice",
    "ConflictError",
    "Credit",
    "Dataset",
    "Decision",
    "DecodedImage",
    "DuplicateGroup",
    "FreeNames",
    "ImageRecord",
    "ImageSource",
    "Move",
    "PastDecision",
    "Plan",
    "Predictions",
    "Progress",
    "ScanReport",
    "Skipped",
    "SourceRecord",
    "SourceTable",
    "SplitReport",
    "atomic_write_bytes",
    "check_image",
    "check_label",
    "decode_image",
    "find_files",
    "folder_lock",
    "fsync_folder",
    "jpeg_bytes",
    "kept_features",
    "move_file",
    "move_files",
    "name_key",
    "open_image",
    "outlines",
    "read_bytes",
    "safe_join",
    "sha256_bytes",
    "sha256_file",
    "undecided_feedback",
]

_HOMES = {
    "_apply": ("ApplyResult", "Plan"),
    "_catalog_sources": ("SourceTable",),
    "_dataset": ("Dataset",),
    "_deciding": ("Choice", "ConflictError"),
    "_decisions": ("Decision", "PastDecision"),
    "_features": ("kept_features",),
    "_feedback": ("undecided_feedback",),
    "_files": ("FreeNames", "atomic_write_bytes", "check_label", "folder_lock",
               "fsync_folder", "name_key", "safe_join", "sha256_bytes", "sha256_file"),
    "_find": ("find_files",),
    "_images": ("DecodedImage", "ImageSource", "check_image", "decode_image", "jpeg_bytes", "open_image", "read_bytes"),
    "_moves": ("move_file", "move_files"),
    "_outlines": ("OUTLINES", "outlines"),
    "_predictions": ("Predictions",),
    "_provenance": ("Attribution", "Credit", "SourceRecord"),
    "_records": ("ImageRecord", "Move", "Skipped"),
    "_reports": ("DuplicateGroup", "SplitReport"),
    "_scan": ("Progress", "ScanReport"),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"shoebox.data.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"shoebox.data has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
