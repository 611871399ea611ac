"""How many visitors fit into the memory of this machine."""

from __future__ import annotations

import contextlib
import ctypes
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Places", "free_memory_bytes", "give_back_memory", "plan_places", "visitor_bytes"]

_BASE_BYTES = 130 * 2**20  # a kernel with its libraries, measured
_PER_MODEL_BYTE = 2.5  # the file while it is checked, and the session's own copy of the weights
_UNKNOWN_MODEL_BYTES = 48 * 2**20
_SHARE = 0.85  # the rest is the server's, and for a large picture that is being decoded
_MOST_VISITORS = 8
_MOST_SPARE = 2


@dataclass(frozen=True)
class Places:
    """`max_visitors` at the same time, `preheat` spare kernels, and a sentence if that is more than fits."""

    max_visitors: int
    preheat: int
    warning: str = ""


def visitor_bytes(model_bytes: int | None) -> int:
    """Memory of one visitor's kernel, for a model file of so many bytes (None: as large as a ResNet-18)."""
    return round(_BASE_BYTES + _PER_MODEL_BYTE * (_UNKNOWN_MODEL_BYTES if model_bytes is None else model_bytes))


def plan_places(model_bytes: int | None, *, max_visitors: int | None = None, preheat: int | None = None,
                free_bytes: int | None = None) -> Places:
    """Fill in what is None from the free memory; what is given stays, with a warning when it is too much.

    Examples
    --------
    >>> plan_places(50_000_000, free_bytes=2 * 2**30)
    Places(max_visitors=5, preheat=1, warning='')
    >>> plan_places(50_000_000, free_bytes=32 * 2**30)
    Places(max_visitors=8, preheat=2, warning='')
    """
    free_bytes = free_memory_bytes() if free_bytes is None else free_bytes
    if free_bytes is None:
        return Places(_MOST_VISITORS if max_visitors is None else max_visitors, 1 if preheat is None else preheat)
    each = visitor_bytes(model_bytes)
    fitting = int(free_bytes * _SHARE // each)
    spare = min(_MOST_SPARE, fitting // 4) if preheat is None else preheat
    visitors = max(1, min(_MOST_VISITORS, fitting - spare)) if max_visitors is None else max_visitors
    if preheat is None and max_visitors is not None:
        spare = max(0, min(_MOST_SPARE, fitting - visitors))
    return Places(visitors, spare, _warning(visitors + spare, fitting, each, free_bytes))


def free_memory_bytes() -> int | None:
    """What a new program may take here: of the machine, or of the container if that is less. None: not known."""
    known = [value for value in (_machine_bytes(), _container_bytes()) if value is not None]
    return min(known, default=None)


def give_back_memory() -> None:
    """Return to the system what loading a model has freed; glibc would keep it. Elsewhere nothing happens."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _warning(wanted: int, fitting: int, each: int, free_bytes: int) -> str:
    if wanted <= fitting:
        return ""
    return (f"{wanted} kernels of about {each / 2**20:.0f} MB were asked for, and {free_bytes / 2**20:.0f} MB of "
            f"memory are free: about {max(fitting, 1)} fit. Lower --max-visitors or --preheat, or make the model "
            "smaller.")


def _machine_bytes() -> int | None:
    text = _text("/proc/meminfo")
    line = next((line for line in text.splitlines() if line.startswith("MemAvailable:")), "")
    return int(line.split()[1]) * 1024 if line else None


def _container_bytes() -> int | None:
    limit, used = _text("/sys/fs/cgroup/memory.max").strip(), _text("/sys/fs/cgroup/memory.current").strip()
    return max(0, int(limit) - int(used)) if limit.isdigit() and used.isdigit() else None


def _text(path: str) -> str:
    try:
        return Path(path).read_text("ascii")
    except (OSError, ValueError):  # another system
        return ""
