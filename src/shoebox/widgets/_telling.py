"""Decisions, moves and comparisons as the cleaner's page gets them."""

from __future__ import annotations

from typing import Any

from shoebox.data import ApplyResult, Decision

__all__ = ["compared", "ended", "told"]


def told(decision: Decision) -> dict[str, Any]:
    """Who decided what about a picture, and when."""
    return {"path": decision.path, "kind": decision.kind, "label": decision.label, "who": decision.who,
            "at": decision.at, "seq": decision.seq}


def ended(result: ApplyResult, revision: int) -> dict[str, Any]:
    """How an apply or undo went, and which `revision` of the page shows it."""
    return {"sentence": result.summary().splitlines()[0], "moved": result.moved, "undone": result.undone,
            "failed": [skipped.sentence for skipped in result.failed], "revision": revision}


def compared(comparison: Any) -> dict[str, Any]:
    """What `shoebox.compare` found, as plain numbers with its sentence."""
    shares = {name: [float(getattr(comparison, name)), *map(float, getattr(comparison, f"{name}_interval"))]
              for name in ("before", "after")}
    return {"n": int(comparison.n), "fixed": int(comparison.fixed), "broken": int(comparison.broken),
            "sentence": str(comparison), **shares}
