"""Decisions as CSV or JSON Lines, so that a review can be done by two people and merged."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shoebox.data._catalog import ImageRecord, Skipped
from shoebox.data._decisions import Decision
from shoebox.errors import DatasetError

__all__ = ["FIELDS", "MergeReport", "read_decisions", "sort_out", "write_decisions"]

FIELDS = ("path", "image_id", "given_label", "kind", "label", "who", "at", "reason")


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
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetError(f"{file.name!r} cannot be read as decisions ({error}). Export them again.") from None
    for number, row in enumerate(rows, start=1):
        missing = [name for name in ("path", "image_id", "kind") if not isinstance(row, dict) or not row.get(name)]
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
    same = 0
    conflicts: list[Skipped] = []
    unknown: list[Skipped] = []
    for row in rows:
        paths = by_id.get(row["image_id"], [])
        if not paths:
            unknown.append(Skipped(row["path"], "unknown", f"{row['path']!r}: no picture here has these bytes."))
            continue
        path = row["path"] if row["path"] in paths else paths[0]
        mine = standing.get(path)
        if mine is None:
            take.append((path, row))
        elif (mine.kind, mine.label or "") == (row["kind"], row["label"]):
            same += 1
        else:
            conflicts.append(Skipped(path, "conflict", f"{path!r}: {mine.who or 'here'} says {_words(mine)}, "
                                     f"{row['who'] or 'the file'} says {row['kind']} {row['label']}".rstrip() + "."))
    return take, MergeReport(len(take), same, tuple(conflicts), tuple(unknown))


def _words(decision: Decision) -> str:
    return f"{decision.kind} {decision.label}" if decision.label else decision.kind


def _row(decision: Decision, record: ImageRecord | None) -> dict[str, str]:
    return {"path": decision.path, "image_id": decision.image_id, "given_label": record.label if record else "",
            "kind": decision.kind, "label": decision.label or "", "who": decision.who, "at": decision.at,
            "reason": decision.reason}
