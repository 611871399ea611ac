"""A bundle by address and checksum: downloaded once, kept, and held against the checksum whenever it is used."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

import shoebox
from shoebox.apps import _serve
from shoebox.bundle import fetch, load_classifier, pack
from shoebox.cli import main
from shoebox.errors import BundleError, ServeError
from tests._files import contents, served
from tests._models import replace_model, tiny_bundle, tiny_model


@pytest.fixture
def bundle(tmp_path):
    return tiny_bundle(tmp_path / "tiny")


@pytest.fixture
def server(bundle):
    with served({"/tiny.zip": pack(bundle)[0].read_bytes(), "/moved": "/tiny.zip", "/file": "file:///etc/passwd",
                 "/text": b"hello", "/endless": bytes(3 * 2**20)}) as found:
        yield found


def test_an_address_with_its_checksum_is_loaded_once(server, bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOEBOX_CACHE", str(tmp_path / "cache"))
    sha256 = hashlib.sha256(server.files["/tiny.zip"]).hexdigest()
    classifier = load_classifier(f"{server.url}/tiny.zip", sha256=sha256)
    assert classifier.predict(Image.new("RGB", (4, 4), "red")).label == "red"
    folder = fetch(f"{server.url}/moved?key=secret", sha256=sha256.upper())
    assert server.asked == ["/tiny.zip"] and contents(folder) == contents(bundle)
    (folder / "model.onnx").write_bytes(b"damaged")  # a damaged folder is unpacked anew
    assert contents(fetch(f"{server.url}/moved", sha256=sha256)) == contents(bundle)
    assert server.asked == ["/tiny.zip"]
    folder.with_name(f"{sha256}.zip").write_bytes(b"damaged")  # a damaged zip is fetched anew, by way of a redirect
    assert contents(fetch(f"{server.url}/moved", sha256=sha256)) == contents(bundle)
    assert server.asked == ["/tiny.zip", "/moved", "/tiny.zip"]


def test_a_cache_that_fits_itself_is_held_against_the_checksum(server, bundle, tmp_path):
    """Whoever can write to the cache can seal another model's manifest; the checksum of the zip they cannot fit."""
    sha256, cache = hashlib.sha256(server.files["/tiny.zip"]).hexdigest(), tmp_path / "cache"
    folder = fetch(f"{server.url}/tiny.zip", sha256=sha256, cache=cache)
    forged = tiny_model(weights=[[-2, 4, -2], [4, -2, -2], [-2, -2, 4]]).SerializeToString()
    replace_model(folder, forged)
    assert load_classifier(folder).predict(Image.new("RGB", (4, 4), "red")).label == "green", "it fits itself"
    assert contents(fetch(f"{server.url}/tiny.zip", sha256=sha256, cache=cache)) == contents(bundle)
    replace_model(folder, forged)
    pack(folder, folder.with_name(f"{sha256}.zip"))  # the zip, too
    assert contents(fetch(f"{server.url}/tiny.zip", sha256=sha256, cache=cache)) == contents(bundle)
    assert server.asked == ["/tiny.zip", "/tiny.zip"]


@pytest.mark.parametrize(("path", "sentence"), [("/tiny.zip", "has the SHA-256"), ("/text", "has the SHA-256"),
                                                ("/none", "404"), ("/file", "not allowed"),
                                                ("/endless", "more than 1,000,000 bytes")])
def test_what_cannot_be_had_is_a_sentence_and_nothing_is_kept(server, tmp_path, no_parser, path, sentence):
    with pytest.raises(BundleError, match=sentence) as caught:
        fetch(f"{server.url}{path}?token=secret", sha256="0" * 64, max_bytes=1_000_000, cache=tmp_path / "cache")
    assert "secret" not in str(caught.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_what_has_the_checksum_and_is_no_bundle_is_a_sentence(server, tmp_path):
    sha256 = hashlib.sha256(b"hello").hexdigest()
    for _ in range(2):
        with pytest.raises(BundleError, match="no bundle's zip"):
            fetch(f"{server.url}/text", sha256=sha256, cache=tmp_path / "cache")
        (tmp_path / "cache" / f"{sha256}.zip").write_bytes(b"hello")  # as somebody may put it there


@pytest.mark.parametrize(("address", "sha256", "sentence"), [
    ("https://example.org/x.zip", None, "an address needs"), ("models/x", "0" * 64, "no address of a bundle"),
    ("https://example.org/x.zip", "abc", "64 hexadecimal"), ("ftp://example.org/x.zip", "0" * 64, "no address"),
    ("file:///etc/passwd", "0" * 64, "no address"), ("hf://owner/file.zip", "0" * 64, "names no file of the hub"),
    (Path("models/x"), "0" * 64, "a folder has none")])
def test_addresses_and_checksums_go_together(address, sha256, sentence, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOEBOX_CACHE", str(tmp_path))
    with pytest.raises(BundleError, match=sentence):
        load_classifier(address, sha256=sha256)


def test_a_server_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(BundleError, match=r"could not be had from http://127\.0\.0\.1:9/x\.zip"):
        fetch("http://127.0.0.1:9/x.zip", sha256="0" * 64, cache=tmp_path)


def test_the_hubs_own_client_is_asked(monkeypatch, bundle, tmp_path):
    """By its name and arguments; the client itself is not under test, and the hub is not asked."""
    import huggingface_hub

    data = pack(bundle)[0].read_bytes()
    asked = []

    def download(repo, name, local_dir):
        asked.append((repo, name))
        (Path(local_dir) / name).write_bytes(data)
        return str(Path(local_dir) / name)

    size = [None]
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url: SimpleNamespace(
        size=size[0] if url.endswith("/owner/bears/resolve/main/tiny.zip") else 10**12))
    sha256 = hashlib.sha256(data).hexdigest()
    assert contents(fetch("hf://owner/bears/tiny.zip", sha256=sha256, cache=tmp_path / "c")) == contents(bundle)
    assert asked == [("owner/bears", "tiny.zip")]
    for size[0], times in ((None, 2), (len(data), 2), (11, 2)):  # by what came, then by what the hub tells before
        with pytest.raises(BundleError, match="more than 10 bytes"):
            fetch("hf://owner/bears/tiny.zip", sha256="1" * 64, max_bytes=10, cache=tmp_path / "c")
        assert len(asked) == times


# in the app

@pytest.fixture
def cache(tmp_path, monkeypatch):
    for name in ("SHOEBOX_MODEL", "SHOEBOX_SHA256"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SHOEBOX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_app_takes_an_address_with_its_checksum(server, cache, monkeypatch):
    sha256 = hashlib.sha256(server.files["/tiny.zip"]).hexdigest()
    page = shoebox.app(f"{server.url}/tiny.zip", sha256=sha256)
    assert page.problem == "" and page.about["model"]["name"] == "Tiny" and page.about["card"].startswith("# tiny")
    monkeypatch.setenv("SHOEBOX_MODEL", f"{server.url}/moved")  # as a container has it
    monkeypatch.setenv("SHOEBOX_SHA256", sha256)
    assert shoebox.app("models/another").about["model"]["name"] == "Tiny"
    assert server.asked == ["/tiny.zip"], "kept"
    monkeypatch.setenv("SHOEBOX_SHA256", "0" * 64)
    assert "has the SHA-256" in shoebox.app().problem
    monkeypatch.delenv("SHOEBOX_SHA256")
    assert "an address needs the SHA-256" in shoebox.app().problem
    assert [path.name for path in cache.iterdir() if path.is_dir()] == [sha256]


def test_serving_an_address_fetches_it_before_anything_starts(server, cache, tmp_path, monkeypatch):
    """Up to the start of Voila, which gets the folder and no address."""
    sha256, started = hashlib.sha256(server.files["/tiny.zip"]).hexdigest(), []

    def start(command, env, **_):
        started.append((env.get("SHOEBOX_MODEL"), env.get("SHOEBOX_SHA256")))
        raise ServeError("far enough")

    monkeypatch.setattr(_serve.subprocess, "Popen", start)
    notebook = tmp_path / "app.ipynb"
    notebook.write_text('{"cells": []}')
    with pytest.raises(ServeError, match="far enough"):
        _serve.serve(notebook, model=f"{server.url}/tiny.zip", sha256=sha256, port=0)
    assert main(["serve", str(notebook), "--model", f"{server.url}/moved", "--sha256", sha256, "--port", "0"]) == 1
    monkeypatch.setenv("SHOEBOX_MODEL", f"{server.url}/moved")
    monkeypatch.setenv("SHOEBOX_SHA256", sha256)
    assert main(["serve", str(notebook), "--port", "0"]) == 1
    assert started == [(str(cache / sha256), None)] * 3 and server.asked == ["/tiny.zip"]


def test_serving_what_cannot_be_had_starts_nothing(server, cache, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_serve.subprocess, "Popen", lambda *_, **__: pytest.fail("started"))
    notebook = tmp_path / "app.ipynb"
    notebook.write_text('{"cells": []}')
    for options, sentence in ((["--model", f"{server.url}/tiny.zip", "--sha256", "0" * 64], "has the SHA-256"),
                              (["--model", f"{server.url}/tiny.zip"], "an address needs the SHA-256"),
                              (["--model", str(tmp_path / "tiny"), "--sha256", "0" * 64], "no address of a bundle"),
                              (["--sha256", "0" * 64], "without the address")):
        assert main(["serve", str(notebook), *options, "--port", "0"]) == 1
        assert re.search(sentence, capsys.readouterr().err)
    assert not cache.exists() or not [path for path in cache.rglob("*") if path.is_file()]
