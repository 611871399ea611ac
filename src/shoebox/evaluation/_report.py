"""`Evaluation`: a finished model's answers on the validation pictures, to look at from several sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shoebox.data import Predictions
from shoebox.data._figures import new_figure
from shoebox.errors import PredictionsError
from shoebox.evaluation._metrics import accuracy_interval, confusion_matrix, most_confused

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Evaluation"]

_LONGEST = 24


@dataclass(frozen=True)
class Evaluation:
    """Held-out predictions with ways to look at them. `thumbnail` gives the JPEG bytes of a path, for drawing."""

    predictions: Predictions
    thumbnail: Callable[[str], bytes]

    def __post_init__(self) -> None:
        if not len(self.predictions):
            raise PredictionsError("There is no validation picture to evaluate on. Add pictures.")

    @property
    def accuracy(self) -> float:
        """Share of right answers on the validation pictures, 0 to 1."""
        return float((self._predicted == self.predictions.labels).mean())

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts (K, K): row = given label, column = predicted label."""
        return confusion_matrix(self.predictions.labels, self._predicted, len(self.predictions.classes))

    def most_confused(self, min_count: int = 1) -> list[tuple[str, str, int]]:
        """Pairs (given, predicted, count), most frequent first."""
        return most_confused(self.confusion, self.predictions.classes, min_count=min_count)

    def top_losses(self, n: int = 9) -> list[tuple[str, str, str, float]]:
        """The `n` pictures with the highest loss: (path, given, predicted, probability of the given label)."""
        p = self.predictions
        given = p.pred_probs[np.arange(len(p)), p.labels]
        order = np.argsort(given, kind="stable")[:n]
        return [(p.paths[i], p.classes[p.labels[i]], p.classes[self._predicted[i]], float(given[i])) for i in order]

    def __str__(self) -> str:
        n = len(self.predictions)
        low, high = accuracy_interval(int(self.confusion.trace()), n)
        return f"Accuracy {self.accuracy:.1%} on {n} validation pictures (95 % interval {low:.1%} to {high:.1%})."

    __repr__ = __str__

    def plot_confusion(self) -> Figure:
        """The confusion matrix as a figure."""
        names = [_plain(name) for name in self.predictions.classes]
        side = 2.5 + 0.4 * len(names) + 0.09 * max(map(len, names))
        figure = new_figure(side, side)
        axes = figure.subplots()
        axes.imshow(self.confusion, cmap="Blues")
        axes.set_xticks(range(len(names)), names, rotation=90, parse_math=False)
        axes.set_yticks(range(len(names)), names, parse_math=False)
        axes.set(xlabel="predicted", ylabel="given")
        for (row, column), count in np.ndenumerate(self.confusion):
            if count:
                axes.text(column, row, str(count), ha="center", va="center",
                          color="white" if count > self.confusion.max() / 2 else "black")
        return figure

    def plot_top_losses(self, n: int = 9) -> Figure:
        """The pictures of `top_losses` as a figure."""
        import io

        from matplotlib.image import imread

        losses = self.top_losses(max(1, n))
        columns = min(len(losses), 5)
        rows = -(-len(losses) // columns)
        figure = new_figure(2.2 * columns, 2.6 * rows)
        for axes, item in zip(np.atleast_1d(figure.subplots(rows, columns)).flat, losses, strict=False):
            path, given, predicted, probability = item
            axes.imshow(imread(io.BytesIO(self.thumbnail(path)), format="jpeg"))
            axes.set_title(f"{_plain(given)} → {_plain(predicted)}\n{probability:.1%} for the label", fontsize=9,
                           parse_math=False)
        for axes in figure.axes:
            axes.axis("off")
        return figure

    @property
    def _predicted(self) -> NDArray[np.int64]:
        return np.asarray(self.predictions.pred_probs.argmax(axis=1), np.int64)


def _plain(name: str) -> str:
    """A class name short enough for a plot; its characters are text, never formulas."""
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
