"""From decisions to moved files: the plan, carrying it out, finishing after a crash, and taking it back.

An apply is written into the catalog before the first file moves. Whoever opens the data set next finds an
unfinished one and finishes it; every move may be repeated without harm. Nothing is deleted: removed pictures
go to `.shoebox/trash`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shoebox.data._catalog import Catalog
from shoebox.data._decisions import Decision
from shoebox.data._files import free_name, move_file, name_key, safe_join, sha256_file
from shoebox.data._records import ApplyRecord, ImageRecord, Move, Skipped
from shoebox.data._scan import Progress
from shoebox.errors import DatasetError

__all__ = ["TRASH", "ApplyResult", "Plan", "make_plan", "run_apply"]

TRASH = ".shoebox/trash"


@dataclass(frozen=True)
class Plan:
    """What an apply would do. `stale` are decisions that no longer fit their file, and are left alone."""

    moves: tuple[Move, ...]
    stale: tuple[Skipped, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.moves)

    def summary(self) -> str:
        """The plan in a few lines: counts per kind and per class."""
        removed = sum(move.kind == "remove" for move in self.moves)
        changes = Counter((move.record.label, move.new_label) for move in self.moves if move.new_label is not None)
        lines = [f"{len(self.moves) - removed} change class, {removed} go to the trash."]
        lines += [f"  {old} → {new}: {count}" for (old, new), count in sorted(changes.items())]
        lines += [f"  left alone: {item.sentence}" for item in self.stale]
        return "\n".join(lines)

    __str__ = __repr__ = summary


@dataclass(frozen=True)
class ApplyResult:
    """How an apply or its undo went: `failed` names every file that stayed where it was, and why."""

    moved: int
    failed: tuple[Skipped, ...] = ()
    undone: bool = False

    def summary(self) -> str:
        """The result in a sentence, with one more for each file that stayed."""
        verb = "moved back" if self.undone else "moved"
        lines = [f"{self.moved} {'picture' if self.moved == 1 else 'pictures'} {verb}, {len(self.failed)} left alone."]
        return "\n".join(lines + [f"  {item.sentence}" for item in self.failed])

    __str__ = __repr__ = summary


def make_plan(root: Path, images: Mapping[str, ImageRecord], decisions: Mapping[str, Decision]) -> Plan:
    """Work out every move without touching a file: targets are free on disk and among each other."""
    moves: list[Move] = []
    stale: list[Skipped] = []
    taken: dict[str, set[str]] = {}
    folders = {(_top(record), record.label): _class_folder(record) for record in images.values()}
    for path, decision in sorted(decisions.items()):
        record = images.get(path)
        if decision.kind not in ("relabel", "remove"):
            continue
        if record is None or record.image_id != decision.image_id:
            stale.append(_stale(path, record))
        elif decision.kind == "remove":
            moves.append(_move(root, record, decision, f"{TRASH}/{path.rpartition('/')[0]}", taken))
        elif decision.label is not None and decision.label != record.label:
            folder = folders.get((_top(record), decision.label), f"{_top(record)}{decision.label}")
            moves.append(_move(root, record, decision, folder, taken))
    return Plan(tuple(moves), tuple(stale))


def run_apply(root: Path, catalog: Catalog, apply: ApplyRecord, *, at: str,
              progress: Progress | None = None) -> ApplyResult:
    """Carry out an apply (state `todo`) or take one back (`undoing`), and write down how it went.

    Safe to call again after a crash at any instant: what was done is left alone, the rest is done.
    """
    back = apply.state == "undoing"
    done: list[Move] = []
    failed: list[Skipped] = []
    for number, move in enumerate(apply.moves[::-1] if back else apply.moves, start=1):
        source, target = (move.target, move.path) if back else (move.path, move.target)
        fault = _run(root, source, target, move.record.image_id)
        if fault is None:
            done.append(move)
        else:
            failed.append(Skipped(source, "not_moved", f"{source!r} was not moved: {fault}"))
        if progress:
            progress(number, len(apply.moves))
    moved = {move.target for move in done}
    left = [move for move in apply.moves if move.target not in moved and (root / move.target).exists()]
    catalog.finish(apply, "undone" if back else "done", done, _rows(root, done, back=back), left=left, at=at)
    return ApplyResult(len(done), tuple(failed), undone=back)


def _move(root: Path, record: ImageRecord, decision: Decision, folder: str, taken: dict[str, set[str]]) -> Move:
    names = taken.setdefault(name_key(folder), set())
    name = free_name(safe_join(root, folder), record.path.rpartition("/")[2], names)
    names.add(name_key(name))
    label = decision.label if decision.kind == "relabel" else None
    return Move(record, f"{folder}/{name}", label, decision.seq)


def _top(record: ImageRecord) -> str:
    """The train/, valid/ or test/ folder that a picture stays in, if the data set is laid out so."""
    return record.path.split("/")[0] + "/" if record.fixed_side else ""


def _class_folder(record: ImageRecord) -> str:
    return _top(record) + record.path.removeprefix(_top(record)).split("/")[0]


def _stale(path: str, record: ImageRecord | None) -> Skipped:
    why = "the file is no longer there" if record is None else "the file has changed since you looked at it"
    return Skipped(path, "stale", f"{path!r}: {why}. Look at it again and decide anew.")


def _run(root: Path, source: str, target: str, image_id: str) -> str | None:
    """Move one file; what stood in the way as a sentence, or None."""
    try:
        old, new = safe_join(root, source), safe_join(root, target)
        if old.exists() and sha256_file(old) != image_id:
            return "it has changed since the decision. Look at it again."
        if not old.exists() and new.exists() and sha256_file(new) != image_id:
            return f"it is gone, and another file has its new name {target!r}."
        move_file(old, new)
    except FileExistsError:
        return f"another file has its new name {target!r}. Rename that one and try again."
    except FileNotFoundError:
        return "it is no longer there."
    except (OSError, DatasetError) as error:
        return f"{error}."
    return None


def _rows(root: Path, done: Sequence[Move], *, back: bool) -> list[ImageRecord]:
    """The catalog rows of moved pictures at their new places; those in the trash have none."""
    rows = []
    for move in done:
        path, label = (move.path, move.record.label) if back else (move.target, move.new_label)
        if label is not None and move.record.format:  # a file from quarantine is for the next scan to judge
            rows.append(replace(move.record, path=path, label=label, mtime_ns=(root / path).stat().st_mtime_ns))
    return rows
