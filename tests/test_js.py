"""The page's pure helpers under `node --test`, where Node is; the browser tests ask the same of Chromium."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from shoebox.widgets.cleaner import Cleaner
from shoebox.widgets.collector import Collector
from shoebox.widgets.uploader import Uploader

STATIC = Path(__file__).parents[1] / "src" / "shoebox" / "widgets" / "static"
TESTS = Path(__file__).parent / "js"


if shutil.which("node"):

    def test_the_helpers_in_node(tmp_path):
        shutil.copytree(STATIC / "cleaner", tmp_path / "cleaner")
        shutil.copy(TESTS / "cleaner.test.js", tmp_path)
        (tmp_path / "package.json").write_text('{"type": "module"}')
        done = subprocess.run(["node", "--test", str(tmp_path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:]
        assert "# fail 0" in done.stdout and "# pass 0" not in done.stdout


def test_the_joined_module_declares_every_name_once():
    starts = ("export const ", "export function ", "export class ", "const ", "function ")
    lines = [line for line in str(Cleaner._esm).splitlines() if line.startswith(starts)]
    names = [line.split("(")[0].split("=")[0].split(" extends")[0].split()[-1] for line in lines]
    assert len(names) > 40 and len(names) == len(set(names))


def test_every_module_and_style_sheet_is_joined_and_nothing_is_left_to_import():
    joined = [str(text) for widget in (Cleaner, Collector, Uploader) for text in (widget._esm, widget._css)]
    assert not any(line.startswith(("import", "@import")) for text in joined for line in text.splitlines())
    for path in [*STATIC.rglob("*.css"), *STATIC.rglob("*.js")]:
        own = [line for line in path.read_text("utf-8").splitlines() if not line.startswith(("import", "@import"))]
        assert any("\n".join(own).strip() in text for text in joined), path
