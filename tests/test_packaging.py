"""What a newcomer types: the names and bounds of the environments, pins, README, Makefile and Binder."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def requirements(*extras):
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def locked(name="pins.txt"):
    """From each name to its version and hashes, as `pip install --require-hashes` reads the file."""
    text = re.sub(r"^#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        requirement, *options = re.split(r"\s--", line)
        parsed = Requirement(requirement)
        (exact,) = parsed.specifier
        assert exact.operator == "==", line
        found[canonicalize_name(parsed.name)] = exact.version, [o.removeprefix("hash=").strip() for o in options]
    return found


def pins():
    return {name: version for name, (version, _) in locked().items()}


@pytest.mark.parametrize("name", ["pins.txt", "pins-app.txt"])
def test_pins_are_exact_hashed_and_name_no_address(name):
    comment, text = (ROOT / name).read_text().split("\n", 1)
    assert comment.startswith("#") and not re.search(r"://|@|--(?!hash=)", text)
    for package, (_, hashes) in locked(name).items():
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), package


def test_what_is_asked_for_is_among_the_pins():
    for name, requirement in requirements("studio", "test").items():
        assert requirement.specifier.contains(pins()[name]), f"{name}: {requirement.specifier}"


def test_the_app_is_locked_to_the_same_versions_and_without_the_studio():
    app = locked("pins-app.txt")
    assert set(requirements()) <= set(app) and not {"torch", "fastai", "scikit-learn", "jupyterlab"} & set(app)
    assert {name: version for name, (version, _) in app.items()}.items() <= pins().items()


def test_what_had_holes_is_pinned_past_them():
    """Those known when this was written; `make audit` asks for the newest, where it can reach them."""
    for name, least in {"pillow": "12.3.0", "torch": "2.10", "tornado": "6.5.8", "jupyter-server": "2.20.0",
                        "onnx": "1.21.0"}.items():
        assert Version(pins()[name]) >= Version(least), name


@pytest.mark.parametrize(("place", "lock"), [("Makefile", "pins.txt"), ("Makefile", "pins-app.txt"),
                                             ("binder/postBuild", "pins-app.txt")])
def test_whatever_sets_itself_up_checks_the_hashes(place, lock):
    installs = re.findall(r"pip install (.*)", (ROOT / place).read_text().partition("define tools")[0])
    assert any(f"--require-hashes -r {lock}" in one for one in installs)
    assert all("--require-hashes" in one or "--no-deps --no-build-isolation" in one for one in installs)


def test_everything_installed_is_pinned_to_that_version():
    installed = {canonicalize_name(d.metadata["Name"]): d.version for d in distributions()}
    tools = {"pip", "setuptools", "wheel", "shoebox"}
    for name, version in installed.items():
        if name not in tools:
            assert pins().get(name) == version, f"{name} {version}: run make lock"


def test_the_base_install_is_the_app_half():
    assert set(requirements()) == {"anywidget", "ipykernel", "ipywidgets", "numpy", "onnxruntime", "pillow", "voila"}


def test_conda_environment_has_the_same_names_and_bounds():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = {line.split(" ")[0]: line.partition(" ")[2] for line in entries if isinstance(line, str)}
    by_pip = [r for r in next(e["pip"] for e in entries if isinstance(e, dict)) if not r.startswith("-e")]
    there = conda | {Requirement(r).name: str(Requirement(r).specifier) for r in by_pip}
    for name, requirement in requirements("studio", "test").items():
        bounds = there.pop(CONDA_NAMES.get(name, name))
        assert set(bounds.split(",")) == set(str(requirement.specifier).split(",")), name
    assert set(there) == {"python", "pip"} and there["python"].startswith(PROJECT["requires-python"])


def test_no_registry_or_machine_path_in_any_file():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    words = ("pypi" + ".org", "pythonhosted" + ".org", "registry.npmjs" + ".org", "/" + "work/main", "--index" + "-url")
    for name in filter(None, files):
        data = (ROOT / name).read_bytes()
        for word in words:
            assert word.encode() not in data, f"{name} names {word}"


def make_targets():
    return set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_readme_says_what_there_is():
    readme = (ROOT / "README.md").read_text("utf-8")
    named = set(re.findall(r"make ([a-z-]+)", readme))
    assert {"demo", "test", "lab", "app", "lint"} <= named <= make_targets()
    first_screen = readme[: readme.index("## ", 200)]
    assert "make demo" in first_screen and "make test" in first_screen
    for picture in re.findall(r"!\[[^\]]*\]\((?!http)([^)]+)\)", readme):
        assert (ROOT / picture).stat().st_size > 10_000, picture
    for link in re.findall(r"(?<!!)\[[^\]]+\]\((?!http|#)([^)]+)\)", readme):
        assert (ROOT / link).exists(), link
    assert "urlpath=voila/render/notebooks/app.ipynb" in readme.replace("%2F", "/")
    for command in re.findall(r"^shoebox ([a-z]+)", readme, re.MULTILINE):
        shoebox = Path(sys.executable).with_name("shoebox")
        assert subprocess.run([shoebox, command, "--help"], capture_output=True, check=False).returncode == 0, command


def test_make_help_lists_every_target():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in make_targets():
        assert re.search(rf"make {target}\s+\w", done.stdout), target


def test_binder_is_small_and_complete():
    manifest = json.loads((ROOT / "binder" / "digits" / "manifest.json").read_text("utf-8"))
    size = sum(path.stat().st_size for path in (ROOT / "binder" / "digits").rglob("*") if path.is_file())
    assert size <= 2 * 2**20 and manifest["classes"] == list("0123456789")
    settings = json.loads((ROOT / "binder" / "jupyter_server_config.json").read_text())["ServerApp"]["tornado_settings"]
    assert settings["websocket_max_message_size"] > 10 * 2**20
    assert (ROOT / "binder" / "postBuild").stat().st_mode & 0o111
    voila = json.loads((ROOT / "binder" / "voila.json").read_text())["VoilaConfiguration"]
    assert (voila["template"], voila["file_allowlist"], voila["show_tracebacks"]) == ("shoebox", [], False)


@pytest.mark.slow
def test_binders_post_build_runs(tmp_path):
    """With a pip that installs nothing: what it would install is here already."""
    copy, home = tmp_path / "repository", tmp_path / "home"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "work", "models", "__pycache__"))
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "pip").write_text("#!/bin/sh\necho pip \"$@\"\n")
    (tools / "pip").chmod(0o755)
    path = f"{tools}:{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(["bash", "binder/postBuild"], cwd=copy, capture_output=True, text=True, check=False,
                          env={"HOME": str(home), "PATH": path})
    assert done.returncode == 0, done.stderr
    assert "install --no-cache-dir --require-hashes -r pins-app.txt" in done.stdout
    assert (copy / "models" / "digits" / "manifest.json").is_file() and (copy / "voila.json").is_file()
    assert (home / ".local/share/jupyter/voila/templates/shoebox/index.html.j2").is_file()
    assert (home / ".jupyter" / "jupyter_server_config.json").is_file()


@pytest.mark.slow
def test_binders_dockerfile_is_made_from_our_files(tmp_path):
    tool = Path(sys.executable).with_name("jupyter-repo2docker")
    copy = tmp_path / "repository"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "work", "models", "node_modules", "__pycache__"))
    done = subprocess.run([str(tool), "--no-build", "--debug", str(copy)], capture_output=True, text=True, check=False)
    dockerfile = done.stdout + done.stderr
    assert done.returncode == 0, dockerfile[-2000:]
    assert "binder/environment.yml" in dockerfile and "binder/postBuild" in dockerfile
    assert "environment.py-3.11" in dockerfile or "python=3.11" in dockerfile or "py-3.11" in dockerfile, dockerfile
    assert "torch" not in dockerfile


def test_the_demo_bundle_for_binder_answers():
    import shoebox

    classifier = shoebox.load_classifier(ROOT / "binder" / "digits")
    assert classifier.classes == tuple("0123456789")
    answer = classifier.predict(shoebox.open_image(ROOT / "docs" / "app.png"))
    assert answer.label in classifier.classes and abs(sum(answer.probabilities.values()) - 1) < 1e-5
