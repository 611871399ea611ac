"""One ONNX Runtime session from bytes that were checked, and whether it is a bundle's model at all.

Weights are not shared between processes: ONNX Runtime orders them anew for the processor when a session is made, so
each process has its own (of three with a ResNet-18, each held 130 of its 170 MB alone). One process, many threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shoebox.bundle._external import refuse_external_data
from shoebox.bundle._sealed import Sealed
from shoebox.bundle._turns import processors
from shoebox.errors import BundleError

__all__ = ["check_signature", "checked_threads", "open_session"]

_INPUT = ("image", "tensor(uint8)", 4)
_OUTPUTS = {"probabilities": 2, "features": 2, "cam": 4}  # and their dimensions
_MAX_THREADS = 4
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def checked_threads(threads: int | None) -> int:
    """As many as there are processors, at most 4, unless given."""
    if threads is None:
        return min(_MAX_THREADS, processors())
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise BundleError(f"threads is {threads!r}; give a whole number from 1, or nothing.")
    return threads


def open_session(model: Sealed, name: str, threads: int) -> Any:
    """A session for `model`, whose SHA-256 was checked and which is closed; `name` is how sentences call it."""
    with model.view() as view:
        refuse_external_data(view, name)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait for each other spin while a picture is under way, for a moment, and sleep as soon as it is
    # answered: to be woken at every layer took a visitor's picture half as long again after a pause, and to spin longer
    # would keep other visitors' kernels waiting, which have work to do meanwhile.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.intra_op.spin_duration_us", "50")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.enable_cpu_mem_arena = False  # no slower, and a large picture leaves no memory behind
    options.log_severity_level = 4  # failures come as exceptions; nothing else belongs on a visitor's page
    try:
        with _large_blocks_apart():
            session = onnxruntime.InferenceSession(model.source, options, providers=["CPUExecutionProvider"])
        session._model_bytes = None  # Python's side keeps a copy for starting anew on another device
        return session
    except Exception as error:  # onnxruntime raises a dozen classes of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise BundleError(f"{name} cannot be loaded ({reason}). Export the model again, or update "
                          "onnxruntime.") from None
    finally:
        model.close()


@contextmanager
def _large_blocks_apart() -> Iterator[None]:
    """Weights go through three copies while a session is made; have glibc give each back as soon as it is free.

    Left to itself it takes freed blocks of up to 32 MB for a habit and keeps the next ones in one heap, from which
    nothing returns: 60 MB more for a ResNet-18. Afterwards its limits are at the top of that habit, for speed.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # no glibc here
        yield
        return
    mallopt(_M_MMAP_THRESHOLD, 2**18)
    try:
        yield
    finally:
        mallopt(_M_MMAP_THRESHOLD, 2**25)
        mallopt(_M_TRIM_THRESHOLD, 2**26)


def check_signature(session: Any, name: str, n_classes: int) -> tuple[str, ...]:
    """The names of the outputs; `BundleError` for other inputs and outputs than a bundle's model has."""
    inputs = [(item.name, item.type, len(item.shape)) for item in session.get_inputs()]
    outputs = {item.name: item for item in session.get_outputs()}
    known = all(item.type == "tensor(float)" and _OUTPUTS.get(key) == len(item.shape) for key, item in outputs.items())
    if inputs != [_INPUT] or not known or "probabilities" not in outputs:
        found = {key: f"{item.type} {item.shape}" for key, item in outputs.items()}
        raise BundleError(f"{name} takes {inputs} and gives {found}; a bundle's model takes 'image' as uint8 "
                          "(N, H, W, 3) and gives 'probabilities'. Export the model with shoebox.export.")
    for key in ("probabilities", "cam"):
        if key in outputs and outputs[key].shape[1] != n_classes:
            raise BundleError(f"{name} gives {key} of shape {outputs[key].shape}, but the manifest names "
                              f"{n_classes} classes. Export the model again.")
    return tuple(outputs)
