"""The catalog's table of sources: who named which picture, and what became of it. Rows are a person's and are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, fields

from shoebox.data._catalog import Catalog
from shoebox.data._provenance import SourceRecord

__all__ = ["SourceTable"]

_COLUMNS = ", ".join(field.name for field in fields(SourceRecord))
_CHANGES = ", ".join(f"{field.name} = excluded.{field.name}" for field in fields(SourceRecord))
_MARKS = ",".join("?" * len(fields(SourceRecord)))


class SourceTable:
    """The rows of one data set. Every method is one transaction; what it wrote is on the disk when it returns."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def add(self, records: Sequence[SourceRecord]) -> None:
        """Write down what was found; an address that stands there already for that class keeps its row."""
        with self._catalog._transaction() as db:
            db.executemany(f"INSERT OR IGNORE INTO sources ({_COLUMNS}) VALUES ({_MARKS})", map(astuple, records))

    def store(self, records: Sequence[SourceRecord]) -> None:
        """Write down what became of addresses."""
        with self._catalog._transaction() as db:
            db.executemany(f"INSERT INTO sources ({_COLUMNS}) VALUES ({_MARKS}) "
                           f"ON CONFLICT (url, label) DO UPDATE SET {_CHANGES}", map(astuple, records))

    def all(self) -> list[SourceRecord]:
        """Every row in the order of finding."""
        with self._catalog._transaction(write=False) as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM sources ORDER BY rowid").fetchall()
        return [SourceRecord(*row) for row in rows]
