"""Checked reading of JSON that came from outside: every field's type and range, and all faults at once."""

from __future__ import annotations

import json
import math
import re
import reprlib
import unicodedata
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any

from shoebox.errors import BundleError

__all__ = ["Section", "is_plain_text", "parse_object"]

_MISSING = object()
_MAX_NAMES = 50_000  # of one object: no bundle has more classes
_NAMED = 20


def parse_object(data: bytes, where: str) -> dict[str, Any]:
    """The JSON object in `data`; `BundleError` for anything else, repeated names and NaN included."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_no_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where} is no JSON that can be read ({_first_line(error)}). Export the model again, or "
                          "get an unchanged copy.") from None
    if not isinstance(value, dict):
        raise BundleError(f"{where} holds {_kind(value)}; a JSON object was expected. Export the model again.")
    return value


def is_plain_text(value: str, max_chars: int) -> bool:
    """Not empty, not too long, without control characters or halves of characters."""
    return (bool(value.strip()) and len(value) <= max_chars
            and not any(unicodedata.category(char) in ("Cc", "Cs") for char in value))


class Section:
    """One object of a JSON file; hands out checked values and collects a sentence for every fault.

    After a fault it hands out a stand-in of the right type, so that reading goes on to the next field. Whoever
    reads must look at `faults` before using anything.

    Parameters
    ----------
    data : object
        What stood in the file.
    where : str
        How the sentences call it; empty for the top.
    known : collection of str
        The names it must have; others are refused and the nearest known one is suggested.
    faults : list of str
        Where the sentences go.
    """

    def __init__(self, data: object, where: str, known: Collection[str], faults: list[str]) -> None:
        self._where = where
        self.faults = faults
        self._values: dict[str, Any] = data if isinstance(data, dict) else {}
        if not isinstance(data, dict):
            self.fault("", f"an object was expected, {_kind(data)} came")
            return
        self._check_names(known)

    def fault(self, key: str, sentence: str) -> None:
        """Note a fault of the field `key`."""
        name = ".".join(filter(None, (self._where, key)))
        self.faults.append(f"{name}: {sentence}" if name else sentence)

    def raw(self, key: str) -> Any:
        """The value as it stands; None when it is missing, which was noted already."""
        return self._values.get(key)

    def section(self, key: str, known: Collection[str]) -> Section:
        """The object under `key`."""
        return Section(self._values.get(key, {}), ".".join(filter(None, (self._where, key))),
                       known if key in self._values else (), self.faults)

    def optional(self, key: str, known: Collection[str]) -> Section | None:
        """The object under `key`, or None where null stands."""
        return None if self._values.get(key) is None else self.section(key, known)

    def sections(self, key: str, known: Collection[str], max_items: int) -> list[Section]:
        """The objects of the list under `key`, at most `max_items`."""
        value = self._values.get(key, [])
        if not isinstance(value, list) or len(value) > max_items:
            self.fault(key, f"a list of at most {max_items} objects was expected, {reprlib.repr(value)} came")
            return []
        where = ".".join(filter(None, (self._where, key)))
        return [Section(item, f"{where}[{place}]", known, self.faults) for place, item in enumerate(value)]

    def text(self, key: str, *, max_chars: int = 200, pattern: str | None = None,
             choices: Sequence[str] | None = None) -> str:
        """Text of 1 to `max_chars` characters that matches `pattern` as a whole or is one of `choices`."""
        value = self._values.get(key, _MISSING)
        if value is _MISSING:
            return ""
        if not isinstance(value, str) or not is_plain_text(value, max_chars):
            self.fault(key, f"text of 1 to {max_chars} characters was expected, {reprlib.repr(value)} came")
        elif choices is not None and value not in choices:
            self.fault(key, f"one of {', '.join(choices)} was expected, {value!r} came")
        elif pattern is not None and not re.fullmatch(pattern, value):
            self.fault(key, f"{value!r} has not the expected form")
        else:
            return value
        return ""

    def number(self, key: str, low: float, high: float) -> float:
        """A finite number from `low` to `high`, both included."""
        value = self._values.get(key, _MISSING)
        if value is _MISSING or self._is_number(key, value, low, high):
            return low if value is _MISSING else float(value)
        return low

    def integer(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        value = self._values.get(key, _MISSING)
        if value is _MISSING:
            return low
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fault(key, f"a whole number from {low} to {high} was expected, {reprlib.repr(value)} came")
            return low
        return value

    def numbers(self, key: str, length: int, low: float, high: float) -> tuple[float, ...] | None:
        """`length` numbers from `low` to `high`, or null."""
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != length:
            self.fault(key, f"{length} numbers or null were expected, {reprlib.repr(value)} came")
            return None
        return tuple([float(item) for item in value if self._is_number(key, item, low, high)])

    def size(self, key: str, high: int) -> tuple[int, int]:
        """Width and height, each 1 to `high`."""
        value = self._values.get(key, [1, 1])
        right = isinstance(value, list) and len(value) == 2
        if not right or any(isinstance(v, bool) or not isinstance(v, int) or not 1 <= v <= high for v in value):
            self.fault(key, f"width and height from 1 to {high} were expected, {reprlib.repr(value)} came")
            return 1, 1
        return value[0], value[1]

    def texts(self, key: str, *, min_items: int, max_items: int = 1000, max_chars: int = 255) -> tuple[str, ...]:
        """A list of `min_items` to `max_items` different texts, in NFC."""
        value = self._values.get(key, _MISSING)
        if value is _MISSING:
            return ()
        if not isinstance(value, list) or len(value) < min_items:
            self.fault(key, f"a list of at least {min_items} texts was expected, {reprlib.repr(value)} came")
            return ()
        if len(value) > max_items:
            self.fault(key, f"at most {max_items:,} were expected, {len(value):,} came")
            return ()
        wrong = [item for item in value if not isinstance(item, str) or not is_plain_text(item, max_chars)]
        if wrong:
            self.fault(key, f"texts of 1 to {max_chars} characters were expected, {reprlib.repr(wrong[0])} came")
            return ()
        texts = tuple(unicodedata.normalize("NFC", item) for item in value)
        if len(set(texts)) < len(texts):
            self.fault(key, "the same name stands there twice")
        return texts

    def items(self) -> list[tuple[str, Any]]:
        """All names and values, for objects whose names are data."""
        return list(self._values.items())

    def _is_number(self, key: str, value: object, low: float, high: float) -> bool:
        right = isinstance(value, (int, float)) and not isinstance(value, bool)
        if right and math.isfinite(value) and low <= value <= high:  # type: ignore[arg-type, operator]
            return True
        self.fault(key, f"a number from {low:g} to {high:g} was expected, {reprlib.repr(value)} came")
        return False

    def _check_names(self, known: Collection[str]) -> None:
        if len(self._values) > _MAX_NAMES:
            self.fault("", f"at most {_MAX_NAMES:,} names were expected, {len(self._values):,} came")
            self._values = {}
            return
        for key in [key for key in self._values if known and key not in known][:_NAMED]:
            near = get_close_matches(key[:100], known, 1)
            self.fault(reprlib.repr(key), "unknown" + (f"; was {near[0]!r} meant?" if near else ""))
        for key in known:
            if key not in self._values:
                self.fault(key, "is missing")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise ValueError(f"the name {name[:70]!r} stands there twice")
        seen[name] = value
    return seen


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number",
             float: "a number", type(None): "null"}
    return names.get(type(value), type(value).__name__)
