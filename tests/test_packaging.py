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

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def requirements(*extras):
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def pins():
    lines = [line for line in (ROOT / "pins.txt").read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}


def test_pins_are_exact_and_name_no_address():
    text = (ROOT / "pins.txt").read_text()
    assert not re.search(r"://|@|--", text)
    for name, requirement in requirements("studio", "test").items():
        assert requirement.specifier.contains(pins()[name]), f"{name}: {requirement.specifier}"


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
    assert "install --no-cache-dir -c pins.txt ." in done.stdout
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
