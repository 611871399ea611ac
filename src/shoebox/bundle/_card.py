"""`MODEL_CARD.md`: what a person should know before trusting the model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from shoebox.bundle._describe import fraction_in_words, novelty_in_words, why_unmeasured
from shoebox.bundle._intervals import wilson_interval
from shoebox.bundle._manifest import Manifest

__all__ = ["model_card", "plain"]

_MAX_TABLE = 20  # classes; a larger confusion is told in pairs
_MAX_PAIRS = 20
_SHAPING = {"squish": "squeezed to", "crop": "the middle of it, made", "pad": "with a margin, made"}


def model_card(manifest: Manifest, *, confusion: Sequence[Sequence[int]] | None = None, thanks: str = "",
               fractions: str | None = None, robustness: Iterable[Mapping[str, object]] = ()) -> str:
    """The card as Markdown. Names of classes are data: whatever they hold is shown, never rendered.

    Parameters
    ----------
    manifest : Manifest
        Of the bundle; its record of files is not looked at.
    confusion : (K, K) counts, optional
        Of the validation pictures: row = given label, column = answer.
    thanks : str
        Whose pictures it learned from: Markdown of its own, already safe to show.
    fractions : str, optional
        What decoding large JPEGs at a fraction changes, as measured: a clause without its full stop.
    robustness : iterable of mappings
        Rows of a table, with the same keys each.
    """
    counts = manifest.dataset.counts
    rows = [f"| {plain(label)} | {counts.get(label, 0)} |" for label in manifest.classes]
    parts = [
        f"# {plain(manifest.name)}", "",
        f"An image classifier made with Shoebox on {manifest.created[:10]}. It gives every picture one of "
        f"{len(manifest.classes)} classes.", "", "## Classes", "", "| class | pictures |", "|---|---:|", *rows, "",
        f"Data set fingerprint: `{manifest.fingerprint}`", "",
        "## How good it is", "", _accuracy(manifest), "", *_per_class(manifest.classes, confusion),
        *_robustness(list(robustness)),
        "## How sure it is", "", *_doubts(manifest), "",
        "## How faithful the export is", "", *_faithful(manifest), "",
        "## How it sees a picture", "", _shaping(manifest), "", *_decoding(manifest, fractions),
        "## Limits", "", *_limits(manifest), "",
        *([thanks.strip(), ""] if thanks.strip() else []),
        "## Made with", "", *[f"- {plain(library)} {plain(v)}" for library, v in manifest.versions.items()], "",
    ]
    return "\n".join(parts)


def plain(text: str) -> str:
    """`text` such that Markdown shows it as it is: no markup, no HTML, no new column or line."""
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~&:@^$=\"'])", r"\\\1", " ".join(text.split()))


def _accuracy(manifest: Manifest) -> str:
    accuracy, interval = manifest.accuracy, manifest.accuracy_interval
    if accuracy is None or interval is None:
        return f"Not measured: {why_unmeasured(manifest)}"
    n = int(manifest.metrics["n_images"])
    return (f"Right for {round(accuracy * n)} of {n} validation pictures that it had not learned from: {accuracy:.1%} "
            f"(95 % interval {interval[0]:.1%} to {interval[1]:.1%}).")


def _per_class(classes: Sequence[str], confusion: Sequence[Sequence[int]] | None) -> list[str]:
    if confusion is None:
        return []
    lines = ["Found: of the pictures of a class, the share it named so. Right: of the pictures it named so, the share "
             "that were. In brackets the 95 % interval.", "", "| class | found | right |", "|---|---|---|"]
    for place, label in enumerate(classes):
        given, said = sum(confusion[place]), sum(row[place] for row in confusion)
        hits = confusion[place][place]
        lines.append(f"| {plain(label)} | {_share(hits, given)} | {_share(hits, said)} |")
    return [*lines, "", *_confusion(classes, confusion)]


def _share(hits: int, n: int) -> str:
    if n == 0:
        return "no pictures"
    low, high = wilson_interval(hits, n)
    return f"{hits} of {n}, {hits / n:.0%} ({low:.0%} to {high:.0%})"


def _confusion(classes: Sequence[str], confusion: Sequence[Sequence[int]]) -> list[str]:
    if len(classes) <= _MAX_TABLE:
        head = [f"| given, then answered | {' | '.join(map(plain, classes))} |", "|---" * (len(classes) + 1) + "|"]
        rows = [f"| {plain(label)} | {' | '.join(str(n) for n in row)} |"
                for label, row in zip(classes, confusion, strict=True)]
        return ["### Confusion", "", *head, *rows, ""]
    pairs = [(n, classes[i], classes[j]) for i, row in enumerate(confusion) for j, n in enumerate(row) if n and i != j]
    named = sorted(pairs, key=lambda pair: -pair[0])[:_MAX_PAIRS]
    rows = [f"| {plain(given)} | {plain(said)} | {n} |" for n, given, said in named]
    return ["### Most confused", "", "| given | answered | pictures |", "|---|---|---:|", *rows, ""]


def _robustness(rows: list[Mapping[str, object]]) -> list[str]:
    if not rows:
        return []
    names = list(rows[0])
    lines = [f"| {' | '.join(plain(str(row.get(name, ''))) for name in names)} |" for row in rows]
    return ["## How much it bears", "", f"| {' | '.join(map(plain, names))} |", "|---" * len(names) + "|", *lines, ""]


def _doubts(manifest: Manifest) -> list[str]:
    words = novelty_in_words(manifest)
    sets, fitted = manifest.label_sets, manifest.calibration
    return [
        f"- None of these: {words[0].lower()}{words[1:].rstrip('.')}.",
        f"- Label sets: off. {why_unmeasured(manifest)}" if sets is None else
        f"- Label sets: they hold the right class for {sets.coverage:.0%} of pictures like the {sets.n} validation "
        "pictures that they were set on. An empty one means: not sure it is any of these.",
        f"- Probabilities: calibrated by a temperature of {manifest.temperature:.2f}, set on {fitted.n} validation "
        "pictures." if fitted else f"- Probabilities: the network's own. "
        f"{manifest.notes.get('calibration', 'They were not calibrated.')}",
    ]


def _faithful(manifest: Manifest) -> list[str]:
    parity, reduced = manifest.parity, manifest.int8
    lines = [f"On {parity.n} {'validation ' if parity.side == 'valid' else ''}pictures the exported model and the "
             f"trained one differed by at most {parity.max_difference:.2g} in any probability ({parity.bound:g} "
             f"allowed) and gave the same class for {parity.same_labels}."]
    if reduced is not None:
        lines += ["", f"With weights of 8 bits (`{reduced.file}`) they differed by at most "
                  f"{reduced.max_difference:.2g} and gave the same class for {reduced.same_labels} of {reduced.n}; "
                  f"wherever the two best probabilities are more than {reduced.bound:g} apart, the class is the same."]
    return lines


def _shaping(manifest: Manifest) -> str:
    width, height = manifest.preprocessing.size_px
    words = fraction_in_words(manifest)
    return (f"Turned upright, in colour, {_SHAPING[manifest.preprocessing.method]} {width} x {height} pixels. Before "
            f"that: {words}; so it was in training.")


def _decoding(manifest: Manifest, fractions: str | None) -> list[str]:
    if manifest.preprocessing.least_px is None:
        return []
    measured = "No picture that it was checked on is so large." if fractions is None else f"Measured on {fractions}."
    return [f"{measured} A program of your own that asks this model, in a browser too, has to decode likewise.", ""]


def _limits(manifest: Manifest) -> list[str]:
    lines = [
        "- It was measured on pictures of the same collection. On pictures taken in another way, of other things or by "
        "other people, expect it to be wrong more often.",
        "- The labels it learned from and was measured on may hold mistakes.",
    ]
    if manifest.novelty is None:
        return ["- It always answers with one of the classes above, also for a picture that shows none of them.",
                *lines]
    return [*lines, "- What is like none of the classes is often noticed, but nothing tells a new style of a known "
            "class from another thing well: some strange pictures get an answer, some new ones of a class get none."]
