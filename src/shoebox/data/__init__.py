"""The data floor: image bytes, files, the catalog and the `Dataset` that notebooks hold.

`_images` is the one door for image bytes, `_scan` turns class folders into catalog rows, `_split` decides sides,
`_decisions` and `_apply` carry what a person decided to the files and back. Needs numpy and Pillow only.
"""

from shoebox.data._apply import ApplyResult, Plan
from shoebox.data._dataset import Dataset
from shoebox.data._deciding import Choice, ConflictError
from shoebox.data._decisions import Decision, PastDecision
from shoebox.data._files import atomic_write_bytes, check_label, fsync_folder, safe_join, sha256_bytes, sha256_file
from shoebox.data._images import DecodedImage, ImageSource, decode_image, jpeg_bytes, open_image, read_bytes
from shoebox.data._predictions import Predictions
from shoebox.data._records import ImageRecord, Move, Skipped
from shoebox.data._reports import DuplicateGroup, SplitReport
from shoebox.data._scan import Progress, ScanReport, find_files

__all__ = [
    "ApplyResult",
    "Choice",
    "ConflictError",
    "Dataset",
    "Decision",
    "DecodedImage",
    "DuplicateGroup",
    "ImageRecord",
    "ImageSource",
    "Move",
    "PastDecision",
    "Plan",
    "Predictions",
    "Progress",
    "ScanReport",
    "Skipped",
    "SplitReport",
    "atomic_write_bytes",
    "check_label",
    "decode_image",
    "find_files",
    "fsync_folder",
    "jpeg_bytes",
    "open_image",
    "read_bytes",
    "safe_join",
    "sha256_bytes",
    "sha256_file",
]
