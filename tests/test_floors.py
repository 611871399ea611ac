"""The floors of the house: what may be loaded by whom, in fresh processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import shoebox

SOURCE = Path(shoebox.__file__).parent
HEAVY = ("torch", "torchvision", "fastai", "sklearn", "pandas", "matplotlib")


def loaded_by(code):
    """Top-level names in sys.modules after `code` ran in a fresh interpreter."""
    script = f"import sys\n{code}\nimport json; print(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-W", "error::ImportWarning", "-c", script], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_shoebox_loads_next_to_nothing():
    loaded = loaded_by("import shoebox")
    assert not loaded & {*HEAVY, "ipywidgets", "anywidget", "IPython", "numpy", "PIL", "onnxruntime", "voila"}


@pytest.mark.parametrize("name", ["Dataset", "load_classifier", "inspect", "open_image", "app"])
def test_the_app_half_loads_no_torch(name):
    loaded = loaded_by(f"import shoebox; shoebox.{name}")
    assert not loaded & set(HEAVY)
    assert name == "app" or not loaded & {"ipywidgets", "anywidget", "IPython"}


def test_every_public_name_is_there_and_documented():
    for name in shoebox.__all__:
        value = getattr(shoebox, name)
        assert value.__doc__, name
    assert set(shoebox.__all__) <= set(dir(shoebox))
    with pytest.raises(AttributeError, match="Dataset"):
        _ = shoebox.Datset


def test_import_linter_holds_the_arrows():
    done = subprocess.run([sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
                          capture_output=True, text=True, cwd=SOURCE.parent.parent, check=False)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_import_linter_would_notice(tmp_path):
    """The contracts are not empty words: an upward arrow in a copy breaks them."""
    import shutil

    shutil.copytree(SOURCE, tmp_path / "src" / "shoebox", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SOURCE.parent.parent / "pyproject.toml", tmp_path)
    module = tmp_path / "src" / "shoebox" / "data" / "_split.py"
    module.write_text(module.read_text("utf-8") + "import torch\nimport shoebox.quality\n", "utf-8")
    done = subprocess.run([sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
                          capture_output=True, text=True, cwd=tmp_path, check=False,
                          env={"PYTHONPATH": str(tmp_path / "src"), "PATH": ""})
    assert done.returncode == 1 and "2 broken" in done.stdout, done.stdout


def test_only_the_door_decodes_pictures():
    for path in SOURCE.rglob("*.py"):
        if path.name != "_images.py":
            source = path.read_text("utf-8")
            assert "Image.open(" not in source and "ImagePlugin" not in source and "pillow_heif" not in source, path
    assert "innerHTML" not in "".join(path.read_text("utf-8") for path in SOURCE.rglob("*.js"))


def test_sqlite_only_in_the_catalog():
    users = {path.name for path in SOURCE.rglob("*.py") if "import sqlite3" in path.read_text("utf-8")}
    inbox = {"_inbox.py"}
    assert {"_catalog.py"} | inbox <= users and all(name.startswith("_catalog") for name in users - inbox)


def test_files_stay_small():
    for path in [path for kind in ("py", "js", "css") for path in SOURCE.rglob(f"*.{kind}")]:
        assert len(path.read_text("utf-8").splitlines()) <= 350, path
