"""Opens files through the door, each in a process of its own, and measures what that took."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# A fresh parent with everything loaded forks a child per file; VmHWM less what the child began with is its peak.
_PARENT = r"""
import io, json, os, re, signal, sys, time, warnings
from pathlib import Path
from PIL import Image
from shoebox.data import decode_image
from shoebox.errors import ImageError
warnings.simplefilter("ignore")
for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):  # loads every decoder
    out = io.BytesIO(); Image.new("RGB", (64, 64), "teal").save(out, kind); decode_image(out.getvalue())

def kilobytes(field):
    return int(re.search(field + r":\s+(\d+)", Path("/proc/self/status").read_text())[1])

def child(file):
    signal.alarm(int(sys.argv[2]))  # a decoder that hangs is killed
    data = Path(file).read_bytes()
    base, start, cause, sentence, size = kilobytes("VmRSS"), time.perf_counter(), "", "", None
    try:
        size = decode_image(data, name="holiday.jpg").image.size
    except ImageError as error:
        cause, sentence = error.cause, str(error)
    seconds = time.perf_counter() - start
    print(json.dumps(dict(file=os.path.basename(file), cause=cause, sentence=sentence, size=size, seconds=seconds,
                          peak_mb=max(0, kilobytes("VmHWM") - base) * 1024 / 1e6)), flush=True)

for file in sorted(Path(sys.argv[1]).iterdir()):
    pid = os.fork()
    if pid == 0:
        try:
            child(file)
        except BaseException as error:
            print(json.dumps(dict(file=file.name, crash=repr(error))), flush=True)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status:
        print(json.dumps(dict(file=file.name, crash=f"ended with status {status}")), flush=True)
"""


@dataclass(frozen=True)
class Measured:
    """What one file did: the cause of its refusal or its size, or how it crashed."""

    file: str
    cause: str = ""
    sentence: str = ""
    size: tuple[int, int] | None = None
    seconds: float = 0.0
    peak_mb: float = 0.0
    crash: str = ""


def measured(folder: Path, hang_s: int = 60) -> dict[str, Measured]:
    """What every file of a folder did, by name."""
    done = subprocess.run([sys.executable, "-c", _PARENT, str(folder), str(hang_s)], capture_output=True, text=True,
                          check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {row["file"]: Measured(**{**row, "size": tuple(row["size"]) if row.get("size") else None}) for row in rows}
