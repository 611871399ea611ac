"""Features of frozen, pretrained networks: one forward pass per picture that is new, without augmentation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
import torchvision.models as torchvision_models
from fastai.vision.learner import create_vision_model, model_meta
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from shoebox.data import Dataset, ImageRecord, Progress, kept_features, open_image
from shoebox.errors import ShoeboxWarning, TrainingError
from shoebox.training._fit import connect_timeout, small_cnn, while_fetching

__all__ = ["backbone_features", "backbone_name"]

_SIDE_PX = 224
_BATCH = 32
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
Backbone = Callable[..., nn.Module] | str


def backbone_name(backbone: Backbone) -> str:
    """Under which name its features are kept; another number when the same network says something else."""
    return f"{_name(backbone).replace('/', '-')}-{_SIDE_PX}-{2 if _is_whole(_arch(backbone)) else 1}"


def _name(backbone: Backbone) -> str:
    return backbone if isinstance(backbone, str) else getattr(backbone, "__name__", repr(backbone))


def _arch(backbone: Backbone) -> Backbone:
    """The function behind the name of a torchvision model; anything else as it came."""
    if isinstance(backbone, str) and backbone in torchvision_models.list_models(torchvision_models):
        builder: Callable[..., nn.Module] = torchvision_models.get_model_builder(backbone)
        return builder
    return backbone


def _is_whole(arch: Backbone) -> bool:
    """Whether torchvision made it for classes and fastai does not know where to cut it."""
    return not isinstance(arch, str) and arch not in model_meta and any(
        arch is torchvision_models.get_model_builder(name)
        for name in torchvision_models.list_models(torchvision_models, include=getattr(arch, "__name__", "")))


def backbone_features(ds: Dataset, records: Sequence[ImageRecord], backbone: Backbone, *,
                      progress: Progress | None = None) -> NDArray[np.float32] | None:
    """What the last layer before a network's classifier says of each picture: (N, d), kept beside the catalog.

    Parameters
    ----------
    ds, records : Dataset, sequence of ImageRecord
        Which pictures; they are squashed to 224 x 224 from their thumbnails of at most 256 pixels a side.
    backbone : callable or str
        A torchvision model function, or the name of a torchvision or timm model; with its pretrained weights.
    progress : callable (done, total), optional
        Called while new pictures pass through the network. It may be interrupted; what is done is kept.

    Returns
    -------
    float array (N, d) or None
        None when pretrained weights cannot be had; a `ShoeboxWarning` says so and why.

    Raises
    ------
    TrainingError
        No such model, or one that gives no features of a picture of that size.
    """
    if backbone is small_cnn:
        raise TrainingError("small_cnn has no pretrained weights, so it cannot serve as a backbone. Leave `backbone` "
                            "out, or take one such as 'resnet18'.")
    loaded: list[tuple[nn.Module, Any]] = []

    def compute(places: list[int]) -> NDArray[np.float32]:
        if not loaded:
            loaded.append(_load(backbone))
        images = [open_image(ds.thumbnail(records[place].path, 256)) for place in places]
        return _forward(*loaded[0], images)

    try:
        return kept_features(ds.root, backbone_name(backbone), [r.image_id for r in records], compute,
                             progress=progress)
    except Exception as error:
        if not while_fetching(error):
            raise
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        warnings.warn(f"The pretrained weights of {_name(backbone)} could not be had ({reason}); outlines and colours "
                      "are compared instead. With internet access, rank again.", ShoeboxWarning, stacklevel=3)
        return None


def _load(backbone: Backbone) -> tuple[nn.Module, Any]:
    """The network without its classifier, and the mean and spread of the pixels it was trained on."""
    arch = _arch(backbone)
    with connect_timeout(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            model, numbers = _timm(arch) if isinstance(arch, str) else (_torchvision(arch), _IMAGENET)
            return _with_features(model.eval().requires_grad_(False)), numbers
        except TrainingError:
            raise
        except Exception as error:  # a network may raise anything: it is told whose it is and what to take instead
            if while_fetching(error):
                raise
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise TrainingError(f"The network {_name(backbone)} gives no features of a picture of {_SIDE_PX} x "
                                f"{_SIDE_PX} pixels ({why}). Take another, such as 'resnet18'.") from error


def _torchvision(arch: Callable[..., nn.Module]) -> nn.Module:
    """A network without its classifier: cut where fastai knows or finds a place; torchvision's others stay whole.

    Where fastai looks for a place itself, it looks for the last pooling layer, which some networks do not have
    (`vit_b_16`), have at the beginning (`shufflenet_v2_x1_0`), or have behind layers of another branch
    (`inception_v3`).
    """
    if not _is_whole(arch):
        body: nn.Module = create_vision_model(arch, 2, pretrained=True)[0]
        return body
    model = arch(weights="DEFAULT")
    *_, last = (name for name, layer in model.named_modules() if isinstance(layer, nn.Linear))
    place, _, name = last.rpartition(".")
    setattr(model.get_submodule(place), name, nn.Identity())
    return model


def _with_features(model: nn.Module) -> nn.Module:
    """The network with one row of features per picture; maps of features (N, d, h, w) are averaged."""
    with torch.inference_mode():
        shape = model(torch.zeros(1, 3, _SIDE_PX, _SIDE_PX)).shape
    if len(shape) not in (2, 4):
        raise TrainingError(f"The network gives {tuple(shape)} for one picture; (1, features) or (1, features, height, "
                            "width) was expected. Take another, such as 'resnet18'.")
    return model if len(shape) == 2 else nn.Sequential(model, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _timm(name: str) -> tuple[nn.Module, Any]:
    try:
        import timm
    except ImportError:
        raise TrainingError(f"torchvision has no model {name!r}. For those of timm: pip install timm") from None
    if not timm.is_model(name):
        near = ", ".join(get_close_matches(name, timm.list_models(), n=5, cutoff=0.5))
        raise TrainingError(f"Neither torchvision nor timm has a model {name!r}. Near: {near or 'none'}.")
    model = timm.create_model(name, pretrained=True, num_classes=0)
    about: Any = model.pretrained_cfg
    return model, (about["mean"], about["std"])


def _forward(model: nn.Module, numbers: tuple[Sequence[float], Sequence[float]],
             images: Sequence[Image.Image]) -> NDArray[np.float32]:
    mean, spread = (torch.tensor(values).view(1, 3, 1, 1) for values in numbers)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    rows = []
    for first in range(0, len(images), _BATCH):
        squares = [np.asarray(image.resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BILINEAR))
                   for image in images[first:first + _BATCH]]
        pixels = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            rows.append(model(((pixels - mean) / spread).to(device)).float().cpu().numpy())
    return np.concatenate(rows)
