"""A figure is a picture in the first cell of a new kernel, whether or not anything has chosen a backend."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

EVALUATION = """
import numpy as np
from shoebox.data import Predictions
from shoebox.evaluation import Evaluation
probabilities = np.asarray([[.9, .1], [.2, .8], [.6, .4]], "float32")
found = Evaluation(Predictions(("a/1", "a/2", "b/1"), ("1", "2", "3"), np.asarray([0, 0, 1]), probabilities, ("a", "b"),
                               ("held_out",) * 3), lambda path: {jpeg!r})
found.{plot}
"""
PLOTS = {
    "the log of an app": "import shoebox\nshoebox.watch({folder!r}).plot()",
    "a confusion matrix": EVALUATION.replace("{plot}", "plot_confusion()"),
    "the top losses": EVALUATION.replace("{plot}", "plot_top_losses(2)"),
    "where a backend was chosen": "import matplotlib\nmatplotlib.get_backend()\n" + EVALUATION.replace(
        "{plot}", "plot_confusion()"),
}


@pytest.mark.parametrize("name", PLOTS)
def test_a_figure_is_a_picture_in_the_first_cell_of_a_kernel(tmp_path: Path, name: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (32, 24), "teal").save(out, "JPEG")
    (tmp_path / "log").mkdir()
    source = PLOTS[name].format(folder=str(tmp_path / "log"), jpeg=out.getvalue())
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (shown,) = [output for output in notebook.cells[0].outputs if output.output_type == "execute_result"]
    with Image.open(io.BytesIO(base64.b64decode(shown.data["image/png"]))) as picture:
        assert min(picture.size) > 100
