"""The words of the house: small frozen records that travel between the rooms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "DecisionKind",
    "ImageCause",
    "Issue",
    "IssueKind",
    "Origin",
    "Prediction",
    "Side",
]

ImageCause = Literal[
    "missing",  # no file there, or not allowed to read it
    "empty",  # 0 bytes
    "not_an_image",  # text, HTML, random bytes
    "unsupported_format",  # an image or document of a kind that the door does not open
    "truncated",  # ends too early
    "damaged",  # the decoder gave up
    "too_many_bytes",
    "too_many_pixels",
    "too_many_scans",  # a progressive JPEG made to burn time
    "link",  # a symbolic link: never followed
]
Side = Literal["train", "valid", "test"]
DecisionKind = Literal["keep", "relabel", "remove", "unsure"]
IssueKind = Literal[
    "label",  # the given label may be wrong; every picture has this one, those that are right at the end
    "conflict",  # the same picture stands under two labels
    "outlier",  # like no other picture: perhaps no class of yours
    "near_duplicate",  # the same picture twice under one label
    "unreadable",  # no usable picture; the reason says why
    "dark",
    "light",
    "blurry",
    "low_information",
    "tiny",
    "odd_size",
    "odd_aspect",
]
Origin = Literal["recorder", "out_of_fold", "held_out", "in_sample"]


@dataclass(frozen=True)
class Prediction:
    """The answer for one picture.

    Attributes
    ----------
    label : str
        The most probable class.
    probability : float
        Its probability, 0 to 1.
    probabilities : dict[str, float]
        Every class, most probable first; they add up to 1.
    known : bool or None
        False when the picture is like none of the classes. None when the bundle cannot tell.
    p_value : float or None
        Share of held-out pictures at least this strange, 0 to 1 (lower is stranger). None as above.
    elapsed_ms : float
        From the bytes to the answer, in milliseconds.
    label_set : tuple of str or None
        The classes that cannot be ruled out at the bundle's coverage, most probable first. Empty reads "not sure it
        is any of these". None when the bundle has no label sets.
    timings_ms : mapping of str to float
        `decode` (from the source to upright pixels) and `run` (resize and network), in milliseconds.
    heatmap : float32 array (h, w) or None
        Where the answer was seen, 0 (nothing spoke for it) to 1 (the most). It covers the whole upright picture, in
        its proportions but smaller: stretch it over the picture. None unless asked for, and when the bundle has none.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    known: bool | None = None
    p_value: float | None = None
    elapsed_ms: float = 0.0
    label_set: tuple[str, ...] | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    heatmap: NDArray[Any] | None = field(default=None, compare=False, repr=False)

    def top(self, n: int = 3) -> list[tuple[str, float]]:
        """The `n` most probable classes with their probabilities, best first."""
        return list(self.probabilities.items())[:n]


@dataclass(frozen=True)
class Issue:
    """One thing that may be wrong with one picture, and why it stands where it stands in a ranking.

    Attributes
    ----------
    path : str
        Path below the data set's folder, with forward slashes.
    image_id : str
        SHA-256 of the file's bytes; empty for an unreadable file.
    kind : IssueKind
        What may be wrong.
    score : float
        0 to 1; lower is worse. Below 0.5 something speaks against the picture: another class is more probable, or a
        measured number is past its threshold.
    given_label, suggested_label : str
        The folder the picture stands in, and the most probable class.
    given_probability, suggested_probability : float
        Their probabilities, 0 to 1.
    reason : str
        The same in words, with the measured number where there is one.
    side : 'train', 'valid' or None
        None for an unreadable file, which stands on no side.
    evidence : tuple of str
        Paths of pictures to compare with: the nearest ones of the suggested class, or what it duplicates.
    """

    path: str
    image_id: str
    kind: IssueKind
    score: float
    given_label: str
    suggested_label: str
    given_probability: float
    suggested_probability: float
    reason: str
    side: Side | None = "train"
    evidence: tuple[str, ...] = field(default=())
