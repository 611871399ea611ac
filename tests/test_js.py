"""The page's pure helpers under `node --test`, where Node is; the browser tests ask the same of Chromium."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from shoebox.widgets.cleaner import Cleaner

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
    lines = str(Cleaner._esm).splitlines()
    names = [line.split("(")[0].split("=")[0].split(" extends")[0].split()[-1] for line in lines
             if line.startswith(("export const ", "export function ", "export class ", "const ", "function "))]
    assert len(names) > 40 and len(names) == len(set(names))
