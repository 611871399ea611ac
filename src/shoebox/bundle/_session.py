"""One ONNX Runtime session from bytes that were checked, and whether it is a bundle's model at all."""

from __future__ import annotations

import os
from typing import Any

import onnxruntime

from shoebox.bundle._external import refuse_external_data
from shoebox.errors import BundleError

__all__ = ["check_signature", "checked_threads", "open_session"]

_INPUT = ("image", "tensor(uint8)", 4)
_OUTPUTS = {"probabilities": 2, "features": 2, "cam": 4}  # and their dimensions
_MAX_THREADS = 4


def checked_threads(threads: int | None) -> int:
    """As many as there are processors, at most 4, unless given."""
    if threads is None:
        return min(_MAX_THREADS, os.cpu_count() or 1)
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise BundleError(f"threads is {threads!r}; give a whole number from 1, or nothing.")
    return threads


def open_session(model: bytes, name: str, threads: int) -> Any:
    """A session for `model`, whose SHA-256 was checked; `name` is how sentences call it."""
    refuse_external_data(model, name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # no slower, and a large picture leaves no memory behind
    options.log_severity_level = 4  # failures come as exceptions; nothing else belongs on a visitor's page
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen classes of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise BundleError(f"{name} cannot be loaded ({reason}). Export the model again, or update "
                          "onnxruntime.") from None


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
