"""The collector: rows of class and query, a bar per class, pictures as they arrive. Python owns what is collected."""

from __future__ import annotations

import logging
import os
import pathlib
import queue
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import anywidget
import traitlets

from shoebox.collect import WEB_WARNING, Archive, Event, Folder, Source, UrlList, collect, queries_of, sites, summary_of
from shoebox.collect import Collected as Report
from shoebox.data import Dataset, SourceRecord, check_label, jpeg_bytes, open_image
from shoebox.errors import DatasetError, ShoeboxError
from shoebox.widgets._messages import Desk, MessageError, Reply, Request
from shoebox.widgets._modules import join_modules, join_styles

__all__ = ["Collector"]

_LOG = logging.getLogger("shoebox")
_STATIC = pathlib.Path(__file__).parent / "static"
_TELL_EVERY_S = 0.3
_SHOWN = 24
_SHOWN_SITES = 8
_SIDE_PX = 96
_MAX_CLASSES = 200
_MAX_PER_CLASS = 1000
_CHOICES = {"ddgs": "Web search (ddgs)", "openverse": "Openverse: open licences",
            "commons": "Wikimedia Commons: open licences", "serpapi": "SerpApi (key in SERPAPI_KEY)",
            "files": "A folder, archive or list of this machine"}


class Collector(anywidget.AnyWidget):
    """A form that collects pictures into a data set, with a bar per class and thumbnails as they arrive.

    What is stored is safe at once, whatever happens to the tab or the kernel; starting again goes on where it ended.

    Parameters
    ----------
    ds : Dataset or path
        Where the pictures go; a folder that does not exist is made when collecting starts.
    classes : mapping of str to str, or sequence of str, optional
        The rows to begin with: class and query; of a sequence each is both.
    per_class : int
        Addresses per class, 1 to 1000.
    source : str or Source
        The choice to begin with; a `Source` of your own becomes one of the choices, under its name.
    **options
        For `shoebox.collect`: `licence`, `max_px`, `allow_private`, `contact`, `limits`.

    Attributes
    ----------
    report : Collected or None
        Of the last run, once it has ended; `report.ds` is the data set.
    snapshot : dict
        All that the page shows: `state` (idle, running, stopping), rows, classes with counts, pictures, sites, notes,
        and in `lists` the sources that are taken as a whole, whatever `per_class` says.
    thumbnails : dict[str, bytes]
        JPEGs of the pictures shown, by path.

    Examples
    --------
    >>> shoebox.Collector("bears", {"grizzly": "grizzly bear", "teddy": "teddy bear"})  # doctest: +SKIP
    """

    _esm = join_modules(_STATIC / "collector.js")
    _css = join_styles(_STATIC / "collector.css")

    snapshot = traitlets.Dict().tag(sync=True)
    thumbnails = traitlets.Dict().tag(sync=True)
    choices = traitlets.List().tag(sync=True)
    warning = traitlets.Unicode().tag(sync=True)

    def __init__(self, ds: Dataset | str | os.PathLike[str],
                 classes: Mapping[str, str] | Sequence[str] | None = None, *,
                 per_class: int = 50, source: str | Source = "ddgs", **options: Any) -> None:
        self._ds = ds
        self._options = options
        self._own = None if isinstance(source, str) else source
        self._lists = ["files", *([] if self._own is None or self._own.searches else [self._own.name])]
        self.report: Report | None = None
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._run = _Run()
        self._revision = 0
        self._form: dict[str, Any] = {
            "rows": [list(row) for row in queries_of(classes or {}).items()], "per_class": per_class,
            "source": source if isinstance(source, str) else source.name, "place": ""}
        own = {} if self._own is None else {self._own.name: f"{type(self._own).__name__} (given in the notebook)"}
        super().__init__(choices=[list(choice) for choice in {**own, **_CHOICES}.items()], warning=WEB_WARNING)
        self._tell("idle")
        self._desk = Desk({"start": self._on_start, "stop": self._on_stop})
        self._desk.attach(self)

    def __repr__(self) -> str:
        return f"Collector({self.snapshot['summary']})"

    def start(self) -> None:
        """Begin, or go on, with the rows as they are; returns at once."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                raise DatasetError("Collecting is under way already. Stop it first.")
            rows = {check_label(label): query for label, query in self._form["rows"]}
            if not rows:
                raise DatasetError("There is no class yet. Add a row with a class and what to search for.")
            source = self._source()
            self._stop.clear()
            self._run = _Run(rows)
            self._tell("running")
            self._thread = threading.Thread(target=self._work, args=(rows, source), name="shoebox-collector",
                                            daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop soon; what is stored stays."""
        self._stop.set()
        if self.snapshot["state"] == "running":
            self._tell("stopping")

    def wait(self, timeout_s: float | None = None) -> Report | None:
        """Wait until collecting has ended; the report, or None when it has not."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return None if self._thread is not None and self._thread.is_alive() else self.report

    def close(self) -> None:
        """End the widget and what it is collecting."""
        self._stop.set()
        super().close()

    def _source(self) -> str | Source:
        name = self._form["source"]
        if self._own is not None and name == self._own.name:
            return self._own
        if name != "files":
            return str(name)
        given = str(self._form["place"]).strip()
        place = pathlib.Path(given).expanduser()
        if not given or not place.exists():
            missing = f"There is no {str(place)!r} on this machine" if given else "No path was given"
            raise DatasetError(f"{missing}. Give the path of a folder, a zip or tar file, or a text or CSV file of "
                               "addresses.")
        if place.is_dir():
            return Folder(place)
        return UrlList(place) if place.suffix.lower() in (".txt", ".csv", ".tsv") else Archive(place)

    def _work(self, rows: Mapping[str, str], source: str | Source) -> None:
        """Collect in this thread, while another brings the page up to date."""
        ended = threading.Event()
        teller = threading.Thread(target=self._keep_telling, args=(ended,), name="shoebox-collector-page", daemon=True)
        teller.start()
        try:
            per_class = None if not isinstance(source, str) and not source.searches else self._form["per_class"]
            self.report = collect(self._ds, rows, source=source, per_class=per_class, watch=self._run.watch,
                                  stop=self._stop, **self._options)
            self._ds = self.report.ds
        except ShoeboxError as error:
            self._run.notes.append(str(error))
        except Exception as error:
            self._run.notes.append(f"Collecting failed ({type(error).__name__}: {error}). What is stored stays; "
                                   "start again to go on.")
            _LOG.exception("Collecting failed")
        finally:
            ended.set()
            teller.join()
            self._tell("idle")

    def _keep_telling(self, ended: threading.Event) -> None:
        while not ended.wait(_TELL_EVERY_S):
            self._tell("stopping" if self._stop.is_set() else "running")

    def _tell(self, state: str) -> None:
        with self._lock:
            self._run.draw(self._ds)
            self._revision += 1
            with self.hold_sync():
                self.thumbnails = dict(self._run.thumbnails)
                self.snapshot = {**self._form, **self._run.as_json(), "lists": self._lists, "state": state,
                                 "revision": self._revision}

    def _on_start(self, request: Request) -> Reply:
        with self._lock:
            before = self._form
            self._form = _checked(request, [name for name, _ in self.choices])
            try:
                self.start()
            except ShoeboxError:
                self._form = before
                raise
        return Reply({"revision": self._revision})

    def _on_stop(self, request: Request) -> Reply:
        self.stop()
        return Reply({"revision": self._revision})


class _Run:
    """What happened since the start. `watch` is called by the collecting thread and only takes note."""

    def __init__(self, rows: Mapping[str, str] | None = None) -> None:
        self.notes: list[str] = []
        self.thumbnails: dict[str, bytes] = {}
        self._rows = dict(rows or {})
        self._totals: dict[str, int] = {}
        self._records: dict[tuple[str, str], SourceRecord] = {}
        self._fresh: queue.SimpleQueue[SourceRecord] = queue.SimpleQueue()
        self._pictures: list[SourceRecord] = []
        self._searching = ""
        self._earlier = 0

    def watch(self, event: Event) -> None:
        if event.kind == "searching":
            self._searching = f"Asking {event.sentence} for {event.label} …"
        elif event.kind == "found":
            self._totals[event.label], self._searching = event.total, ""
        elif event.kind == "note":
            self.notes.append(event.sentence)
        elif event.record is not None:
            self._records[event.record.url, event.record.label] = event.record
            if event.record.state == "added":
                self._earlier += event.earlier
                self._fresh.put(event.record)

    def draw(self, ds: Dataset | str | os.PathLike[str]) -> None:
        """Make the thumbnails of the newest pictures, oldest last."""
        fresh = []
        while not self._fresh.empty():
            fresh.append(self._fresh.get())
        root = ds.root if isinstance(ds, Dataset) else pathlib.Path(ds).expanduser()
        self._pictures = [*reversed(fresh), *self._pictures][:_SHOWN]
        for record in self._pictures:
            if record.path not in self.thumbnails:
                try:
                    self.thumbnails[record.path] = jpeg_bytes(open_image(root / record.path), side_px=_SIDE_PX)
                except ShoeboxError:  # removed since
                    self.thumbnails[record.path] = b""
        shown = {record.path for record in self._pictures}
        self.thumbnails = {path: data for path, data in self.thumbnails.items() if path in shown}

    def as_json(self) -> dict[str, Any]:
        records = list(self._records.values())
        states = Counter((record.label, record.state) for record in records)
        asked = Counter(record.label for record in records)
        classes = [{"label": label, "done": asked[label], "total": self._totals.get(label, asked[label]),
                    **{state: states[label, state] for state in ("added", "duplicate", "refused")}}
                   for label in self._rows]
        pictures = [{"image_id": r.image_id, "path": r.path, "label": r.label, "title": r.title}
                    for r in self._pictures]
        return {"classes": classes, "pictures": pictures, "sites": list(sites(records).items())[:_SHOWN_SITES],
                "notes": self.notes[-5:], "searching": self._searching,
                "summary": summary_of(records, self._earlier) if records else ""}


def _checked(request: Request, choices: list[str]) -> dict[str, Any]:
    """The form as a person filled it in, every field looked at."""
    rows = request.fields.get("rows")
    if not isinstance(rows, list) or len(rows) > _MAX_CLASSES:
        raise MessageError(f"At most {_MAX_CLASSES} classes were expected. Reload the page.")
    named: dict[str, str] = {}
    for row in rows:
        if not (isinstance(row, list) and len(row) == 2 and all(isinstance(text, str) and len(text) <= 300
                                                                for text in row)):
            raise MessageError("A row needs a class and a query as short texts. Reload the page.")
        label, query = row[0].strip(), row[1].strip()
        if label or query:
            if check_label(label) in named:
                raise MessageError(f"Two rows have the class {label!r}. Give each class one row; to search for "
                                   "something else too, collect once more with another query.")
            named[label] = query or label
    number = request.fields.get("per_class")
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= _MAX_PER_CLASS:
        raise MessageError(f"How many per class? A whole number from 1 to {_MAX_PER_CLASS} was expected.")
    return {"rows": [list(row) for row in named.items()], "source": request.one_of("source", choices),
            "per_class": number, "place": request.text("place")}
