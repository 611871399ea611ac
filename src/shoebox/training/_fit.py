"""Learners: fastai's `vision_learner`, made safe without the internet, and a small network for small things."""

from __future__ import annotations

import socket
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.torch_core import set_seed, trainable_params
from fastai.vision import learner as fastai_vision
from torch import nn
from torchvision.models import resnet18

from shoebox.errors import ShoeboxWarning
from shoebox.training._recorder import Recorder

__all__ = ["connect_timeout", "limit_threads", "seed_everything", "small_cnn", "vision_learner", "while_fetching"]

_CONNECT_TIMEOUT_S = 20.0


def vision_learner(dls: DataLoaders, arch: Callable[..., nn.Module] | str = resnet18, *, pretrained: bool = True,
                   metrics: Any = accuracy, cbs: Callback | Sequence[Callback] = (), **kwargs: Any) -> Learner:
    """fastai's `vision_learner` with a `Recorder`, and a way on when pretrained weights cannot be had.

    Parameters
    ----------
    dls : DataLoaders
        From `shoebox.dataloaders`, or any of fastai's for pictures of one label each.
    arch : callable or str
        A torchvision model function, `small_cnn`, or the name of a timm model.
    pretrained : bool
        Start from weights learned on ImageNet. They are read from torch's hub cache or downloaded; when neither
        works, a `ShoeboxWarning` says so in a sentence and training starts from scratch.
    metrics, cbs, **kwargs
        As in fastai. From scratch all layers learn at one rate: there is nothing to freeze.
    """
    callbacks = [*([cbs] if isinstance(cbs, Callback) else cbs)]
    if not any(isinstance(cb, Recorder) for cb in callbacks):
        callbacks.append(Recorder())
    if pretrained and arch is not small_cnn:
        try:
            with connect_timeout():
                return fastai_vision.vision_learner(dls, arch, metrics=metrics, cbs=callbacks, **kwargs)
        except Exception as error:
            if not while_fetching(error):
                raise
            warnings.warn(_sentence(arch, error), ShoeboxWarning, stacklevel=2)
    kwargs.setdefault("splitter", trainable_params)
    return fastai_vision.vision_learner(dls, arch, pretrained=False, metrics=metrics, cbs=callbacks, **kwargs)


def small_cnn(pretrained: bool = False, **_: Any) -> nn.Module:
    """A convolutional network of four blocks (0.2 M parameters): enough for digits, quick without a GPU.

    Has the signature that fastai wants of an architecture; there are no pretrained weights for it.
    """
    widths = (3, 16, 32, 64, 96)
    blocks = [_block(a, b) for a, b in pairwise(widths)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 10))


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch, so that a training can be repeated on the same machine."""
    set_seed(seed, reproducible=True)


def limit_threads(n: int) -> None:
    """Let torch use `n` threads. Small networks are slower on several, and far slower when others share the machine."""
    torch.set_num_threads(n)


def _block(n_in: int, n_out: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(),
                         nn.Conv2d(n_out, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU())


@contextmanager
def connect_timeout() -> Iterator[None]:
    """A network that swallows packets must not hang the notebook."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_CONNECT_TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def while_fetching(error: Exception) -> bool:
    """Whether it came out of getting the weights: no network, a broken download, a damaged or unwritable cache."""
    rooms = {frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)}
    return any(room == "torch.hub" or room.startswith(("huggingface_hub", "timm.models._hub")) for room in rooms)


def _sentence(arch: Callable[..., nn.Module] | str, error: Exception) -> str:
    name = arch if isinstance(arch, str) else arch.__name__
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return (f"The pretrained weights of {name} could not be had ({reason}); training starts from scratch, which "
            "needs more pictures and epochs. With internet access, run this cell again.")
