"""What can go wrong, by name. Every message says what came, what was expected and what to do next."""

from __future__ import annotations

__all__ = [
    "BundleError",
    "DatasetError",
    "ImageError",
    "PredictionsError",
    "ServeError",
    "ShoeboxError",
    "ShoeboxWarning",
    "TrainingError",
]


class ShoeboxError(Exception):
    """Base of every error that Shoebox raises on purpose."""


class ShoeboxWarning(UserWarning):
    """Something works, but not as well as it could; the sentence says why and what would help."""


class ImageError(ShoeboxError):
    """Bytes that cannot be used as a picture.

    Attributes
    ----------
    cause : str
        One of `shoebox.types.ImageCause`, for counting and for translation.
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        return type(self), (self.cause, str(self))


class DatasetError(ShoeboxError):
    """A data set, its catalog or a decision about one of its pictures."""


class PredictionsError(ShoeboxError):
    """Predictions of the wrong shape, range or origin."""


class TrainingError(ShoeboxError):
    """Too little data to train on, or a learner that does not fit the data set."""


class BundleError(ShoeboxError):
    """A bundle that is incomplete, changed, unknown, or does not reproduce its learner."""


class ServeError(ShoeboxError):
    """The app could not be served."""
