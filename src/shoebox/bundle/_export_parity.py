"""Does the bundle say what its learner says? Asked of both, picture by picture, before anything is written."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

with warnings.catch_warnings():
    # torch 2.14 warns that torch.jit.script is deprecated, which fastai 2.8.12 still uses at import
    warnings.filterwarnings("ignore", category=FutureWarning, message=r".*torch\.jit\.script")
    from fastai.learner import CastToTensor, Learner, TrainEvalCallback

from shoebox.bundle._draft import Picture
from shoebox.bundle._records import Parity
from shoebox.errors import BundleError

__all__ = ["Reference", "compare", "pick"]

_NAMED = 5

Side = Literal["valid", "any"]


def pick(pictures: Sequence[Picture], at_most: int,
         seen: Collection[str] | None = frozenset()) -> tuple[list[Picture], Side]:
    """The validation pictures whose paths are not among the `seen` ones; never sealed ones.

    When there are none, or when it is not known which ones the learner has seen (None), those of training and
    validation, as the side `any`. Evenly spread over the list when there are more than `at_most`.
    """
    side: Side = "valid"
    chosen = [p for p in pictures if p.side == "valid" and seen is not None and p.path not in seen]
    if not chosen:
        side, chosen = "any", [picture for picture in pictures if picture.side != "test"]
    if not chosen:
        raise BundleError("The data set has no validation or training pictures, so there is nothing to check the "
                          "export on. Add pictures.")
    if len(chosen) > at_most:
        chosen = [chosen[i] for i in np.linspace(0, len(chosen) - 1, at_most).round().astype(int)]
    return chosen, side


class Reference:
    """The learner's own answers, from copies on the CPU: its mode, device, callbacks and loaders stay as they are.

    Parameters
    ----------
    learn : fastai Learner
        Its network, loss function and validation pipeline are copied.
    files : list of Path
        The pictures to be asked about.
    """

    def __init__(self, learn: Any, files: Sequence[Path]) -> None:
        self.network: nn.Module = copy.deepcopy(learn.model).cpu().float().eval().requires_grad_(False)
        self._activation = _softmax_of(learn.loss_func)
        self._loader = learn.dls.test_dl(list(files), num_workers=0, bs=min(32, len(files)),
                                         after_batch=copy.deepcopy(learn.dls.valid.after_batch))
        self._loader.to(torch.device("cpu"))
        self._learner = Learner(learn.dls, self.network, loss_func=learn.loss_func, default_cbs=False,
                                cbs=[TrainEvalCallback(), CastToTensor()])

    def example(self) -> Tensor:
        """Two pictures as they reach the network, float32 (2, C, h, w)."""
        first = self._loader.one_batch()[0][:1]
        return torch.cat([Tensor(first), Tensor(first)]).as_subclass(Tensor).float()

    def probabilities(self, on_batch: Callable[[int], None]) -> NDArray[np.float64]:
        """(N, K) of the network's answers, without augmentation; `on_batch` hears how many pictures are done."""
        raw, _ = self._learner.get_preds(dl=_Told(self._loader, on_batch), act=self._activation, reorder=False)
        return np.asarray(raw, np.float64)


class _Told:
    """A loader that tells how far it is."""

    def __init__(self, loader: Any, on_batch: Callable[[int], None]) -> None:
        self._loader = loader
        self._on_batch = on_batch

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        done = 0
        for batch in self._loader:
            yield batch
            done += len(batch[0])
            self._on_batch(done)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def _softmax_of(loss: Any) -> Callable[[Tensor], Tensor]:
    """The activation that belongs to the loss; refused when it is no softmax, for then classes do not exclude."""
    def softmax(logits: Tensor) -> Tensor:
        return torch.softmax(logits, dim=1)

    logits = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 3.0]])
    own = getattr(loss, "activation", None)
    binary = isinstance(loss, (nn.BCELoss, nn.BCEWithLogitsLoss, nn.MultiLabelSoftMarginLoss))
    if binary or (own is not None and not torch.allclose(torch.as_tensor(own(logits)).float(), softmax(logits))):
        raise BundleError(f"The loss {type(loss).__name__} is not for one label per picture: its probabilities do not "
                          "add up to 1. Train with cross entropy (fastai's default for CategoryBlock).")
    return softmax


def compare(expected: NDArray[np.float64], found: NDArray[np.float64], paths: Sequence[str], *, bound: float,
            side: Side) -> Parity:
    """Measure, or raise `BundleError` that names up to five pictures and the largest difference.

    Parameters
    ----------
    expected, found : array (N, K)
        Probabilities of the learner and of the bundle.
    paths : sequence of str
        The pictures' names, (N,).
    bound : float
        Largest allowed difference of a probability. A label may differ only where the learner's two best
        probabilities are no further apart than this.
    side : str
        For the record.
    """
    difference = np.where(np.isfinite(expected) & np.isfinite(found), np.abs(expected - found), np.inf).max(axis=1)
    differs = expected.argmax(axis=1) != found.argmax(axis=1)
    best = np.sort(expected, axis=1)
    margin = best[:, -1] - best[:, -2] if best.shape[1] > 1 else np.ones(len(best))
    wrong = (difference > bound) | (differs & (margin > bound))
    if wrong.any():
        worst = sorted(map(int, np.flatnonzero(wrong)), key=lambda i: -difference[i])[:_NAMED]
        named = ", ".join(f"{paths[i]!r} ({difference[i]:.2g})" for i in worst)
        raise BundleError(
            f"The exported model does not repeat its learner: probabilities differ by up to {difference.max():.2g} on "
            f"{int(wrong.sum())} of {len(paths)} pictures; {bound:g} is allowed. Nothing was written. The worst: "
            f"{named}. Look for a transform or callback that changes pictures or answers outside the learner's "
            "validation pipeline.")
    return Parity(len(paths), float(difference.max()), bound, int((~differs).sum()), side)
