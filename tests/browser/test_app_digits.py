"""The committed bundle of handwritten digits, served: what its own doubts look like on the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from _app import NOTEBOOK, Card, encode
from _servers import Server, Visitor, start_voila
from PIL import Image
from playwright.sync_api import Browser, expect

from shoebox.bundle import Classifier, load_classifier
from shoebox.types import Prediction

BUNDLE = Path(__file__).parents[2] / "binder" / "digits"


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Server]:
    with start_voila(NOTEBOOK, tmp_path_factory.mktemp("digits"), model=BUNDLE, max_visitors=100) as running:
        yield running


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_classifier(BUNDLE)


def first(classifier: Classifier, wanted: Callable[[Prediction], bool]) -> tuple[bytes, Prediction]:
    """The first scan, as it is or laid over another, of which the bundle says this."""
    from sklearn.datasets import load_digits

    scans = load_digits().images
    for step in range(len(scans)):
        for pixels in (scans[step], np.maximum(scans[step], scans[step - 1])):
            image = Image.fromarray(np.uint8(255 - pixels * 255 / 16)).convert("RGB").resize((96, 96))
            data = encode(image, "PNG")
            answer = classifier.predict(data)
            if wanted(answer):
                return data, answer
    raise AssertionError("there is no such picture")


def test_an_answer_shows_where_it_looked(visitor: Visitor, digits: Server, classifier: Classifier) -> None:
    data, expected = first(classifier, lambda a: a.known is True and a.label_set == (a.label,))
    card = Card(visitor.page).open(digits.url).choose(data, "a.png", "image/png")
    card.expect_answer(expected.label)
    card.answer.get_by_role("button", name="Show where it looked").click()
    heat = card.answer.locator("canvas")
    expect(heat).to_be_visible()
    alphas = heat.evaluate("""(canvas) => Array.from(canvas.getContext("2d")
        .getImageData(0, 0, canvas.width, canvas.height).data).filter((_, place) => place % 4 === 3)""")
    assert max(alphas) > 100 > 40 > min(alphas)


def test_a_scan_of_which_no_digit_is_plausible_is_said_to_be_none(visitor: Visitor, digits: Server,
                                                                classifier: Classifier) -> None:
    data, expected = first(classifier, lambda a: a.known is True and a.label_set == ())
    card = Card(visitor.page).open(digits.url).choose(data, "a.png", "image/png")
    card.expect_answer("Not sure it is any of these.")
    expect(card.answer).to_contain_text(f"The nearest would be {expected.label}, ")
    expect(card.status).to_have_text("Not sure it is any of these.")


def test_what_is_no_digit_is_none_of_these(visitor: Visitor, digits: Server, classifier: Classifier) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    data = encode(Image.fromarray(noise), "PNG")
    expected = classifier.predict(data)
    assert expected.known is False
    card = Card(visitor.page).open(digits.url).choose(data, "a.png", "image/png")
    card.expect_answer("Probably none of these")
    expect(card.answer).to_contain_text(f"The nearest would be {expected.label}, ")
    expect(card.status).to_have_text("Answer: probably none of these.")
