"""From fastai's `export.pkl` to a bundle, in a process of its own, after asking.

Opening a pickle runs whatever code its author put into it, with all your rights. There is no safe way of opening
one; a process of its own keeps this one clean, and is no cage.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from shoebox.bundle._folder import bundle_folder
from shoebox.bundle._manifest import Manifest, inspect
from shoebox.errors import BundleError

__all__ = ["WARNING", "convert"]

WARNING = ("is a pickle: opening it runs whatever code its author put into it, with your rights and on your files. "
           "Convert it only if you made it, or trust whoever did as you would trust a program of theirs.")
_TIMEOUT_S = 1800


def convert(path: str | os.PathLike[str], data: str | os.PathLike[str], target: str | os.PathLike[str], *,
            i_trust_it: bool = False, name: str | None = None, examples: int = 0, int8: bool = False) -> Manifest:
    """Turn a book-style learner (`learn.export()`) into a bundle.

    Parameters
    ----------
    path : str or Path
        The `export.pkl`.
    data : str or Path
        The data set it was trained on: a folder of class folders. Its pictures are the check that the bundle says what
        the learner says. `learn.export()` leaves out which ones the learner was trained on, so no accuracy is measured
        and no doubts are fitted on them, which the card says; only where `shoebox.Recorder` wrote them down, as
        `shoebox.vision_learner` has it do, are the others held-out pictures.
    target : str or Path
        The bundle's folder.
    i_trust_it : bool
        True says that you know what opening a pickle means, and trust this one.
    name : str, optional
        What people see; the folder's name unless given.
    examples, int8 : int, bool
        As `shoebox.export` takes them: pictures that travel with the bundle, weights of 8 bits beside the full ones.

    Raises
    ------
    BundleError
        Without `i_trust_it`, when the file cannot be opened here, or when the export refuses. Nothing is written.

    Examples
    --------
    >>> shoebox.convert("export.pkl", "data/bears", "models/bears", i_trust_it=True)  # doctest: +SKIP
    """
    source = Path(path)
    if not source.is_file():
        raise BundleError(f"There is no file {str(path)!r}. Give the export.pkl that learn.export() wrote.")
    if i_trust_it is not True:
        raise BundleError(f"{source.name!r} {WARNING} Say i_trust_it=True, or --i-trust-it on the command line.")
    wish = {"source": str(source.resolve()), "data": str(Path(data).resolve()), "target": str(Path(target).resolve()),
            "choices": {"name": name, "examples": examples, "int8": int8}}
    try:
        done = subprocess.run([sys.executable, "-c", "from shoebox.bundle._export_convert import main; main()"],
                              input=json.dumps(wish), capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
                              env={**os.environ, "PYTHONWARNINGS": "ignore"})
    except subprocess.TimeoutExpired:
        raise BundleError(f"Converting {source.name!r} took over {_TIMEOUT_S / 60:.0f} minutes and was stopped. "
                          "Nothing was written.") from None
    if done.returncode != 0:
        raise BundleError(_reason(done.stderr, source))
    return inspect(bundle_folder(target))


def _reason(stderr: str, source: Path) -> str:
    lines = stderr.strip().splitlines() or ["it ended without a word"]
    sentence = next((line.removeprefix("shoebox: ") for line in reversed(lines) if line.startswith("shoebox: ")), None)
    return sentence or (f"{source.name!r} could not be opened here ({lines[-1][:300]}). Open it with the versions of "
                        "fastai and torch that wrote it, and call shoebox.export there. Nothing was written.")
