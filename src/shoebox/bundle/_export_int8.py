"""Weights of 8 bits: a smaller, faster file of the same network, offered only when no clear label changes.

The preprocessing stays as it is (its whole numbers must stay whole); convolutions and linear layers are quantised
statically (QDQ), one scale per output channel, with the ranges that training pictures gave.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from shoebox.bundle._classifier import Classifier
from shoebox.bundle._draft import Draft, Pictures
from shoebox.bundle._export_answers import answers_of
from shoebox.bundle._export_network import strip_notes
from shoebox.bundle._folder import MODEL, MODEL_INT8
from shoebox.bundle._manifest import Manifest
from shoebox.bundle._records import Precision
from shoebox.data import open_image
from shoebox.errors import BundleError

__all__ = ["INT8_BOUND", "add_int8", "quantised"]

INT8_BOUND = 0.2  # a label may change only where the two best probabilities are no further apart
_CALIBRATION = 64
_KINDS = ("Conv", "Gemm", "MatMul")


def add_int8(draft: Draft, unmeasured: Manifest, ds: Pictures, files: Sequence[Path],
             full: NDArray[np.float64]) -> Precision | None:
    """Put the smaller model among the bundle's files when it may be offered; else note why it is not.

    Parameters
    ----------
    full : array (N, K)
        What the bundle in full precision says of `files`.
    """
    train = [picture for picture in ds.images if picture.side == "train" and not picture.partly_there]
    if not train:
        draft.notes["int8"] = "Left off: there are no training pictures to set the ranges on."
        return None
    places = np.linspace(0, len(train) - 1, min(_CALIBRATION, len(train))).round().astype(int)
    try:
        small = quantised(draft.files[MODEL], [ds.file(train[place].path) for place in places],
                          unmeasured.preprocessing.least_px)
        classifier = Classifier(unmeasured, small)
        found = answers_of(classifier, files, lambda done: None).probabilities
    except (BundleError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        draft.notes["int8"] = ("Left off: onnxruntime could not make them for this network "
                               f"({' '.join(reason.split())}).")
        return None
    best = np.sort(full, axis=1)
    clear = best[:, -1] - best[:, -2] > INT8_BOUND if full.shape[1] > 1 else np.ones(len(full), bool)
    same = full.argmax(axis=1) == found.argmax(axis=1)
    difference = float(np.abs(full - found).max())
    if (clear & ~same).any():
        draft.notes["int8"] = (f"Left off: {int((clear & ~same).sum())} of {len(files)} pictures got another class "
                               f"though the two best probabilities are over {INT8_BOUND:g} apart.")
        return None
    draft.files[MODEL_INT8] = small
    return Precision(MODEL_INT8, len(files), difference, INT8_BOUND, int(same.sum()))


def quantised(model: bytes, files: Sequence[Path], least_px: int | None = None) -> bytes:
    """`model` with weights of 8 bits, its ranges set on the pictures `files`, decoded as for an answer."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    proto = onnx.load_model_from_string(model)
    del proto.graph.value_info[:]  # of the dynamic batch: the quantiser trips over its symbols
    nodes = [node.name for node in proto.graph.node if node.op_type in _KINDS and not node.name.startswith("pre_")]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, target = Path(folder) / "full.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(proto.SerializeToString())
        quantize_static(source, target, _Pictures(files, least_px), quant_format=QuantFormat.QDQ, per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_quantize=nodes,
                        op_types_to_quantize=list(_KINDS), calibrate_method=CalibrationMethod.MinMax,
                        extra_options={"ActivationSymmetric": False, "WeightSymmetric": True})
        small = onnx.load(target)
    strip_notes(small)
    small.producer_name, small.producer_version = "shoebox", ""
    return bytes(small.SerializeToString())


class _Pictures:
    """What onnxruntime asks for the ranges: one picture after the other, then None."""

    def __init__(self, files: Sequence[Path], least_px: int | None) -> None:
        self._files = iter(files)
        self._least_px = least_px

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        file = next(self._files, None)
        if file is None:
            return None
        return {"image": np.asarray(open_image(file, least_px=self._least_px), np.uint8)[None]}

    def __iter__(self) -> Iterator[Any]:
        return iter(self.get_next, None)

    def __next__(self) -> Any:
        return self.get_next()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Its advice on pre-processing is for other models; failures come as exceptions."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
