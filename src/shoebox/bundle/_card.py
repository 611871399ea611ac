"""`MODEL_CARD.md`: what a person should know before trusting the model."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from shoebox.bundle._records import Parity, Preprocessing

__all__ = ["model_card", "plain", "wilson_interval"]


def model_card(*, name: str, created: str, counts: Mapping[str, int], fingerprint: str, correct: int | None, n: int,
               preprocessing: Preprocessing, parity: Parity, versions: Mapping[str, str]) -> str:
    """The card as Markdown. Names of classes are data: whatever they hold is shown, never rendered."""
    width, height = preprocessing.size_px
    rows = [f"| {plain(label)} | {number} |" for label, number in counts.items()]
    return "\n".join([
        f"# {plain(name)}", "",
        f"An image classifier made with Shoebox on {created[:10]}. It gives every picture one of {len(counts)} "
        "classes.", "", "## Classes", "", "| class | pictures |", "|---|---:|", *rows, "",
        f"Data set fingerprint: `{fingerprint}`", "",
        "## How good it is", "", _accuracy(correct, n), "",
        "## How faithful the export is", "",
        f"On {parity.n} {'validation ' if parity.side == 'valid' else ''}pictures the exported model and the trained "
        f"one differed by at most {parity.max_difference:.2g} in any probability ({parity.bound:g} allowed) and gave "
        f"the same class for {parity.same_labels}.", "",
        "## How it sees a picture", "",
        f"Turned upright, in colour, {_SHAPING[preprocessing.method]} {width} x {height} pixels.", "",
        "## Limits", "", *_LIMITS, "",
        "## Made with", "", *[f"- {plain(library)} {plain(version)}" for library, version in versions.items()], "",
    ])


_SHAPING = {"squish": "squeezed to", "crop": "the middle of it, made", "pad": "with a margin, made"}
_LIMITS = [
    "- It always answers with one of the classes above, also for a picture that shows none of them.",
    "- Its probabilities are the network's own; they were not calibrated.",
    "- It was measured on pictures of the same collection. On pictures taken in another way, of other things or by "
    "other people, expect it to be wrong more often.",
    "- The labels it learned from and was measured on may hold mistakes.",
]


def wilson_interval(correct: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share, 95 % with z = 1.96: (low, high), each 0 to 1."""
    share = correct / n
    centre, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def plain(text: str) -> str:
    """`text` such that Markdown shows it as it is: no markup, no HTML, no new column or line."""
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~&:@^$=\"'])", r"\\\1", " ".join(text.split()))


def _accuracy(correct: int | None, n: int) -> str:
    if correct is None or n == 0:
        return "Not measured: the data set had no validation pictures."
    low, high = wilson_interval(correct, n)
    return (f"Right for {correct} of {n} validation pictures that it had not learned from: {correct / n:.1%} (95 % "
            f"interval {low:.1%} to {high:.1%}).")
