"""Decisions and comparisons as the cleaner's page gets them."""

from __future__ import annotations

from typing import Any

from shoebox.data import Decision

__all__ = ["compared", "told"]


def told(decision: Decision) -> dict[str, Any]:
    """Who decided what about a picture, and when."""
    return {"path": decision.path, "kind": decision.kind, "label": decision.label, "who": decision.who,
            "at": decision.at, "seq": decision.seq}


def compared(comparison: Any) -> dict[str, Any]:
    """What `shoebox.compare` found, as plain numbers with its sentence."""
    shares = {name: [float(getattr(comparison, name)), *map(float, getattr(comparison, f"{name}_interval"))]
              for name in ("before", "after")}
    return {"n": int(comparison.n), "fixed": int(comparison.fixed), "broken": int(comparison.broken),
            "sentence": str(comparison), **shares}
