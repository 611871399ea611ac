"""One file instead of a folder: a zip that holds a bundle's files and nothing else, and its SHA-256."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from shoebox.bundle._folder import MANIFEST, bundle_folder, read_member
from shoebox.bundle._load import load_classifier
from shoebox.bundle._manifest import MAX_MANIFEST_BYTES, Manifest, inspect
from shoebox.bundle._write import put_bundle
from shoebox.data import atomic_write_bytes
from shoebox.errors import BundleError

__all__ = ["MAX_PACKED_BYTES", "pack", "packed_manifest", "unpack"]

MAX_PACKED_BYTES = 2**31 - 1
_TIME = (1980, 1, 1, 0, 0, 0)  # the same files give the same zip


def pack(path: str | os.PathLike[str], target: str | os.PathLike[str] | None = None) -> tuple[Path, str]:
    """Write a bundle as one zip, and its SHA-256 beside it.

    Parameters
    ----------
    path : str or Path
        The bundle's folder; every file of it is checked first.
    target : str or Path, optional
        The zip; `<folder>.zip` unless given.

    Returns
    -------
    (Path, str)
        The zip and its SHA-256, which also stands in `<zip>.sha256`, in the form that `sha256sum -c` reads.

    Examples
    --------
    >>> shoebox.pack("models/bears")  # doctest: +SKIP
    (Path('models/bears.zip'), 'd1a5...')
    """
    folder = bundle_folder(path)
    load_classifier(folder, threads=1)
    manifest = inspect(folder)
    place = Path(target) if target is not None else folder.resolve().with_name(f"{folder.resolve().name}.zip")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry(MANIFEST), read_member(folder, MANIFEST, MAX_MANIFEST_BYTES))
        for name, record in manifest.files.items():
            archive.writestr(_entry(name), read_member(folder, name, record.size_bytes))
    data = out.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    place.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(place, data)
    atomic_write_bytes(place.with_name(f"{place.name}.sha256"), f"{digest}  {place.name}\n".encode())
    return place, digest


def unpack(data: bytes, target: Path, *, where: str = "The zip") -> Path:
    """Put the bundle that `data` holds at `target`: whole, checked, or not at all.

    Raises
    ------
    BundleError
        No zip, one without a manifest, with compressed files, with other files than the manifest's (a name with `../`
        is one), of other sizes, or with a file that is not the one that was exported. Nothing is written then.
    """
    try:
        contents = _contents(data, where)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise BundleError(f"{where} is no bundle's zip, or a damaged one ({reason}). Download it again, or pack the "
                          "bundle again with shoebox pack.") from None
    put_bundle(target, contents, check=load_classifier, overwrite=True)
    return target


def packed_manifest(file: IO[bytes]) -> bytes:
    """The manifest in a zip whose checksum fits, and which was unpacked once."""
    with zipfile.ZipFile(file) as archive:
        return _read(archive, MANIFEST, MAX_MANIFEST_BYTES)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.external_attr = 0o644 << 16
    entry.create_system = 3
    return entry


def _contents(data: bytes, where: str) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        if MANIFEST not in names or len(set(names)) < len(names):
            raise ValueError(f"no {MANIFEST} in it" if MANIFEST not in names else "a name stands in it twice")
        _check_stored(entries, len(data))
        manifest = Manifest.from_json(_read(archive, MANIFEST, MAX_MANIFEST_BYTES), f"{where}/{MANIFEST}")
        strangers = set(names) ^ {MANIFEST, *manifest.files}
        if strangers:
            raise BundleError(f"{where} does not hold the files that its manifest names: "
                              f"{sorted(strangers)[0][:100]!r} is one too many or missing. Nothing was written. Pack "
                              "the bundle again.")
        files = {name: _read(archive, name, record.size_bytes) for name, record in manifest.files.items()}
        return {**files, MANIFEST: _read(archive, MANIFEST, MAX_MANIFEST_BYTES)}


def _check_stored(entries: Sequence[zipfile.ZipInfo], n_bytes: int) -> None:
    """No file may unfold to more than is there, one for one and all together: what is read is already in memory."""
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{entry.filename[:100]!r} is compressed, and shoebox pack compresses nothing")
    if sum(entry.file_size for entry in entries) > n_bytes:
        raise ValueError(f"its files claim more than the {n_bytes:,} bytes that it has")


def _read(archive: zipfile.ZipFile, name: str, max_bytes: int) -> bytes:
    """No more than `max_bytes`, whatever the zip claims."""
    with archive.open(name) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"{name} has more than {max_bytes:,} bytes")
    return data
