"""One class, one name: folders that differ only in case or in how Unicode is composed are one class."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable

from shoebox.data._files import check_label, name_key
from shoebox.errors import DatasetError

__all__ = ["class_names", "class_warnings"]


def class_names(labels: Iterable[str]) -> dict[str, str]:
    """The class of each spelling: the one that most files have, of equals the first in order; always NFC.

    Parameters
    ----------
    labels : iterable of str
        One per file, as their folders are spelled.
    """
    counts = Counter(labels)
    composed: Counter[str] = Counter()
    for label, count in counts.items():
        composed[unicodedata.normalize("NFC", label)] += count
    name: dict[str, str] = {}
    for label in sorted(composed, key=lambda label: (-composed[label], label)):
        name.setdefault(name_key(label), label)
    return {label: name[name_key(label)] for label in counts}


def class_warnings(folders: Iterable[str]) -> tuple[str, ...]:
    """A sentence for each class that has two folders, and for each folder that could not be made elsewhere.

    Parameters
    ----------
    folders : iterable of str
        The class folder of each file, as spelled on disk.
    """
    counts = Counter(folders)
    names = class_names(counts.elements())
    same: dict[str, list[str]] = defaultdict(list)
    for folder in sorted(counts):
        same[names[folder]].append(folder)
    warnings = [f"The folders {' and '.join(map(_shown, spelled))} are one class, {name!r}: other systems cannot tell "
                "them apart. Put their pictures into one folder."
                for name, spelled in sorted(same.items()) if len(spelled) > 1]
    for folder in sorted(counts):
        try:
            check_label(folder)
        except DatasetError as error:
            warnings.append(f"The class folder {folder!r} does not work on every system. {error}")
    return tuple(warnings)


def _shown(folder: str) -> str:
    """The name, with a word about its composition where that is all that differs."""
    return repr(folder) if unicodedata.is_normalized("NFC", folder) else f"{folder!r} (decomposed)"
