"""A classifier that is still being opened: the page is there meanwhile, and the first answer waits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from shoebox.errors import BundleError, ShoeboxError
from shoebox.widgets._log import log_to_the_server

if TYPE_CHECKING:
    from PIL import Image

    from shoebox.bundle import Manifest
    from shoebox.types import Prediction

__all__ = ["Opening"]

_LOG = logging.getLogger("shoebox")
_UNEXPECTED = "The model cannot be opened. Tell the owner of this page; its log says why."


class Opening:
    """Takes a classifier's place until it is there: a person needs longer to choose a picture than a model to load.

    Parameters
    ----------
    manifest : Manifest
        What the bundle says of itself, read already.
    open_it : callable
        Opens the classifier, every check included, and is run in a thread of its own by `start`.
    precision : str
        "full" or "int8": what is opened.

    Attributes
    ----------
    manifest, precision
        As above. A bundle that was exchanged since then is refused.
    classes : tuple of str
        In the order of the model's output.
    least_px : int or None
        How small a JPEG may be decoded, as the classifier's.
    """

    def __init__(self, manifest: Manifest, open_it: Callable[[], Any], precision: str = "full") -> None:
        self.precision = precision
        self.manifest = manifest
        self.classes = manifest.classes
        self.least_px = manifest.preprocessing.least_px
        self._open_it = open_it
        self._opened: Future[Any] = Future()
        self._lock = Lock()
        self._sentence = ""
        self._tell: Callable[[str], None] | None = None

    def start(self) -> None:
        """Begin, and return at once."""
        log_to_the_server()  # nothing else may be there yet that sees to it
        # No daemon: a program that ends while onnxruntime is imported in a thread is aborted
        Thread(target=self._run, name="shoebox-opening").start()

    def when_failed(self, tell: Callable[[str], None]) -> None:
        """Call `tell(sentence)`, now or later and in any thread, if the classifier cannot be opened."""
        with self._lock:
            self._tell = tell
            sentence = self._sentence
        if sentence:
            tell(sentence)

    def wait(self) -> Any:
        """The classifier itself.

        Raises
        ------
        BundleError
            It cannot be opened; the sentence says why.
        """
        error = self._opened.exception()
        if error is not None:  # a new one each time: with one for all, each picture that was asked would hang on it
            raise BundleError(str(error))
        return self._opened.result()

    def predict(self, image: Image.Image, *, explain: bool = False) -> Prediction:
        """The answer for an upright RGB picture, as soon as it can be given; raises as `wait` does."""
        return self.wait().predict(image, explain=explain)  # type: ignore[no-any-return]

    def _run(self) -> None:
        try:
            classifier = self._open_it()
            if classifier.manifest != self.manifest:
                raise BundleError("The bundle was exchanged while it was opened. Reload the page.")
        except ShoeboxError as error:
            _LOG.error("The app cannot start: %s", error)  # first: whoever reads of it finds it in the log
            self._fail(error)
        except Exception:
            _LOG.exception("The app cannot start")
            self._fail(BundleError(_UNEXPECTED))
        else:
            self._opened.set_result(classifier)

    def _fail(self, error: ShoeboxError) -> None:
        with self._lock:
            self._sentence, tell = str(error), self._tell
        try:
            if tell is not None:
                tell(self._sentence)  # first: who is told by an answer finds it on the page too
        finally:
            self._opened.set_exception(error)
