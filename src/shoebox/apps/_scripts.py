"""The page's scripts and styles: sent compressed, once packed for all, and asked for before the page is complete.

A page is complete only when its kernel has run the notebook, and its scripts load one another in several waves. What
pages have asked for is therefore named in the head of the next ones, which is sent at once.
"""

from __future__ import annotations

import gzip
import html
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path

from jupyter_server.base.handlers import FileFindHandler
from tornado.web import StaticFileHandler
from voila.static_file_handler import MultiStaticFileHandler, TemplateStaticFileHandler

__all__ = ["CHARSET", "REPLACED_FILES", "Learned", "with_preloads"]

_WORTH_PACKING = {".js", ".css", ".json", ".map", ".svg", ".html"}
_PACK_OVER_BYTES = 1024
_PACKED_BYTES = 32 * 2**20
_MOST_PRELOADS = 150
CHARSET = '<meta charset="utf-8" />'  # a script that is asked for before the page has said this is read as Latin-1
_SCRIPT = re.compile(r"/(?!/)[\w./@-]+\.js(\?v=[0-9a-f]{1,128})?")


class Learned:
    """Addresses of scripts that pages have asked for, in their order."""

    def __init__(self) -> None:
        self._addresses: dict[str, None] = {}

    def note(self, address: str) -> None:
        """Remember an address that was answered; odd ones, and more than a page ever needs, are not."""
        if len(self._addresses) < _MOST_PRELOADS and _SCRIPT.fullmatch(address):
            self._addresses[address] = None

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._addresses))


def with_preloads(page_start: str, addresses: Iterable[str]) -> str:
    """The beginning of a page with a wish for each script in its head, once its charset is said.

    Examples
    --------
    >>> with_preloads('<head><meta charset="utf-8" /><title>', ["/a.js"])
    '<head><meta charset="utf-8" /><link rel="preload" as="script" href="/a.js"><title>'
    """
    links = "".join(f'<link rel="preload" as="script" href="{html.escape(address)}">' for address in addresses)
    return page_start.replace(CHARSET, CHARSET + links, 1)


class _Packed(StaticFileHandler):
    """Compressed if the browser takes it; Voila sends its files as they are."""

    def set_headers(self) -> None:
        super().set_headers()
        learned: Learned | None = self.settings.get("shoebox_scripts")
        if learned is not None:
            learned.note(self.request.uri or "")
        path = Path(self.absolute_path or "")
        if path.suffix == ".js":
            self.set_header("Content-Type", "text/javascript; charset=utf-8")
        if path.suffix not in _WORTH_PACKING or "Range" in self.request.headers:
            return
        self.set_header("Vary", "Accept-Encoding")
        if "gzip" not in self.request.headers.get("Accept-Encoding", ""):
            return
        status = path.stat()
        if status.st_size > _PACK_OVER_BYTES:
            packed = _SHELF.take(path, status.st_mtime_ns)
            self.set_header("Content-Encoding", "gzip")
            self.get_content_size = lambda: len(packed)  # type: ignore[method-assign]  # only for this request
            self.get_content = lambda abspath, start=None, end=None: packed  # type: ignore


class _Shelf:
    """Compressed files by path and time of change, the oldest forgotten when there are too many."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int], bytes] = OrderedDict()

    def take(self, path: Path, changed_ns: int) -> bytes:
        key = (path, changed_ns)
        if key not in self._kept:
            self._kept[key] = gzip.compress(path.read_bytes(), 6)
            while sum(map(len, self._kept.values())) > _PACKED_BYTES:
                self._kept.popitem(last=False)
        return self._kept[key]


_SHELF = _Shelf()


class _PackedStatic(_Packed, MultiStaticFileHandler):
    pass


class _PackedTemplate(_Packed, TemplateStaticFileHandler):
    pass


class _PackedFound(_Packed, FileFindHandler):
    pass


REPLACED_FILES = {MultiStaticFileHandler: _PackedStatic, TemplateStaticFileHandler: _PackedTemplate,
                  FileFindHandler: _PackedFound}
