"""Decisions as CSV or JSON Lines, so that a review can be done by two people and merged."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from shoebox.data._decisions import Decision
from shoebox.data._records import ImageRecord, Skipped
from shoebox.errors import DatasetError
from shoebox.types import DecisionKind

__all__ = ["FIELDS", "MergeReport", "read_decisions", "sort_out", "write_decisions"]

FIELDS = ("path", "image_id", "given_label", "kind", "label", "who", "at", "reason")
_KINDS = get_args(DecisionKind)


@dataclass(frozen=True)
class MergeReport:
    """How an import went: `conflicts` are pictures that two people decided differently; theirs were not taken."""

    added: int
    same: int
    conflicts: tuple[Skipped, ...]
    unknown: tuple[Skipped, ...]

    def __str__(self) -> str:
        lines = [f"{self.added} decisions taken in, {self.same} were the same already, {len(self.conflicts)} differ, "
                 f"{len(self.unknown)} belong to no picture here."]
        return "\n".join(lines + [f"  {item.sentence}" for item in (*self.conflicts, *self.unknown)])

    __repr__ = __str__


def write_decisions(decisions: Iterable[Decision], images: Mapping[str, ImageRecord], suffix: str) -> bytes:
    """The decisions as text in UTF-8: CSV with a header for `.csv`, an object a line for `.jsonl`."""
    rows = [_row(decision, images.get(decision.path)) for decision in decisions]
    if suffix == ".jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    if suffix != ".csv":
        raise DatasetError(f"Decisions are written as .csv or .jsonl; {suffix!r} came. Choose one of the two.")
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, FIELDS)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def read_decisions(file: Path) -> list[dict[str, str]]:
    """Rows of what `write_decisions` wrote; `DatasetError` with the line when something is missing."""
    try:
        text = file.read_text("utf-8-sig")
        if file.suffix == ".jsonl":
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetError(f"{file.name!r} cannot be read as decisions ({error}). Export them again.") from None
    for number, row in enumerate(rows, start=1):
        missing = [name for name in ("path", "image_id", "kind") if not isinstance(row, dict) or not row.get(name)]
        if not missing and (row["kind"] not in _KINDS or bool(row.get("label")) != (row["kind"] == "relabel")):
            raise DatasetError(f"Row {number} of {file.name!r} has kind {row['kind']!r}, label {row.get('label')!r}; "
                               f"one of {', '.join(_KINDS)} was expected, with a label for relabel only.")
        if missing:
            raise DatasetError(f"Row {number} of {file.name!r} has no {', '.join(missing)}; a table with the columns "
                               f"{', '.join(FIELDS)} was expected.")
    return [{name: str(row.get(name) or "") for name in FIELDS} for row in rows]


def sort_out(rows: Iterable[Mapping[str, str]], images: Mapping[str, ImageRecord], standing: Mapping[str, Decision],
             ) -> tuple[list[tuple[str, Mapping[str, str]]], MergeReport]:
    """Which rows to take, as (path here, row): pictures are found by content, wherever they stand now."""
    by_id: dict[str, list[str]] = {}
    for record in images.values():
        by_id.setdefault(record.image_id, []).append(record.path)
    take: list[tuple[str, Mapping[str, str]]] = []
    opinions: dict[str, tuple[str, str, str]] = {
        path: (mine.kind, mine.label or "", mine.who or "here") for path, mine in standing.items()}
    same = 0
    conflicts: list[Skipped] = []
    unknown: list[Skipped] = []
    for row in rows:
        paths = by_id.get(row["image_id"], [])
        if not paths:
            unknown.append(Skipped(row["path"], "unknown", f"{row['path']!r}: no picture here has these bytes."))
            continue
        path = row["path"] if row["path"] in paths else paths[0]
        theirs = (row["kind"], row["label"], row["who"] or "the file")
        mine = opinions.setdefault(path, theirs)
        if mine is theirs:
            take.append((path, row))
        elif mine[:2] == theirs[:2]:
            same += 1
        else:
            conflicts.append(Skipped(path, "conflict", f"{path!r}: {_says(mine)}, {_says(theirs)}."))
    return take, MergeReport(len(take), same, tuple(conflicts), tuple(unknown))


def _says(opinion: tuple[str, str, str]) -> str:
    kind, label, who = opinion
    return f"{who} says {kind} {label}".rstrip()


def _row(decision: Decision, record: ImageRecord | None) -> dict[str, str]:
    return {"path": decision.path, "image_id": decision.image_id, "given_label": record.label if record else "",
            "kind": decision.kind, "label": decision.label or "", "who": decision.who, "at": decision.at,
            "reason": decision.reason}
