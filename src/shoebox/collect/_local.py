"""Sources on this machine: a folder, a list of addresses, and what visitors of the app gave back."""

from __future__ import annotations

import csv
import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, runtime_checkable

from shoebox.collect._licence import Licensed, allows
from shoebox.collect._outcome import Found, RefusedError, SourceError
from shoebox.data import read_bytes
from shoebox.errors import ImageError

__all__ = ["Entry", "Feedback", "Folder", "Inbox", "UrlList", "folder_labels", "same_name", "tag"]

_URL_NAMES = ("url", "image_url", "image", "address", "link")
_FIELDS = {"label": ("label", "class"), "page_url": ("page_url", "page"), "title": ("title",),
           "licence": ("licence", "license"), "licence_url": ("licence_url", "license_url"),
           "author": ("author", "creator")}
_EVERYTHING = ("", "*")
_SUGGESTED = ("suggested", "suggested_label", "label")
_MODEL = ("model", "model_version")
_NONE = "none of these"


def same_name(one: str, other: str) -> bool:
    """Whether two class or folder names mean the same, composed or not, in capitals or not."""
    return unicodedata.normalize("NFC", one).casefold() == unicodedata.normalize("NFC", other).casefold()


def tag(path: Path) -> str:
    """A folder or file as the catalog and the credits call it: its name, and a mark that tells namesakes apart.

    The rest of the path says where it lay on one person's machine, which is nobody else's business.
    """
    return f"{path.name}~{hashlib.sha256(str(path.resolve()).encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def folder_labels(names: Iterable[str]) -> tuple[str, ...]:
    """The names of the folders that files directly stand in, in order."""
    parents = (PurePosixPath(name).parent.name for name in names)
    return tuple(sorted({unicodedata.normalize("NFC", name) for name in parents if name}))


def chosen(names: Sequence[str], query: str, what: str) -> list[str]:
    """The files below a folder called `query`, at any depth; all of them for an empty query or `*`."""
    if query in _EVERYTHING:
        return list(names)
    found = [name for name in names if any(same_name(part, query) for part in PurePosixPath(name).parts[:-1])]
    if not found:
        there = ", ".join(map(repr, folder_labels(names)[:10]))
        choice = f"it has {there}. Give one of these as the query, or" if there else "it has none. Give"
        raise SourceError(f"{what} has no folder {query!r}; {choice} * for everything.")
    return found


class Folder:
    """A folder of pictures on this machine; the originals are only read.

    A query names a folder in it, at any depth; an empty query or `*` means all of it. Links are not followed.
    """

    name = "folder"
    searches = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()

    def labels(self) -> tuple[str, ...]:
        """The folders in it that hold files, which can serve as classes."""
        return folder_labels(self._names())

    def search(self, query: str, n: int | None) -> Iterator[Found]:
        """Its files, ordered by path."""
        mark = tag(self.path)
        for rank, name in enumerate(chosen(self._names(), query, f"The folder {self.path.name!r}"), start=1):
            file = self.path / name
            yield Found(f"{mark}/{name}", title=file.name, engine=self.path.name, rank=rank, read=_reader(file))

    def _names(self) -> list[str]:
        if not self.path.is_dir():
            raise SourceError(f"There is no folder {str(self.path)!r}. Check the path.")
        return sorted(file.relative_to(self.path).as_posix() for file in _walk(self.path))


class UrlList(Licensed):
    """A list of addresses: a text file with one per line, a CSV or TSV file, or a sequence of str.

    A table needs a column `url` and may have `label`, `page_url`, `title`, `licence`, `licence_url` and `author`. A
    query names a label of it; an empty query, or a list without labels, means all. Under a licence filter, addresses
    whose `licence` or `licence_url` is not known to allow it are left out, and a note says how many.
    """

    name = "urls"
    searches = False

    def __init__(self, urls: str | os.PathLike[str] | Iterable[str]) -> None:
        self._file = Path(urls).expanduser() if isinstance(urls, (str, os.PathLike)) else None
        self._urls = () if isinstance(urls, (str, os.PathLike)) else tuple(urls)

    def labels(self) -> tuple[str, ...]:
        """The labels that the table names, in order of their first row."""
        return tuple(dict.fromkeys(row["label"] for row in self._rows() if row.get("label")))

    def search(self, query: str, n: int | None) -> Iterator[Found]:
        """Its addresses in the order of the list."""
        rows = self._rows()
        if query not in _EVERYTHING and any(row.get("label") for row in rows):
            rows = [row for row in rows if same_name(row.get("label", ""), query)]
            if not rows:
                raise SourceError(f"The list has no address with the label {query!r}; it has "
                                  f"{', '.join(map(repr, self.labels()[:10]))}. Give one of these as the query.")
        left_out = 0
        for rank, row in enumerate(rows, start=1):
            page_url, title, licence, licence_url, author = (row.get(name, "") for name in list(_FIELDS)[1:])
            if self.licence is None or allows(self.licence, licence, licence_url):
                yield Found(row["url"], page_url, title, licence, licence_url, author, rank=rank)
            else:
                left_out += 1
        if left_out:
            raise SourceError(f"{left_out} of {len(rows)} addresses of the list name no licence that is known to allow "
                              f"this ({self.licence}) and were left out. A table names licences in the columns "
                              "'licence' and 'licence_url', such as CC BY 4.0.")

    def _rows(self) -> list[dict[str, str]]:
        if self._file is None:
            return [{"url": url.strip()} for url in self._urls if url.strip()]
        try:
            text = self._file.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"The list {self._file.name!r} cannot be read ({error}). Give a text, CSV or TSV file in "
                              "UTF-8.") from None
        if self._file.suffix.lower() in (".csv", ".tsv"):
            return self._table(text)
        lines = (line.strip() for line in text.splitlines())
        return [{"url": line} for line in lines if line and not line.startswith("#")]

    def _table(self, text: str) -> list[dict[str, str]]:
        assert self._file is not None
        first = text.partition("\n")[0]
        delimiter = "\t" if self._file.suffix.lower() == ".tsv" else ";" if first.count(";") > first.count(",") else ","
        reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
        names = {name.strip().casefold(): name for name in reader.fieldnames or () if name}
        url = next((names[name] for name in _URL_NAMES if name in names), None)
        if url is None:
            raise SourceError(f"The table {self._file.name!r} has no column 'url'; it has "
                              f"{', '.join(map(repr, names)) or 'none'}. Name the column with the addresses 'url'.")
        columns = {field: names[name] for field, known in _FIELDS.items() for name in known if name in names}
        return [{"url": row[url].strip(), **{field: (row[column] or "").strip() for field, column in columns.items()}}
                for row in reader if (row[url] or "").strip()]


class Entry(Protocol):
    """What a visitor gave back, as `shoebox.apps` keeps it. An entry may have `data` (bytes) in place of `path`."""

    id: str
    path: Any
    suggested: str | None  # what the visitor says it is; None: none of the classes
    answer: str | None  # what the app had said; None: none of the classes
    model: str


@runtime_checkable
class Inbox(Protocol):
    """Something with `entries()`: the feedback that visitors of an app left, oldest first."""

    def entries(self) -> Iterable[Any]:
        """Each an `Entry`."""
        ...


class Feedback:
    """A page of the visitors' feedback: `inbox.entries()`, whose members are like `Entry`.

    Their pictures come in like all others: through the image door, with their origin on record. A query names a
    suggested label, or "none of these"; an empty query means all. What visitors say is a suggestion: look at it in the
    cleaner, as until somebody has decided to keep or relabel a picture, `shoebox.dataloaders` leaves it out.

    What was collected is a copy. It does not go when the inbox's days are over or a visitor deletes the picture there:
    deleting it from the data set, its trash included, is up to the data set's owner. Its record names the number that
    the visitor has (`feedback/<number>`).
    """

    name = "feedback"
    searches = False

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def labels(self) -> tuple[str, ...]:
        """The labels that visitors suggested."""
        return tuple(sorted({_field(entry, *_SUGGESTED) for entry in self._inbox.entries()} - {""}))

    def left_out(self) -> str:
        """A sentence on the pictures that are none of `labels`, and how to get them; empty when there are none."""
        n = sum(not _field(entry, *_SUGGESTED) for entry in self._inbox.entries())
        if not n:
            return ""
        return (f"{n} of the inbox's pictures are said to be none of the classes, and were left out. To look at them, "
                f"collect them into a class of their own: shoebox.collect(ds, {{\"other\": \"{_NONE}\"}}, "
                "source=inbox)")

    def search(self, query: str, n: int | None) -> Iterator[Found]:
        """The entries for a label, oldest first."""
        rank = 0
        for entry in self._inbox.entries():
            label = _field(entry, *_SUGGESTED)
            if query not in _EVERYTHING and not same_name(label or _NONE, query):
                continue
            rank += 1
            said, version = _field(entry, "answer") or _NONE, _field(entry, *_MODEL)
            yield Found(f"feedback/{_field(entry, 'id')}", title=f"a visitor's picture of {label}" if label else "",
                        engine=version, rank=rank, read=_of_entry(entry),
                        note=f"suggested {label or _NONE!r}; the app had said {said!r} (model {version or 'unknown'})")


def _field(entry: Any, *names: str) -> str:
    """A field of an entry, which may be an object or a mapping, as text."""
    for name in names:
        value = entry.get(name) if isinstance(entry, Mapping) else getattr(entry, name, None)
        if value is not None:
            return str(value)
    return ""


def _of_entry(entry: Any) -> Callable[[], bytes]:
    def read() -> bytes:
        data = entry.get("data") if isinstance(entry, Mapping) else getattr(entry, "data", None)
        if isinstance(data, (bytes, bytearray, memoryview)):
            return bytes(data)
        return _reader(Path(_field(entry, "path")))()

    return read


def _reader(file: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        if file.is_symlink():
            raise RefusedError("bad_url", f"{file.name!r} is a link, which Shoebox never follows. Put the file "
                               "itself there.")
        try:
            return read_bytes(file)
        except ImageError as error:
            raise RefusedError("too_large" if error.cause == "too_many_bytes" else "damaged" if error.cause == "empty"
                          else "not_found", str(error)) from None

    return read


def _walk(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        else:
            yield Path(entry.path)
