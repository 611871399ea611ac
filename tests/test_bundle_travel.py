"""A bundle on its way: packed, fetched by address and checksum, damaged, hostile, and on other systems."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import struct
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import shoebox
from shoebox.bundle import fetch, inspect, load_classifier, pack
from shoebox.bundle._manifest import checksum
from shoebox.bundle._pack import unpack
from shoebox.cli import main
from shoebox.errors import BundleError
from tests._models import edit_manifest, tiny_bundle, tiny_model
from tests._pictures import AWKWARD, CYRILLIC

ROOT = Path(__file__).parent.parent


@pytest.fixture
def bundle(tmp_path):
    return tiny_bundle(tmp_path / "tiny")


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# rows of the threat table

def test_a_thousand_changed_bytes_are_a_thousand_refusals(bundle, no_parser):
    """Anywhere in the bundle but in the white space between the manifest's words, which says nothing."""
    rng = random.Random(11)
    wholes = {path: path.read_bytes() for path in sorted(bundle.iterdir())}
    places = [(path, i) for path, data in wholes.items() for i, byte in enumerate(data)
              if path.suffix != ".json" or not chr(byte).isspace()]
    refused = 0
    for path, i in rng.choices(places, k=1000):
        whole = wholes[path]
        path.write_bytes(whole[:i] + bytes([whole[i] ^ rng.randrange(1, 256)]) + whole[i + 1:])
        try:
            load_classifier(bundle)
        except BundleError:
            refused += 1
        path.write_bytes(whole)
    assert refused == 1000


def test_a_manifest_of_a_million_classes_is_a_sentence(bundle, no_parser):
    names = [str(i) for i in range(1_000_000)]
    edit_manifest(bundle, lambda values: values.update(classes=names))
    with pytest.raises(BundleError, match=r"manifest\.json"):
        load_classifier(bundle)
    edit_manifest(tiny_bundle(bundle), lambda values: values.update(classes=names[:60_000]))
    with pytest.raises(BundleError, match=r"at most 50,000 were expected, 60,000 came"):
        load_classifier(bundle)
    edit_manifest(tiny_bundle(bundle), lambda values: values.update(metrics=dict.fromkeys(names[:60_000], 1)))
    with pytest.raises(BundleError, match=r"at most 50,000 names"):
        load_classifier(bundle)


def test_a_claim_of_two_gigabytes_takes_none(bundle, no_parser):
    edit_manifest(bundle, lambda v: v["files"]["model.onnx"].update(size_bytes=2**31 - 1))
    with pytest.raises(BundleError, match="not the file that was exported"):
        load_classifier(bundle)
    with (bundle / "model.onnx").open("r+b") as file:
        file.truncate(2**31)  # a hole: the disk has no such bytes
    with pytest.raises(BundleError, match="2,147,483,648 bytes"):
        load_classifier(bundle)


# pack

def test_a_packed_bundle_opens_to_the_same_files(bundle, tmp_path):
    place, sha256 = pack(bundle)
    assert place == tmp_path / "tiny.zip" and hashlib.sha256(place.read_bytes()).hexdigest() == sha256
    assert (tmp_path / "tiny.zip.sha256").read_text() == f"{sha256}  tiny.zip\n"
    assert contents(unpack(place.read_bytes(), tmp_path / "again")) == contents(bundle)
    assert pack(bundle, tmp_path / "sub" / "b.zip")[1] == sha256, "the same files give the same zip"
    (bundle / "MODEL_CARD.md").write_text("changed")
    with pytest.raises(BundleError, match=r"MODEL_CARD\.md is not the file"):
        pack(bundle, tmp_path / "other.zip")
    assert not (tmp_path / "other.zip").exists()


def zipped(files, **kwargs):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **kwargs) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return out.getvalue()


def hostile(kind, files):
    plain = list(files.items())
    if kind == "bomb":  # 300 MB of zeros in 300 kB, which the manifest says nothing of
        return zipped([*plain[:-1], (plain[-1][0], bytes(300 * 2**20))], compression=zipfile.ZIP_DEFLATED)
    if kind == "claim":  # a manifest that tells of 600 MB, and a small zip that would unfold to them
        record = {"sha256": "0" * 64, "size_bytes": 600_000_000}
        values = json.loads(files["manifest.json"])
        values["files"]["model.onnx"] = record
        values["checksum"] = checksum(values)
        plain = [("manifest.json", json.dumps(values).encode()), ("MODEL_CARD.md", files["MODEL_CARD.md"])]
        return deflated_zeros(zipped(plain), "model.onnx", record["size_bytes"])
    if kind == "link":
        entry = zipfile.ZipInfo("model.onnx")
        entry.external_attr = 0o120777 << 16
        return zipped([(name, data) for name, data in plain if name != "model.onnx"] + [(entry, b"/etc/passwd")])
    return {"empty": b"", "text": b"no zip", "cut": zipped(plain)[:-40], "nothing in it": zipped([]),
            "no manifest": zipped(plain[1:]), "one missing": zipped([plain[0], plain[1]]),
            "a stranger": zipped([*plain, ("extra.txt", b"x")]), "up": zipped([*plain, ("../up.txt", b"x")]),
            "absolute": zipped([*plain, ("/tmp/up.txt", b"x")]), "drive": zipped([*plain, ("C:\\up.txt", b"x")]),
            "renamed": zipped([(f"../{name}", data) for name, data in plain]),
            "a folder": zipped([(f"tiny/{name}", data) for name, data in plain]),
            "changed": zipped([(n, d if n != "model.onnx" else bytes(len(d))) for n, d in plain])}[kind]


def deflated_zeros(zip_bytes, name, n_bytes):
    """The zip with a file of `n_bytes` zeros, a thousandth of it."""
    out = io.BytesIO(zip_bytes)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open(name, "w") as file:
        piece = bytes(2**20)
        for size in [len(piece)] * (n_bytes // len(piece)) + [n_bytes % len(piece)]:
            file.write(piece[:size])
    return out.getvalue()


def test_a_small_zip_that_would_unfold_to_600_mb_takes_neither_memory_nor_disk(bundle, tmp_path, no_parser):
    data = hostile("claim", contents(bundle))
    assert len(data) < 6_000_000
    (tmp_path / "bomb.zip").write_bytes(data)
    code = ("import resource, sys\n"
            "from pathlib import Path\n"
            "from shoebox.bundle._pack import unpack\n"
            "from shoebox.errors import BundleError\n"
            "data = Path(sys.argv[1]).read_bytes()\n"
            "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
            "try:\n"
            "    unpack(data, Path(sys.argv[2]) / 'model')\n"
            "except BundleError as error:\n"
            "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)\n")
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path / "bomb.zip"), str(tmp_path / "shelf")],
                         capture_output=True, text=True, check=True)
    kilobytes, _, sentence = ran.stdout.partition(" ")
    assert int(kilobytes) < 50_000 and "is compressed" in sentence and not (tmp_path / "shelf").exists()


def test_files_that_share_their_bytes_are_refused(bundle, tmp_path):
    """Two names for one place: stored, and together still more than the zip has."""
    files = contents(bundle)
    data = bytearray(zipped([("manifest.json", files["manifest.json"]), ("a" * 12, bytes(10**6))]))
    size = struct.pack("<LL", 10**6, 10**6)
    assert data.count(size) == 2
    data[data.rfind(size):data.rfind(size) + 8] = struct.pack("<LL", 2 * 10**6, 2 * 10**6)
    with pytest.raises(BundleError, match="claim more than"):
        unpack(bytes(data), tmp_path / "model")


@pytest.mark.parametrize("kind", ["bomb", "claim", "link", "empty", "text", "cut", "nothing in it", "no manifest", "one missing",
                                  "a stranger", "up", "absolute", "drive", "renamed", "a folder", "changed"])
def test_a_hostile_zip_is_a_sentence_and_writes_nothing(bundle, tmp_path, no_parser, kind):
    files = contents(bundle)
    ordered = {"manifest.json": files["manifest.json"], **files}
    shelf = tmp_path / "shelf"
    before = contents(tmp_path)
    with pytest.raises(BundleError):
        unpack(hostile(kind, ordered), shelf / "model")
    assert contents(tmp_path) == before


def test_a_name_that_stands_twice_is_refused(bundle, tmp_path):
    files = list(contents(bundle).items())
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zipped([*files, files[0]])
    with pytest.raises(BundleError, match="twice"):
        unpack(data, tmp_path / "model")


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_zip_is_our_error_or_the_same_bundle(bundle, tmp_path, data):
    whole = zipped(sorted(contents(bundle).items()))
    harmed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        harmed[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    sample = bytes(harmed) if data.draw(st.booleans()) else bytes(harmed[:cut])
    try:
        unpack(sample, tmp_path / "out" / "model")
        assert contents(tmp_path / "out" / "model") == contents(bundle)
    except BundleError as error:
        assert str(error)
    assert {path.name for path in tmp_path.iterdir()} <= {"tiny", "out"}


# fetch

class Server(ThreadingHTTPServer):
    """Answers with `files` by path; a number is a status, text a redirect; counts what it was asked."""

    def __init__(self, files):
        self.files, self.asked = files, []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path.partition("?")[0])
        found = self.server.files.get(self.path.partition("?")[0], 404)
        if isinstance(found, bytes):
            self.send_response(200)
            if "endless" not in self.path:
                self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)
        else:
            self.send_response(302 if isinstance(found, str) else found)
            if isinstance(found, str):
                self.send_header("Location", found)
            self.end_headers()

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def server(bundle):
    data = pack(bundle)[0].read_bytes()
    found = Server({"/tiny.zip": data, "/moved": "/tiny.zip", "/file": "file:///etc/passwd", "/text": b"hello",
                    "/endless": bytes(3 * 2**20)})
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


def test_an_address_with_its_checksum_is_loaded_once(server, bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOEBOX_CACHE", str(tmp_path / "cache"))
    sha256 = hashlib.sha256(server.files["/tiny.zip"]).hexdigest()
    classifier = load_classifier(f"{server.url}/tiny.zip", sha256=sha256)
    assert classifier.predict(Image.new("RGB", (4, 4), "red")).label == "red"
    folder = fetch(f"{server.url}/moved?key=secret", sha256=sha256.upper())
    assert server.asked == ["/tiny.zip"] and contents(folder) == contents(bundle)
    (folder / "model.onnx").write_bytes(b"damaged")  # a damaged cache is fetched anew, by way of a redirect
    assert contents(fetch(f"{server.url}/moved", sha256=sha256)) == contents(bundle)
    assert server.asked == ["/tiny.zip", "/moved", "/tiny.zip"]


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
    with pytest.raises(BundleError, match="no bundle's zip"):
        fetch(f"{server.url}/text", sha256=sha256, cache=tmp_path / "cache")


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

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    sha256 = hashlib.sha256(data).hexdigest()
    assert contents(fetch("hf://owner/bears/tiny.zip", sha256=sha256, cache=tmp_path / "c")) == contents(bundle)
    assert asked == [("owner/bears", "tiny.zip")]
    with pytest.raises(BundleError, match="more than 10 bytes"):
        fetch("hf://owner/bears/tiny.zip", sha256="1" * 64, max_bytes=10, cache=tmp_path / "c")


# other systems

RESERVED = {"con", "prn", "aux", "nul", *(f"com{i}" for i in range(1, 10)), *(f"lpt{i}" for i in range(1, 10))}


@pytest.mark.parametrize("place", [ROOT / "binder" / "digits", *(ROOT / "tests" / "bundles").iterdir()])
def test_bundles_open_on_every_system_by_their_content(place):
    """No links, no folders, no names that Windows refuses or folds together, one line end, no path of a machine."""
    manifest = inspect(place)
    names = {"manifest.json", *manifest.files}
    assert {path.name for path in place.iterdir()} == names and len({n.casefold() for n in names}) == len(names)
    for path in place.iterdir():
        assert path.is_file() and not path.is_symlink() and path.name.isascii()
        assert path.name.split(".")[0].casefold() not in RESERVED and not path.name.endswith((".", " "))
        if path.suffix in (".json", ".md"):
            text = path.read_bytes()
            assert b"\r" not in text and not text.startswith(b"\xef\xbb\xbf") and text.decode("utf-8")
            assert str(Path.home()).encode() + b"/" not in text and b"\\\\" not in text.replace(b"\\\\n", b"")
    attributes = subprocess.run(["git", "check-attr", "text", "--", str(place / "manifest.json")], cwd=ROOT,
                                capture_output=True, text=True, check=True).stdout
    assert attributes.strip().endswith("text: unset"), "git must not turn its line ends"


@pytest.mark.parametrize("name", [CYRILLIC, AWKWARD.replace("<", "").replace(">", "").replace('"', ""), "with space"])
def test_a_bundle_opens_wherever_it_stands(tmp_path, name, monkeypatch):
    tiny_bundle(tmp_path / name / "модель")
    monkeypatch.chdir(tmp_path / name)
    for path in ("модель", Path("модель"), str(tmp_path / name / "модель") + os.sep):
        assert load_classifier(path).classes == ("red", "green", "blue")


# the command line

def test_the_commands_check_and_pack(bundle, capsys, tmp_path):
    assert main(["check", str(bundle)]) == 0
    assert "2 files are as they were exported" in capsys.readouterr().out
    assert main(["pack", str(bundle)]) == 0
    assert hashlib.sha256((tmp_path / "tiny.zip").read_bytes()).hexdigest() in capsys.readouterr().out
    (bundle / "model.onnx").write_bytes(tiny_model(classes=2).SerializeToString())
    for command in ("check", "pack"):
        assert main([command, str(bundle)]) == 1
        assert "model.onnx" in capsys.readouterr().err
    assert set(dir(shoebox)) >= {"check", "pack", "fetch", "convert"}
    assert sys.modules["shoebox"].check is shoebox.check
