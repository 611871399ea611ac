"""A bundle from an address: downloaded once, checked against the SHA-256 that came with the address, kept in a cache.

The only network of the app's half, and only when it is asked for. Nothing is parsed before the checksum fits. The zip
is kept beside the folder it was unpacked to: whatever became of the cache, only it can be held against the checksum.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from shoebox.bundle._folder import MANIFEST, read_member
from shoebox.bundle._manifest import MAX_MANIFEST_BYTES, inspect
from shoebox.bundle._pack import MAX_PACKED_BYTES, packed_manifest, unpack
from shoebox.bundle._sealed import check_file
from shoebox.data import atomic_write_bytes
from shoebox.errors import BundleError

__all__ = ["CACHE_VARIABLE", "cache_folder", "fetch", "from_hub"]

CACHE_VARIABLE = "SHOEBOX_CACHE"
_CONNECT_TIMEOUT_S, _TOTAL_TIMEOUT_S = 20.0, 600.0
_PIECE = 2**20
_HUB = "hf://"


def fetch(address: str, *, sha256: str, max_bytes: int = MAX_PACKED_BYTES,
          cache: str | os.PathLike[str] | None = None) -> Path:
    """The folder of a packed bundle from an address; downloaded unless it stands in the cache.

    Parameters
    ----------
    address : str
        `https://…/bears.zip`, as `shoebox pack` made it, or `hf://owner/name/bears.zip` for a file on the Hugging
        Face hub, by its own client. Plain `http://` is as good: the checksum decides.
    sha256 : str
        Of the zip, 64 hexadecimal digits, from whom you trust and not from the same page.
    max_bytes : int
        More is not downloaded. The hub's client has no such limit: of a file there the size that the hub tells is
        looked at before, and that of what came before it is read.
    cache : path, optional
        Where it is kept, zip and folder; SHOEBOX_CACHE or `~/.cache/shoebox` unless given. What stands there is used
        only if the zip has the checksum and the folder holds what is in the zip.

    Raises
    ------
    BundleError
        Another checksum, too many bytes, no answer in ten minutes, or no bundle. Nothing is kept then.

    Examples
    --------
    >>> shoebox.fetch("https://example.org/bears.zip", sha256="d1a5…")  # doctest: +SKIP
    """
    digest = sha256.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise BundleError(f"sha256 is {sha256[:80]!r}; 64 hexadecimal digits were expected. It stands in the .sha256 "
                          "file that shoebox pack wrote beside the zip.")
    target = (Path(cache) if cache is not None else cache_folder()) / digest
    if _stands(target, digest):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    data = _kept(target, digest, max_bytes)
    if data is None:
        data = from_hub(address, max_bytes) if address.startswith(_HUB) else _download(address, max_bytes)
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise BundleError(f"What came from {_shown(address)} has the SHA-256 {found}; {digest} was expected. Nothing "
                          "of it was opened or kept. Ask whoever gave you the address for the right checksum.")
    if _stands(target, digest):  # another process was quicker
        return target
    shutil.rmtree(target, ignore_errors=True)
    unpack(data, target, where=_shown(address))
    atomic_write_bytes(_zip_of(target), data)
    return target


def cache_folder() -> Path:
    """Where downloaded bundles are kept."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "shoebox")


def from_hub(address: str, max_bytes: int) -> bytes:
    """The bytes of `hf://owner/name/file`, by the hub's own client, which must be installed."""
    parts = address.removeprefix(_HUB).split("/", 2)
    if len(parts) < 3 or not all(parts):
        raise BundleError(f"{address[:100]!r} names no file of the hub. Write hf://owner/name/file.zip.")
    try:
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    except ImportError:
        raise BundleError("Files of the Hugging Face hub need its client. Install it with: pip install "
                          "huggingface_hub") from None
    try:
        size_bytes = get_hf_file_metadata(hf_hub_url(f"{parts[0]}/{parts[1]}", parts[2])).size
        if size_bytes is not None and size_bytes > max_bytes:
            raise _too_many(address, max_bytes)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(hf_hub_download(f"{parts[0]}/{parts[1]}", parts[2], local_dir=folder))
            if path.stat().st_size > max_bytes:
                raise _too_many(address, max_bytes)
            return path.read_bytes()
    except BundleError:
        raise
    except Exception as error:  # the client raises a dozen classes, of httpx among them
        raise _unreachable(address, error) from None


def _zip_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.zip")


def _kept(target: Path, digest: str, max_bytes: int) -> bytes | None:
    """The zip from the cache; None when there is none, or another."""
    try:
        with _zip_of(target).open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == digest else None


def _stands(target: Path, digest: str) -> bool:
    """Whether the folder holds what is in the zip of that checksum, down to the manifest's last byte.

    A folder that was changed together with its manifest fits itself; it does not fit the zip.
    """
    try:
        with _zip_of(target).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                return False
            if packed_manifest(file) != read_member(target, MANIFEST, MAX_MANIFEST_BYTES):
                return False
        for name, record in inspect(target).files.items():
            check_file(target, name, record)
    except (BundleError, OSError, EOFError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile):
        return False
    return True


class _HttpOnly(HTTPRedirectHandler):
    """Redirects may lead to http and https, and nowhere else."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        try:
            _check_scheme(newurl)
        except BundleError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(address: str, max_bytes: int) -> bytes:
    _check_scheme(address)
    end = time.monotonic() + _TOTAL_TIMEOUT_S
    request = Request(address, headers={"User-Agent": "shoebox", "Accept-Encoding": "identity"})
    pieces, size = [], 0
    try:
        with build_opener(_HttpOnly()).open(request, timeout=_CONNECT_TIMEOUT_S) as answer:
            if int(answer.headers.get("Content-Length") or 0) > max_bytes:
                raise _too_many(address, max_bytes)
            while piece := answer.read1(_PIECE):
                pieces.append(piece)
                size += len(piece)
                if size > max_bytes:
                    raise _too_many(address, max_bytes)
                if time.monotonic() > end:
                    raise TimeoutError(f"no end after {_TOTAL_TIMEOUT_S:.0f} s")
    except HTTPError as error:
        error.close()
        raise _unreachable(address, error) from None
    except (URLError, OSError, ValueError) as error:  # time-outs are among them
        raise _unreachable(address, error) from None
    return b"".join(pieces)


def _check_scheme(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BundleError(f"{address[:100]!r} is no address of a bundle. Give https://… or hf://owner/name/file.zip.")


def _shown(address: str) -> str:
    """Without anything that may be secret in it."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]


def _too_many(address: str, max_bytes: int) -> BundleError:
    return BundleError(f"{_shown(address)} has more than {max_bytes:,} bytes. Nothing was kept. Allow more with "
                       "max_bytes, if you know that it is right.")


def _unreachable(address: str, error: BaseException) -> BundleError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return BundleError(f"The bundle could not be had from {_shown(address)} ({reason}). Check the address and the "
                       "network, or download the zip and unpack it.")
