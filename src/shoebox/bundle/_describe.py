"""A manifest in a few lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoebox.bundle._manifest import Manifest

__all__ = ["describe", "fraction_in_words", "novelty_in_words", "why_unmeasured"]


def describe(manifest: Manifest) -> str:
    """What `shoebox inspect` prints."""
    m = manifest
    width, height = m.preprocessing.size_px
    shown = ", ".join(m.classes[:10]) + (", …" if len(m.classes) > 10 else "")
    lines = [
        f"{m.name}: {len(m.classes)} classes ({shown})",
        f"made: {m.created[:10]}, protocol {m.protocol}",
        f"pictures: {m.preprocessing.method} to {width} x {height} px; {fraction_in_words(m)}",
        f"accuracy: {_accuracy(m)}",
        f"parity: at most {m.parity.max_difference:.2g} from the learner over {m.parity.n} pictures",
        f"none of these: {novelty_in_words(m)}",
        f"label sets: {_label_sets(m)}",
        f"calibration: {_calibration(m)}",
        f"8-bit weights: {_int8(m)}",
        f"data set: {m.fingerprint[:12]}…, {sum(m.dataset.counts.values()):,} pictures",
        f"files: {', '.join(f'{name} ({f.size_bytes / 1e6:.1f} MB)' for name, f in m.files.items())}",
    ]
    return "\n".join(lines)


def fraction_in_words(manifest: Manifest) -> str:
    """How much of a JPEG is decoded."""
    least_px = manifest.preprocessing.least_px
    if least_px is None:
        return "every picture decoded in full"
    return f"a large JPEG decoded at 1/2, 1/4 or 1/8, its shorter side still at least {least_px} px"


def novelty_in_words(manifest: Manifest) -> str:
    """When a picture is called unknown, and how many false alarms to expect."""
    novelty = manifest.novelty
    if novelty is None:
        return manifest.notes.get("novelty", "off")
    low, high = novelty.band
    return (f"a false alarm for {novelty.alarm_rate:.0%} of pictures of the known classes is aimed at; with the "
            f"{novelty.n} held-out pictures it was set on, between {low:.1%} and {high:.1%} are to be expected "
            f"({100 * novelty.level:.0f} % band)")


def why_unmeasured(manifest: Manifest) -> str:
    """Why there is no accuracy: for the reason that there are no label sets, which any held-out picture gives."""
    return manifest.notes.get("label_sets", "The data set had no validation pictures.").removeprefix("Left off: ")


def _accuracy(manifest: Manifest) -> str:
    accuracy, interval = manifest.accuracy, manifest.accuracy_interval
    if accuracy is None or interval is None:
        return f"not measured: {why_unmeasured(manifest)}"
    return (f"{accuracy:.1%} of {manifest.metrics['n_images']:,} validation pictures (95 % interval {interval[0]:.1%} "
            f"to {interval[1]:.1%})")


def _label_sets(manifest: Manifest) -> str:
    sets = manifest.label_sets
    if sets is None:
        return manifest.notes.get("label_sets", "off")
    return f"hold the right class for {sets.coverage:.0%} of pictures like the {sets.n} they were set on"


def _calibration(manifest: Manifest) -> str:
    found = manifest.calibration
    if found is None:
        return manifest.notes.get("calibration", "off")
    return (f"temperature {manifest.temperature:.2f}, set on {found.n} pictures (log-loss {found.log_loss_before:.3f} "
            f"before, {found.log_loss_after:.3f} after)")


def _int8(manifest: Manifest) -> str:
    found = manifest.int8
    if found is None:
        return manifest.notes.get("int8", "none")
    return (f"{found.same_labels} of {found.n} answers the same, probabilities differ by at most "
            f"{found.max_difference:.2g}; where the two best are more than {found.bound:g} apart no answer differs")
