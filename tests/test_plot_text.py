"""Class names are text in plots, whatever stands in them: never a formula, never too long, never an exception."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import shoebox
from shoebox.data import Predictions, jpeg_bytes
from shoebox.evaluation import Evaluation
from tests._pictures import draw

LONGEST = 80
THUMBNAIL = jpeg_bytes(draw(1), side_px=64)
NAMES = st.text(min_size=1, max_size=200) | st.text("$\\{}_^%&#\n\r\t'\"<>", min_size=1, max_size=30)


def evaluation(first, second):
    probabilities = np.asarray([[0.9, 0.1], [0.6, 0.4]], np.float32)
    return Evaluation(Predictions((f"{first}/a.jpg", "b.jpg"), ("1" * 64, "2" * 64), np.asarray([0, 1]), probabilities,
                                  (first, second), ("held_out",) * 2, {}), lambda path: THUMBNAIL)


def texts(figure):
    import matplotlib.text

    return [text for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font:UserWarning", "ignore:Matplotlib currently does not "
                            "support .* natively:UserWarning")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NAMES, NAMES)
@example("$", "$$")
@example("price in $ and more $", "a_{b}^{c}$\\frac{1}{0}$")
@example("$\\sqrt{" + "{" * 150, "\\" * 100)
@example("x" * 5000, "line\nbreak")
def test_200_names_in_pairs_are_drawn_and_cut(first, second):
    shown = evaluation(first, second)
    for figure in (shown.plot_confusion(), shown.plot_top_losses()):
        figure.savefig(io.BytesIO(), format="png", dpi=30)
        for text in texts(figure):
            assert not text.get_parse_math() or "$" not in text.get_text()
            assert len(text.get_text()) <= 2 * LONGEST + 40  # two names and a percentage
        for axes in figure.axes:
            for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
                assert len(label.get_text()) <= LONGEST


def test_a_formula_would_have_raised():
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().set_title("$\\frac{1}{$")
    with pytest.raises(ValueError, match="Expected"):
        figure.savefig(io.BytesIO(), format="png")


def test_whoever_draws_text_turns_formulas_off():
    calls = re.compile(r"\.(set_title|suptitle|set_xticks|set_yticks|set_xticklabels|set_yticklabels)\(")
    for path in Path(shoebox.__file__).parent.rglob("*.py"):
        source = path.read_text("utf-8")
        if "matplotlib" in source:
            assert source.count("parse_math=False") >= len(calls.findall(source)), path
