"""The texts of the page: the same keys and braces in every language, and a file of one's own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from shoebox.types import ImageCause
from shoebox.widgets._texts import LANGUAGES, TextsError, closest, read_texts, texts_of
from shoebox.widgets.uploader import CONFIDENCE, Uploader

SERVER = {"full_title", "full", "full_retry", "nothing_title", "trouble_title", "page_failed", "page_script",
          "page_start"}
BRACES = re.compile(r"\{\w+\}")


def test_there_are_three_and_english_is_the_first() -> None:
    assert LANGUAGES == ("en", "ru", "zh")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_keys_and_braces_and_its_own_words(language: str) -> None:
    texts, english = texts_of(language), texts_of("en")
    assert list(texts) == list(english)
    for key, text in texts.items():
        assert text.strip() == text != ""
        assert sorted(BRACES.findall(text)) == sorted(BRACES.findall(english[key])), key
    if language != "en":
        same = [key for key in texts if texts[key] == english[key]]
        assert same == ["bar"] or same == []


def test_what_the_page_and_the_server_ask_for_is_all_there_is() -> None:
    asked = set(re.findall(r"\btexts\.([a-z]\w*)", str(Uploader._esm)))
    codes = {f"image_{cause}" for cause in get_args(ImageCause)}
    feedback = {key for key in texts_of("en") if key.startswith(("feedback_", "forget_unknown"))}
    rest = {"_language", "unsure", *(key for _, key in CONFIDENCE), "unexpected"}
    assert asked | codes | feedback | rest | SERVER == set(texts_of("en"))


def test_a_refusal_of_the_inbox_has_its_words() -> None:
    source = (Path(__file__).parents[1] / "src/shoebox/apps/_inbox.py").read_text()
    source += (Path(__file__).parents[1] / "src/shoebox/apps/_visit.py").read_text()
    assert set(re.findall(r'InboxError\("(\w+)"\)', source)) <= set(texts_of("en"))


def test_the_visitor_s_languages_are_tried_in_turn() -> None:
    assert closest(["de", "zh-CN", "ru"]) == "zh"
    assert closest(["RU"]) == "ru"
    assert closest([]) == "en"
    assert closest(["pt"], ["ru", "pt-BR"]) == "ru"


def test_a_file_of_one_s_own_is_read_and_what_it_lacks_is_english(tmp_path: Path) -> None:
    own = tmp_path / "de.json"
    own.write_text(json.dumps({"choose": "Bild wählen", "sure_part": "{percent} sicher"}), "utf-8")
    texts = read_texts(["ru", own])
    assert list(texts) == ["ru", "de"]
    assert texts["de"]["choose"] == "Bild wählen" and texts["de"]["hint"] == texts_of("en")["hint"]


@pytest.mark.parametrize(("name", "content", "words"), [
    ("de.json", "{", "no JSON"), ("de.json", "[]", "one JSON object"), ("de.json", '{"choose": 7}', "one JSON object"),
    ("de.json", '{"chose": "x", "sure_part": "sicher"}', "unknown key 'chose'; 'sure_part' has other braces"),
    ("de.json", '{"choose": "{where}"}', "other braces"), ("my texts.json", "{}", "not named after a language"),
])
def test_a_file_that_does_not_fit_is_refused_with_all_its_faults(tmp_path: Path, name: str, content: str,
                                                                words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TextsError, match=re.escape(words)):
        read_texts([tmp_path / name])


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextsError, match="en, ru, zh"):
        read_texts(["xx"])
    with pytest.raises(TextsError, match="cannot be read"):
        read_texts([tmp_path / "de.json"])
    with pytest.raises(TextsError, match="No language"):
        read_texts([])
