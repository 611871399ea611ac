"""What the page says, in several languages: one plain JSON file for each, `texts/<language>.json`.

To add one, copy `texts/en.json`, translate the values, and name the copy after the language (`de.json`). Give its path
to `shoebox.app(..., languages=["en", "de.json"])`, or put it beside the others. What stands in braces is filled in and
stays as it is.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from shoebox.errors import ShoeboxError

__all__ = ["LANGUAGES", "TextsError", "closest", "read_texts", "texts_of"]

_FOLDER = Path(__file__).parent / "texts"
_FIRST = "en"
_MAX_BYTES = 2**18
_CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_BRACES = re.compile(r"\{(\w+)\}")

LANGUAGES = (_FIRST, *sorted(path.stem for path in _FOLDER.glob("*.json") if path.stem != _FIRST))


class TextsError(ShoeboxError):
    """A file of texts that cannot be used, or a language that is not there."""


@cache
def texts_of(language: str) -> dict[str, str]:
    """The texts of one of `LANGUAGES`, by key. Not to be changed."""
    if language not in LANGUAGES:
        raise TextsError(f"There are no texts in {language!r}; there are {', '.join(LANGUAGES)}. Choose among these, "
                         "or give the path of a file like shoebox/widgets/texts/en.json.")
    return _parsed((_FOLDER / f"{language}.json").read_bytes(), f"{language}.json")


def read_texts(languages: Sequence[str | os.PathLike[str]] | None = None) -> dict[str, dict[str, str]]:
    """Texts by language, in the order given; the first is for visitors who read none of them.

    Parameters
    ----------
    languages : sequence of str or path, optional
        Names of `LANGUAGES`, or files with the suffix .json, whose name is the language's. Without it, all there are.

    Raises
    ------
    TextsError
        An unknown language, or a file with unknown keys or other braces than English has. What a file lacks is
        taken from English.
    """
    if isinstance(languages, str):
        languages = [languages]
    chosen = LANGUAGES if languages is None else languages
    if not chosen:
        raise TextsError(f"No language was named. Choose among {', '.join(LANGUAGES)}, or leave `languages` out.")
    return dict(_from_file(Path(name)) if str(name).endswith(".json") else (str(name), texts_of(str(name)))
                for name in chosen)


def closest(wanted: Sequence[str], there: Sequence[str] = LANGUAGES) -> str:
    """The first of `wanted` that is in `there`, by its whole code or its first part; else the first of `there`.

    Examples
    --------
    >>> closest(["de-CH", "ru-RU", "en"])
    'ru'
    >>> closest(["xx"])
    'en'
    """
    by_code = {code.lower(): code for code in there}
    for code in wanted:
        found = by_code.get(code.lower()) or by_code.get(code.lower().split("-")[0])
        if found:
            return found
    return there[0]


def _from_file(path: Path) -> tuple[str, dict[str, str]]:
    if not _CODE.fullmatch(path.stem):
        raise TextsError(f"{path.name!r} is not named after a language. Call it like de.json or pt-BR.json.")
    try:
        data = path.read_bytes()[:_MAX_BYTES + 1]
    except OSError as error:
        raise TextsError(f"The texts {str(path)!r} cannot be read ({error.strerror}). Check the path.") from None
    texts, english = _parsed(data, path.name), texts_of(_FIRST)
    faults = [f"unknown key {key!r}" for key in texts if key not in english]
    faults += [f"{key!r} has other braces than {english[key]!r}" for key in texts
               if key in english and _braces(texts[key]) != _braces(english[key])]
    if faults:
        raise TextsError(f"{path.name} cannot be used: {'; '.join(faults[:10])}. Compare it with "
                         "shoebox/widgets/texts/en.json.")
    return path.stem, {**english, **texts}


def _parsed(data: bytes, name: str) -> dict[str, str]:
    try:
        values: object = json.loads(data)
    except ValueError as error:
        raise TextsError(f"{name} is no JSON ({error}). Mend it, or copy shoebox/widgets/texts/en.json anew.") from None
    if not isinstance(values, Mapping) or not all(isinstance(value, str) for value in values.values()):
        raise TextsError(f"{name} has to be one JSON object of texts. Copy shoebox/widgets/texts/en.json anew.")
    return {str(key): str(value) for key, value in values.items()}


def _braces(text: str) -> set[str]:
    return set(_BRACES.findall(text))
