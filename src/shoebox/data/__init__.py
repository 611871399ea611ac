"""The data floor: image bytes, files, the catalog and the `Dataset` that notebooks hold.

`_images` is the one door for image bytes, `_scan` turns class folders into catalog rows, `_split` decides sides,
`_decisions` and `_apply` carry what a person decided to the files and back. Needs numpy and Pillow only.
"""

from shoebox.data._apply import ApplyResult, Plan
from shoebox.data._catalog_sources import SourceTable
from shoebox.data._dataset import Dataset
from shoebox.data._decisions import Decision
from shoebox.data._features import kept_features
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
from shoebox.data._images import DecodedImage, ImageSource, decode_image, jpeg_bytes, open_image, read_bytes
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
    "Credit",
    "Dataset",
    "Decision",
    "DecodedImage",
    "DuplicateGroup",
    "FreeNames",
    "ImageRecord",
    "ImageSource",
    "Move",
    "Plan",
    "Predictions",
    "Progress",
    "ScanReport",
    "Skipped",
    "SourceRecord",
    "SourceTable",
    "SplitReport",
    "atomic_write_bytes",
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
]
