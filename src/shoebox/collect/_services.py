"""Search services: ddgs (several engines, no key), Openverse and Wikimedia Commons (licence and author), SerpApi (key).

None of them is asked for more than it was meant to give: one question at a time, page by page, and when a service says
that it is enough, that is a sentence with the next step.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from shoebox.collect._api import ask
from shoebox.collect._licence import Licensed, checked_licence
from shoebox.collect._outcome import Found, SourceError

__all__ = ["Commons", "Ddgs", "Openverse", "SerpApi"]

_TAG = re.compile(r"<[^>]*>")


class Ddgs(Licensed):
    """Image search of several engines without a key, through the ddgs library.

    It reads pages that were made for people, so it can be limited or fail from one day to the next. Licences are
    known to the engine only as a filter; what a single picture's licence is stays unknown.

    Parameters
    ----------
    engines : sequence of str, optional
        Of those that ddgs knows, in order; all of them unless given.
    safesearch : str
        `on`, `moderate` or `off`.
    proxy, verify : optional
        As `ddgs.DDGS` takes them.
    """

    name = "ddgs"
    searches = True
    _FILTER: ClassVar = {"open": "any", "commercial": "ShareCommercially", "modification": "Modify"}

    def __init__(self, *, engines: tuple[str, ...] = (), safesearch: str = "on", licence: str | None = None,
                 proxy: str | None = None, verify: bool | str = True) -> None:
        self._engines = engines
        self._safesearch = safesearch
        self.licence = checked_licence(licence, self.name)
        self._options: dict[str, Any] = {"proxy": proxy, "verify": verify, "timeout": 10}

    def search(self, query: str, n: int | None) -> Iterator[Found]:
        """Engine after engine, page after page, each address once."""
        try:
            import ddgs
            from ddgs.engines import ENGINES
        except ImportError:
            raise SourceError("The source ddgs needs the library ddgs. Install it: pip install ddgs") from None
        known = list(ENGINES.get("images", {}))
        engines = [name for name in self._engines or sorted(known, reverse=True) if name in known]
        if self.licence is not None:
            engines = [name for name in engines if name == "duckduckgo"]  # the only one with a licence filter
        client = ddgs.DDGS(**self._options)
        seen: set[str] = set()
        faults: list[str] = []
        for engine in engines:
            try:
                yield from self._engine(client, engine, query, n, seen)
            except ddgs.exceptions.DDGSException as error:
                faults.append(f"{engine}: {_short(error)}")
            if n is not None and len(seen) >= n:
                return
        if faults or not seen:
            got = f"named {len(seen)} pictures" if seen else "found nothing"
            advice = ("No engine was reached: check this machine's connection to the internet"
                      if faults and all("dns error" in fault.lower() for fault in faults) else
                      "Such engines limit how often they are asked: wait some minutes, or choose Openverse or "
                      "Wikimedia Commons (source=\"openverse\" or \"commons\")")
            raise SourceError(f"ddgs {got} for {query!r} ({'; '.join(faults) or 'no results'}). {advice}.")

    def _engine(self, client: Any, engine: str, query: str, n: int | None, seen: set[str]) -> Iterator[Found]:
        more: dict[str, Any] = {"license_image": self._FILTER[self.licence]} if self.licence else {}
        rank = 0
        for page in range(1, 11):
            if page > 1 and n is not None and len(seen) >= n:
                return
            try:
                rows = client.images(query, backend=engine, page=page, max_results=None, safesearch=self._safesearch,
                                     **more)
            except Exception:
                if page > 1 and rank:
                    return  # an engine ends so as well
                raise
            fresh = [row for row in rows if row.get("image") and row["image"] not in seen]
            if not fresh:
                return
            for row in fresh:
                rank += 1
                seen.add(row["image"])
                yield Found(row["image"], row.get("url") or "", row.get("title") or "", engine=engine, rank=rank)


class Openverse(Licensed):
    """Openly licensed pictures, each with licence and author; no key, some hundred a day."""

    name = "openverse"
    searches = True
    _PAGE = 20  # the most that is given without an account

    def __init__(self, *, licence: str | None = None, base_url: str = "https://api.openverse.org",
                 allow_private: bool = False) -> None:
        self.licence = checked_licence(licence, self.name)
        self._base_url, self._allow_private = base_url, allow_private

    def search(self, query: str, n: int | None) -> Iterator[Found]:
        """Page after page."""
        rank, page, pages = 0, 1, 1
        while page <= pages and (n is None or rank < n):
            fields: dict[str, Any] = {"q": query, "page": page, "page_size": self._PAGE, "mature": "false"}
            if self.licence in ("commercial", "modification"):
                fields["license_type"] = self.licence
            answer = ask(self.name, f"{self._base_url}/v1/images/", fields, allow_private=self._allow_private)
            pages = int(answer.get("page_count") or 0)
            for row in (row for row in _rows(answer, "results") if _text(row, "url")):
                rank += 1
                yield Found(_text(row, "url"), _text(row, "foreign_landing_url"), _text(row, "title"),
                            _licence_name(row), _text(row, "license_url"), _text(row, "creator"),
                            _text(row, "source"), rank)
            page += 1


class Commons(Licensed):
    """Pictures of Wikimedia Commons, each with licence and author.

    Pictures wider than `width_px` are taken at that width, as Wikimedia asks of programs; 0 takes originals.
    """

    name = "commons"
    searches = True

    def __init__(self, *, licence: str | None = None, width_px: int = 1280,
                 base_url: str = "https://commons.wikimedia.org", allow_private: bool = False) -> None:
        self.licence = checked_licence(licence, self.name)
        self._width_px = width_px
        self._base_url, self._allow_private = base_url, allow_private

    def search(self, query: str, n: int | None) -> Iterator[Found]:
        """Page after page, in the order of the search."""
        fields: dict[str, Any] = {
            "action": "query", "format": "json", "formatversion": "2", "generator": "search", "gsrnamespace": "6",
            "gsrsearch": f"filetype:bitmap {query}", "gsrlimit": "50", "prop": "imageinfo",
            "iiprop": "url|extmetadata|mime|user"}
        if self._width_px:
            fields["iiurlwidth"] = str(self._width_px)
        rank = 0
        onward: dict[str, Any] = {}
        while n is None or rank < n:
            answer = ask(self.name, f"{self._base_url}/w/api.php", fields | onward, allow_private=self._allow_private)
            if "error" in answer:
                raise SourceError(f"commons refuses the question: {_short(answer['error'])}. Ask for something else.")
            pages = _rows(answer.get("query") or {}, "pages")
            for page in sorted(pages, key=lambda row: int(row.get("index") or 0)):
                found = self._found(page, rank + 1)
                if found is not None:
                    rank += 1
                    yield found
            onward = answer.get("continue") or {}
            if not onward:
                return

    def _found(self, page: Mapping[str, Any], rank: int) -> Found | None:
        row = next(iter(_rows(page, "imageinfo")), {})
        meta = row.get("extmetadata") or {}
        licence = _meta(meta, "LicenseShortName")
        barred = {"commercial": "NC", "modification": "ND"}.get(self.licence or "")
        address = _text(row, "thumburl") or _text(row, "url")
        if not address or (barred and barred in licence.upper().replace("-", " ").split()):
            return None
        return Found(address, _text(row, "descriptionurl"), _text(page, "title").removeprefix("File:"), licence,
                     _meta(meta, "LicenseUrl"), _meta(meta, "Artist") or _text(row, "user"), "commons", rank)


class SerpApi(Licensed):
    """Google or Bing images through serpapi.com, with a key from the environment variable SERPAPI_KEY.

    The key goes over the wire and nowhere else: it is in no message, log, catalog or report.
    """

    name = "serpapi"
    searches = True
    licences = ("open",)

    def __init__(self, *, engine: str = "google_images", licence: str | None = None,
                 base_url: str = "https://serpapi.com", allow_private: bool = False) -> None:
        self._engine = engine
        self.licence = checked_licence(licence, self.name, self.licences)
        self._base_url, self._allow_private = base_url, allow_private

    def search(self, query: str, n: int | None) -> Iterator[Found]:
        """Page after page; a page costs one search of the account."""
        key = os.environ.get("SERPAPI_KEY", "").strip()
        if not key:
            raise SourceError("serpapi needs a key. Set the environment variable SERPAPI_KEY before starting Jupyter, "
                              "or use source=\"ddgs\", \"openverse\" or \"commons\", which need none.")
        rank, page = 0, 0
        while n is None or rank < n:
            fields: dict[str, Any] = {"engine": self._engine, "q": query, "safe": "active"}
            fields |= {"ijn": page} if self._engine == "google_images" else {"first": rank + 1}
            fields |= {"tbs": "il:cl"} if self.licence else {}
            answer = ask(self.name, f"{self._base_url}/search.json", fields, secret=("api_key", key),
                         allow_private=self._allow_private)
            rows = [row for row in _rows(answer, "images_results") if _text(row, "original")]
            for row in rows:
                rank += 1
                yield Found(_text(row, "original"), _text(row, "link"), _text(row, "title"), engine=self._engine,
                            rank=rank)
            page += 1
            if not rows or not (answer.get("serpapi_pagination") or {}).get("next"):
                return


def _rows(answer: Any, name: str) -> list[Mapping[str, Any]]:
    """A list of objects out of an answer, whatever else stands there."""
    rows = answer.get(name) if isinstance(answer, Mapping) else None
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""


def _meta(meta: Mapping[str, Any], name: str) -> str:
    """A field of Commons' metadata, which may hold HTML, as plain text."""
    field = meta.get(name)
    text = _text(field, "value") if isinstance(field, Mapping) else ""
    return " ".join(html.unescape(_TAG.sub(" ", text)).split())[:300]


def _licence_name(row: Mapping[str, Any]) -> str:
    code, version = _text(row, "license"), _text(row, "license_version")
    names = {"cc0": "CC0", "pdm": "Public Domain Mark"}
    return " ".join(part for part in (names.get(code, f"CC {code.upper()}"), version) if part) if code else ""


def _short(error: object) -> str:
    return " ".join(str(error).split())[:160]
