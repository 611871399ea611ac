"""The app against one of the book's form: Voila, `load_learner`, a FileUpload button and an Output widget.

The same ResNet-18 of random weights, the same 12-megapixel photo, a real Chromium, both on this machine in one run, in
turn. `python bench/app.py [pairs|load|ten|mutants|loads|flood] [quick]` runs one part; `quick` makes it short. It
writes its tables into bench/RESULTS.md. Chromium is looked for on the PATH.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1]),
                str(Path(__file__).parents[1] / "tests" / "browser")]
THREADS = "OMP_NUM_THREADS"
os.environ[THREADS] = "1"  # for making the models, in this process

import _app_flood  # noqa: E402
import _app_load  # noqa: E402
import _app_pairs  # noqa: E402
from _app_models import make_models  # noqa: E402
from results import write_section  # noqa: E402

PARTS = {"pairs": _app_pairs.run, "load": _app_load.run_visitors, "ten": _app_load.run_ten,
         "mutants": _app_load.run_mutants, "loads": _app_load.run_page_loads,
         "flood": _app_flood.run_flood}


def main() -> None:
    """Run the parts that were named, or all, and write their tables."""
    words = set(sys.argv[1:])
    chosen = [name for name in PARTS if name in words] or list(PARTS)
    unknown = words - set(PARTS) - {"quick"}
    if unknown:
        sys.exit(f"Unknown: {', '.join(sorted(unknown))}. There are {', '.join(PARTS)} and quick.")
    with tempfile.TemporaryDirectory() as name:
        models = make_models(Path(name))
        del os.environ[THREADS]  # the servers run as anybody's would: each library takes as many threads as it likes
        for part in chosen:
            write_section(*PARTS[part](models, quick="quick" in words), keep="quick" not in words)


if __name__ == "__main__":
    main()
