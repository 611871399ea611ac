"""`python -m tests.crash NAME FOLDER key=value …`: run one experiment and print its counts as JSON."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def main() -> None:
    """The experiment's name is its module's and its function's."""
    name, folder, *settings = sys.argv[1:]
    given = dict(setting.split("=", 1) for setting in settings)
    experiment = getattr(importlib.import_module(f"tests.crash.{name}"), name)
    print(json.dumps(experiment(Path(folder), **{k: int(v) if v.isdigit() else v for k, v in given.items()})))


if __name__ == "__main__":
    main()
