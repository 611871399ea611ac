"""Finding, checking and opening a bundle."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Literal

from shoebox.bundle._folder import MODEL, bundle_folder
from shoebox.bundle._manifest import Manifest, read_manifest
from shoebox.bundle._sealed import check_file, read_checked, seal_checked
from shoebox.bundle._session import checked_threads, open_session
from shoebox.bundle._turns import BLAS_ASLEEP
from shoebox.errors import BundleError

if TYPE_CHECKING:
    from shoebox.bundle._classifier import Classifier

__all__ = ["check_files", "load_classifier", "located", "model_file"]


def load_classifier(path: str | os.PathLike[str], *, threads: int | None = None,
                    precision: Literal["full", "int8"] = "full", sha256: str | None = None,
                    turns: str | os.PathLike[str] | None = None) -> Classifier:
    """Check every file of a bundle and load its model.

    Parameters
    ----------
    path : str or Path
        The folder that `shoebox.export` wrote, or, with its `sha256`, the address of a packed bundle: see
        `shoebox.fetch`.
    threads : int, optional
        Threads for one prediction; at first as many as there are processors, at most 4.
    precision : str
        `int8` for the weights of 8 bits, if the bundle has them: smaller and faster, a little less exact.
    sha256 : str, optional
        Of the zip at an address.
    turns : path, optional
        A folder that exists, the same for several processes on one machine: they take turns, so that, where all give
        the same `threads`, no more networks run at a time than there are processors for. Ten who asked at once on two
        processors had 95 % of their answers after the first in about 0.3 s in place of 0.46. Not on Windows.

    Raises
    ------
    BundleError
        No bundle, an unknown protocol, a missing, changed or linked file, or a model with other inputs and
        outputs than a bundle's. Size and SHA-256 of all files are checked before the first byte of the model is
        parsed, and what is parsed are the very bytes that were checked.

    Examples
    --------
    >>> load_classifier("models/digits").predict("seven.png").label  # doctest: +SKIP
    '7'
    """
    folder = bundle_folder(located(path, sha256))
    manifest = read_manifest(folder)
    model, threads = model_file(manifest, precision), checked_threads(threads)
    novelty = manifest.novelty.file if manifest.novelty is not None else None
    preparing = Thread(target=_prepare)
    preparing.start()
    try:
        for name, record in manifest.files.items():
            if name not in (model, novelty):
                check_file(folder, name, record)
        numbers = None if novelty is None else read_checked(folder, novelty, manifest.files[novelty])
        session = open_session(seal_checked(folder, model, manifest.files[model]), model, threads)
    finally:
        preparing.join()  # a program that ends while onnxruntime is imported is aborted
    from shoebox.bundle._classifier import Classifier

    return Classifier(manifest, session, novelty=numbers, threads=threads, precision=precision, turns=turns)


def check_files(path: str | os.PathLike[str]) -> Manifest:
    """What a bundle says of itself; `BundleError` when one of its files is missing or not as exported."""
    folder = bundle_folder(path)
    manifest = read_manifest(folder)
    for name, record in manifest.files.items():
        check_file(folder, name, record)
    return manifest


def _prepare() -> None:
    """Import what opens the model while the files are hashed, and what answers need while it is opened.

    Both leave the interpreter free.
    """
    with contextlib.suppress(ImportError):  # told where it is needed
        with _blas_asleep():
            import_module("onnxruntime")
        for name in ("shoebox.bundle._classifier", "shoebox.data._images"):
            import_module(name)


@contextlib.contextmanager
def _blas_asleep() -> Iterator[None]:
    """Where numpy is imported for the first time, its threads leave the processors to hashing: 0.03 s less.

    They do not spin afterwards either; the environment is as before.
    """
    loaded = "numpy" in sys.modules
    ours = {name: value for name, value in BLAS_ASLEEP.items() if not loaded and name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def located(path: str | os.PathLike[str], sha256: str | None) -> str | os.PathLike[str]:
    """`path` itself, or the folder to which the bundle at that address was fetched; both need what goes with them."""
    if sha256 is None and not (isinstance(path, str) and "://" in path):
        return path
    if sha256 is None or not isinstance(path, str):
        raise BundleError(f"{str(path)[:100]!r} and sha256 {sha256!r} do not go together: an address needs the SHA-256 "
                          "of its zip, and a folder has none.")
    from shoebox.bundle._fetch import fetch

    return fetch(path, sha256=sha256)


def model_file(manifest: Manifest, precision: str) -> str:
    """The name of the model of that precision; `BundleError` when there is none."""
    if precision == "full":
        return MODEL
    if precision != "int8":
        raise BundleError(f"precision is {precision!r}; give 'full' or 'int8'.")
    if manifest.int8 is None:
        why = manifest.notes.get("int8", "It was exported without them.")
        raise BundleError(f"The bundle {manifest.name!r} has no weights of 8 bits. {why} Export with int8=True, or "
                          "load it in full precision.")
    return manifest.int8.file
