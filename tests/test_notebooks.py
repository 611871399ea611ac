"""The notebooks: thin, saved without outputs, and run through nbval in the order a person would."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
IN_ORDER = ["1_collect", "2_train", "3_clean", "clean_app", "4_evaluate", "5_export", "6_watch", "app"]
APPS = ("app", "clean_app")  # for visitors, who learn nothing from a lecture


def read(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def test_every_notebook_is_in_the_order():
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == sorted(IN_ORDER)


@pytest.mark.parametrize("name", IN_ORDER)
def test_a_notebook_is_thin_and_saved_without_outputs(name):
    notebook = read(name)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(notebook.cells) <= 16 and notebook.metadata.title.startswith("Shoebox")
    for cell in code:
        assert not cell.outputs and cell.execution_count is None
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Lambda)), cell.source
    prose = sum(len(cell.source.split()) for cell in notebook.cells if cell.cell_type == "markdown")
    assert name in APPS or prose > 120, "a notebook teaches"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_notebooks_run_in_order_on_the_demo_data(tmp_path):
    shutil.copytree(NOTEBOOKS, tmp_path / "notebooks", ignore=shutil.ignore_patterns(".*"))
    files = [str(tmp_path / "notebooks" / f"{name}.ipynb") for name in IN_ORDER]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-cell-timeout=300", "-q", "-p", "no:cacheprovider",
         "-c", "/dev/null", "--rootdir", str(tmp_path), *files],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    n_cells = sum(cell.cell_type == "code" for name in IN_ORDER for cell in read(name).cells)
    assert f"{n_cells} passed" in done.stdout, "every cell was run"
    assert (tmp_path / "models" / "digits" / "manifest.json").is_file()
