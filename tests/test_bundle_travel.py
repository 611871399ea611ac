"""A bundle on its way: packed, damaged, hostile, and on other systems."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import shoebox
from shoebox.bundle import inspect, load_classifier, pack
from shoebox.bundle._export_novelty import beta_band, fit_novelty
from shoebox.bundle._manifest import checksum
from shoebox.bundle._pack import unpack
from shoebox.bundle._records import Example, LabelSets, Novelty, Precision
from shoebox.cli import main
from shoebox.errors import BundleError
from tests._files import contents
from tests._models import edit_manifest, feature_model, tiny_bundle, tiny_model
from tests._pictures import AWKWARD, CYRILLIC

ROOT = Path(__file__).parent.parent


@pytest.fixture
def bundle(tmp_path):
    return tiny_bundle(tmp_path / "tiny")


def full_bundle(folder):
    """With everything that can travel in a bundle: "none of these", weights of 8 bits, examples."""
    labels = np.arange(90) % 3
    features = np.clip(np.eye(3)[labels] * 220 + np.random.default_rng(0).normal(12, 8, (90, 3)), 0, 255)
    colours = fit_novelty(features, np.full((90, 3), 1 / 3), labels, ["valid"] * 90)
    out = io.BytesIO()
    Image.new("RGB", (20, 20), (250, 5, 5)).save(out, "JPEG")
    return tiny_bundle(
        folder, model=feature_model(), temperature=1.5, novelty=Novelty(90, 0.05, beta_band(90, 0.05)),
        extra={"novelty.npz": colours.to_bytes(), "model.int8.onnx": feature_model().SerializeToString(),
               "example-01.jpg": out.getvalue()},
        label_sets=LabelSets(90, 0.9, 0.4), int8=Precision("model.int8.onnx", 90, 0.1, 0.2, 89),
        examples=(Example("example-01.jpg", "red", (0.9, 0.05, 0.05)),), notes={"heatmap": "Left off."})


# rows of the threat table

@pytest.mark.parametrize("kind", ["least", "full"])
def test_a_thousand_changed_bytes_are_a_thousand_refusals(tmp_path, no_parser, kind):
    """Anywhere in the bundle but in the white space between the manifest's words, which says nothing."""
    bundle = tiny_bundle(tmp_path / "tiny") if kind == "least" else full_bundle(tmp_path / "tiny")
    rng = random.Random(11)
    wholes = {path: path.read_bytes() for path in sorted(bundle.iterdir())}
    places = [(path, i) for path, data in wholes.items() for i, byte in enumerate(data)
              if path.suffix != ".json" or not chr(byte).isspace()]
    refused = 0
    drawn = rng.choices(places, weights=[1 / len(wholes[path]) for path, _ in places], k=1000)  # of every file as many
    assert {path for path, _ in drawn} == set(wholes)
    for path, i in drawn:
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


@pytest.mark.parametrize("kind", ["bomb", "link", "empty", "text", "cut", "nothing in it", "no manifest", "one missing",
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
    assert main(["inspect", str(bundle)]) == 0
    assert capsys.readouterr().out.count(": as exported\n") == 2
    (bundle / "model.onnx").write_bytes(tiny_model(classes=2).SerializeToString())
    (bundle / "MODEL_CARD.md").unlink()
    assert main(["inspect", str(bundle)]) == 0
    said = capsys.readouterr().out
    assert "Tiny: 3 classes" in said and "model.onnx: not as exported: tiny/model.onnx is not the file" in said
    assert "MODEL_CARD.md: not as exported: tiny/MODEL_CARD.md is missing" in said and ": as exported" not in said
    (bundle / "MODEL_CARD.md").write_bytes(b"# tiny\n")
    for command in ("check", "pack"):
        assert main([command, str(bundle)]) == 1
        assert "model.onnx" in capsys.readouterr().err
    assert set(dir(shoebox)) >= {"check", "pack", "fetch", "convert"}
    assert sys.modules["shoebox"].check is shoebox.check
