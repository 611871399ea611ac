"""What a learner does to a picture before its network sees it: read from its validation pipeline, or refused."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, cast

with warnings.catch_warnings():
    # torch 2.14 warns that torch.jit.script is deprecated, which fastai 2.8.12 still uses at import
    warnings.filterwarnings("ignore", category=FutureWarning, message=r".*torch\.jit\.script")
    from fastai.data.transforms import IntToFloatTensor, Normalize, ToTensor
    from fastai.vision.augment import AffineCoordTfm, RandomResizedCrop, Resize

from PIL import Image

from shoebox.bundle._records import MAX_LEAST_PX, Method, PadMode, Preprocessing
from shoebox.errors import BundleError

__all__ = ["read_pipeline"]

_WANTED = ("An export needs exactly one Resize or RandomResizedCrop among the item transforms, then ToTensor, "
           "IntToFloatTensor and at most one Normalize; transforms that run in training only may stand anywhere.")


def read_pipeline(learn: Any) -> Preprocessing:
    """The validation pipeline of `learn.dls` as a record, and at what fraction its opener decodes a JPEG.

    Raises
    ------
    BundleError
        Some step cannot be repeated exactly outside fastai; the sentence names it.
    """
    loader = learn.dls.valid
    items, batches = _steps(loader.after_item), [*_steps(loader.before_batch), *_steps(loader.after_batch)]
    resize = _only(items, (Resize, RandomResizedCrop), "Resize")
    _only(items, (ToTensor,), "ToTensor")
    _only(batches, (IntToFloatTensor,), "IntToFloatTensor")
    normalize = [step for step in batches if type(step) is Normalize]
    if len(normalize) > 1:
        raise BundleError(f"The validation pipeline has Normalize {len(normalize)} times. {_WANTED}")
    _check_order(items, batches)
    mean, std = _statistics(normalize[0]) if normalize else (None, None)
    method, resize_px, size_px, pad_mode = _squeeze(resize) if type(resize) is RandomResizedCrop else _shape(resize)
    return Preprocessing(method, resize_px, size_px, pad_mode, mean, std, _least_px(loader.dataset))


def _least_px(dataset: Any) -> int | None:
    """The number that the learner's own opener has (`shoebox.dataloaders` gives it one); fastai's decodes in full.

    Whether the opener keeps to it is seen by the parity check, which goes from the file to the probability.
    """
    lists: Any = getattr(dataset, "tls", ())
    steps = lists[0].tfms.fs if len(lists) else ()
    found = [value for step in steps if (value := getattr(step, "least_px", None)) is not None]
    return found[0] if found and type(found[0]) is int and 1 <= found[0] <= MAX_LEAST_PX else None


def _steps(pipeline: Any) -> list[Any]:
    """The transforms that do something to a validation picture."""
    known = (Resize, RandomResizedCrop, ToTensor, IntToFloatTensor, Normalize)
    steps = [step for step in pipeline.fs if not _is_idle(step)]
    for step in steps:
        if type(step) not in known:
            size = " with a size of its own" if getattr(step, "size", None) else ""
            raise BundleError(f"The transform {_name(step)}{size} runs on validation pictures and cannot be repeated "
                              f"outside fastai. Leave it out and train again. {_WANTED}")
    return steps


def _is_idle(step: Any) -> bool:
    """True for fastai's empty step, for what runs in training only, and for warps that keep validation as it is."""
    if isinstance(step, AffineCoordTfm):  # has no fixed split_idx: in validation it draws the identity, at `size`
        return bool(step.size is None)
    return bool(step.name == "noop" or step.split_idx == 0)


def _name(step: Any) -> str:
    """Without the settings that fastai shows behind it."""
    return str(step.name).split(" -- ")[0].strip()


def _only(steps: Sequence[Any], kinds: tuple[type, ...], name: str) -> Any:
    found = [step for step in steps if type(step) in kinds]
    if len(found) != 1:
        names = ", ".join(_name(step) for step in steps) or "nothing"
        raise BundleError(f"The validation pipeline was expected to have {name} once; it has {names} there. {_WANTED}")
    return found[0]


def _check_order(items: Sequence[Any], batches: Sequence[Any]) -> None:
    if type(items[-1]) is not ToTensor or type(batches[0]) is not IntToFloatTensor:
        order = " -> ".join(_name(step) for step in (*items, *batches))
        raise BundleError(f"The validation pipeline runs {order}, in an order that cannot be repeated. {_WANTED}")
    if batches[0].div != 255:
        raise BundleError(f"IntToFloatTensor divides by {batches[0].div}; 255 was expected. {_WANTED}")


def _shape(step: Any) -> tuple[Method, tuple[int, int], tuple[int, int], PadMode | None]:
    _check_resampling(step)
    if step.method not in ("squish", "crop", "pad"):
        raise BundleError(f"Resize has the unknown method {step.method!r}. {_WANTED}")
    if step.method == "pad" and step.pad_mode not in ("reflection", "border", "zeros"):
        raise BundleError(f"Resize pads with {step.pad_mode!r}; reflection, border or zeros was expected.")
    size = _pair(step.size)
    return cast(Method, step.method), size, size, step.pad_mode if step.method == "pad" else None


def _squeeze(step: Any) -> tuple[Method, tuple[int, int], tuple[int, int], PadMode | None]:
    """`RandomResizedCrop` in validation: squish to a little more than its size, then cut out the middle."""
    _check_resampling(step)
    width, height = _pair(step.size)
    margin = math.ceil(max(width, height) * step.val_xtra / 8) * 8
    return "squish", (width + margin, height + margin), (width, height), None


def _check_resampling(step: Any) -> None:
    if step.mode != Image.Resampling.BILINEAR:
        raise BundleError(f"{_name(step)} resamples with mode {step.mode!r}; only fastai's default, bilinear, can be "
                          "repeated outside fastai. Leave `resamples` out and train again.")
    if "before_call" in vars(step):
        raise BundleError(f"{_name(step)} has a before_call of its own, which cannot be repeated outside fastai. Leave "
                          "it out and train again.")


def _pair(size: Any) -> tuple[int, int]:
    return int(size[0]), int(size[1])


def _statistics(step: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mean, std = (tuple(map(float, values.flatten().tolist())) for values in (step.mean, step.std))
    if len(mean) != 3 or len(std) != 3 or not all(map(math.isfinite, mean + std)) or min(std) <= 0:
        raise BundleError(f"Normalize has mean {mean} and std {std}; three numbers each were expected, for red, green "
                          "and blue. Pictures must be in colour.")
    return mean, std
