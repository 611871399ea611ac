"""What a stranger's bundle is read with, against atheris: bytes to which coverage leads it, each answered or refused.

Anything but a value or a `BundleError` with a sentence would be a crash. It needs `pip install atheris`, which runs on
Linux with Python up to 3.13, and adds a table to bench/RESULTS.md. `python bench/fuzz.py [runs of each door]`.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]
RUNS = 300_000


def manifest(data: bytes) -> None:
    from shoebox.bundle import Manifest

    Manifest.from_json(data)


def sealed_manifest(data: bytes) -> None:
    """The same with a checksum that fits, so that what stands behind it is reached too."""
    from shoebox.bundle import Manifest
    from shoebox.bundle._manifest import checksum

    try:
        values = json.loads(data)
        values["checksum"] = checksum(values)
        data = json.dumps(values).encode()
    except (ValueError, TypeError, RecursionError, AttributeError):
        pass  # no JSON object: as it is
    repr(Manifest.from_json(data)), str(Manifest.from_json(data))


def packed(data: bytes) -> None:
    from shoebox.bundle._pack import unpack

    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "a" / "b" / "c" / "bundle"
        try:
            unpack(data, bundle)
        finally:
            written = {path for path in Path(folder).rglob("*") if bundle not in path.parents}
            if written - {bundle, *bundle.parents}:
                raise AssertionError("written beside the bundle")


def model(data: bytes) -> None:
    from shoebox.bundle._external import refuse_external_data

    refuse_external_data(data, "model.onnx")


def novelty(data: bytes) -> None:
    from shoebox.bundle._novelty import read_novelty

    read_novelty(data, "novelty.npz", n_classes=3, n=90)


DOORS: dict[str, Callable[[bytes], None]] = {
    "manifest": manifest, "manifest, checksum made to fit": sealed_manifest, "zip": packed,
    "look for outside data in model.onnx": model, "novelty.npz": novelty}


def seeds(folder: Path) -> dict[str, list[bytes]]:
    """Good files for each door, with all that a bundle may have."""
    import numpy as np
    from tests._models import feature_model, tiny_bundle

    from shoebox.bundle import pack
    from shoebox.bundle._export_novelty import fit_novelty
    from shoebox.bundle._records import LabelSets, Novelty

    places = np.arange(90) % 3
    features = np.eye(3)[places] * 200 + np.random.default_rng(0).normal(0, 8, (90, 3))
    known = fit_novelty(features, np.eye(3)[places] * 0.97 + 0.01, places, ["valid"] * 90).to_bytes()
    bundle = tiny_bundle(folder / "bundle", model=feature_model(), extra={"novelty.npz": known}, temperature=1.5,
                         novelty=Novelty(90, 0.05, (0.01, 0.1)), label_sets=LabelSets(90, 0.9, 0.4))
    packing, _ = pack(bundle)
    texts = [path.read_bytes() for path in (bundle / "manifest.json",
                                            *sorted((ROOT / "tests" / "bundles").rglob("manifest.json")))]
    return {"manifest": texts, "manifest, checksum made to fit": texts, "zip": [packing.read_bytes()],
            "look for outside data in model.onnx": [(bundle / "model.onnx").read_bytes()], "novelty.npz": [known]}


def fuzz(door: str, corpus: str, runs: str) -> None:
    """Never returns: libFuzzer ends the process, with 0 when all was well."""
    import atheris

    with atheris.instrument_imports(include=["shoebox", "zipfile"]):
        import shoebox.bundle._external
        import shoebox.bundle._manifest
        import shoebox.bundle._novelty
        import shoebox.bundle._pack  # noqa: F401
        from shoebox.errors import BundleError

    def once(data: bytes) -> None:
        try:
            DOORS[door](data)
        except BundleError as error:
            assert str(error).endswith("."), error

    atheris.Setup([sys.argv[0], f"-runs={runs}", "-max_len=8192", "-timeout=20", "-rss_limit_mb=2048",
                   f"-artifact_prefix={corpus}-", corpus], once)
    atheris.Fuzz()


def main() -> None:
    """Each door in a process of its own; print and keep what came of it."""
    from results import write_section

    if importlib.util.find_spec("atheris") is None:
        sys.exit("atheris is not installed: pip install atheris")
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    rows, crashed = [], False
    with tempfile.TemporaryDirectory() as name:
        for number, (door, files) in enumerate(seeds(Path(name)).items()):
            corpus = Path(name) / f"corpus-{number}"
            corpus.mkdir()
            for place, data in enumerate(files):
                (corpus / f"{place}").write_bytes(data)
            start = time.perf_counter()
            done = subprocess.run([sys.executable, __file__, "--door", door, str(corpus), str(runs)], text=True,
                                  errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            seconds = time.perf_counter() - start
            covered = re.findall(r"cov: (\d+)", done.stdout)
            tried = re.findall(r"^#(\d+)", done.stdout, re.MULTILINE)
            if done.returncode:
                crashed = True
                print(done.stdout[-3000:])
            rows.append(f"| {door} | {int(tried[-1]) if tried else 0:,} | {covered[0] if covered else 0} to "
                        f"{covered[-1] if covered else 0} | {seconds:.0f} | {int(done.returncode != 0)} |")
    write_section("A stranger's bundle, led by coverage", (
        f"atheris, `python bench/fuzz.py {runs}`. A refusal is a `BundleError` with a sentence; anything else is a "
        "crash and ends the run of that door.\n\n| door | inputs | edges covered, at first and in the end | s | "
        "crashes |\n|---|---|---|---|---|\n" + "\n".join(rows)))
    sys.exit(int(crashed))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--door"]:
        fuzz(*sys.argv[2:])
    main()
