"""Figures for notebooks."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["new_figure"]


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty matplotlib figure that a notebook draws when it is a cell's last expression; sizes in inches.

    One made without pyplot is drawn only after something has chosen a backend, else its `repr` stands there; and one
    made with pyplot stays in memory, and is drawn twice.
    """
    figure: Figure = _kind()(figsize=(width_in, height_in), layout="constrained")
    return figure


@cache
def _kind() -> Any:
    from matplotlib.figure import Figure

    class NotebookFigure(Figure):
        def _repr_png_(self) -> bytes:
            import io

            out = io.BytesIO()
            self.savefig(out, format="png", bbox_inches="tight")
            return out.getvalue()

    return NotebookFigure
