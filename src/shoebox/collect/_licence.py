"""What a licence allows, as far as its name or address says it, and sources that can be asked for it."""

from __future__ import annotations

import copy
import re
from typing import ClassVar, Self

from shoebox.collect._outcome import SourceError

__all__ = ["LICENCES", "Licensed", "allows", "checked_licence"]

LICENCES = ("open", "commercial", "modification")
_BARRED = {"open": frozenset[str](), "commercial": frozenset({"NC"}), "modification": frozenset({"ND"})}
_ADDRESS = re.compile(r"CREATIVECOMMONS\.ORG/(?:LICENSES/([A-Z+-]+)|PUBLICDOMAIN)\b")
_LONG = tuple((re.compile(long), short) for long, short in (
    (r"[\s_-]+", " "), (r"\bCREATIVE ?COMMONS\b", "CC"), (r"\bNON ?COMMERCIAL\b", "NC"),
    (r"\bNO ?DERIV(?:ATIVE)?S?(?: WORKS)?\b", "ND"), (r"\bSHARE ?ALIKE\b", "SA"), (r"\bATTRIBUTION\b", "BY"),
    (r"\bLICEN[CS]E\b", ""), (r"[\s,]+", " ")))
_COMMONS = re.compile(r"(?:CC (?=BY|NC|ND|SA)|(?=BY\b))((?:BY|NC|ND|SA)\b(?: (?:BY|NC|ND|SA)\b)*)"
                      r"(?: \d(?:\.\d)?(?: [A-Z]+){0,2})?")
_FREE = re.compile(r"(?:CC ?(?:0|ZERO)|(?:CC )?(?:PDM|PUBLIC DOMAIN(?: MARK| DEDICATION)?))(?: \d\.\d)?(?: UNIVERSAL)?")


def allows(wanted: str, licence: str, licence_url: str = "") -> bool:
    """Whether a picture's licence is known to allow what is wanted: `open`, `commercial` use, or `modification`.

    Known are the Creative Commons licences, CC0 and the public domain, by name (`CC BY-NC 4.0`, `by-sa`) or by their
    address at creativecommons.org. What says nothing, or something else, is not known to allow anything.
    """
    by_name, by_address = _marks(licence), _marks(licence_url)
    if wanted not in LICENCES or (licence.strip() and by_name is None):
        return False
    known = [marks for marks in (by_name, by_address) if marks is not None]
    return bool(known) and not any(marks & _BARRED[wanted] for marks in known)


def _marks(text: str) -> frozenset[str] | None:
    """The letters of a licence (BY, NC, ND, SA), none for the public domain; None for an unknown licence."""
    text = text.strip().upper()
    address = _ADDRESS.search(text)
    if address:
        return frozenset((address[1] or "").replace("+", "-").split("-")) - {""}
    for long, short in _LONG:
        text = long.sub(short, text)
    commons = _COMMONS.fullmatch(text.strip())
    if commons:
        return frozenset(commons[1].split())
    return frozenset() if _FREE.fullmatch(text.strip()) else None


class Licensed:
    """A source that can be asked for pictures of a `licence` only; None asks for all."""

    name: str
    licence: str | None = None
    licences: ClassVar[tuple[str, ...]] = LICENCES

    def with_licence(self, licence: str) -> Self:
        """The same source with this filter; `SourceError` when it has no such filter."""
        other = copy.copy(self)
        other.licence = checked_licence(licence, self.name, self.licences)
        return other


def checked_licence(licence: str | None, name: str, known: tuple[str, ...] = LICENCES) -> str | None:
    """The filter itself; `SourceError` for one that the source `name` does not know."""
    if licence is not None and licence not in known:
        raise SourceError(f"{name} has no licence filter {licence!r}; it knows {', '.join(known)}. Choose one of "
                          "those, or leave the filter out.")
    return licence
