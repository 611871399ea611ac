"""The words of collecting: what a source finds, why an address is refused, and the limits that are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from shoebox.errors import ShoeboxError

__all__ = ["CAUSES", "TRY_AGAIN", "Cause", "Found", "Limits", "RefusedError", "SourceError"]

Cause = Literal[
    "bad_url",  # no http or https address, or one with a password in it
    "blocked_address",  # leads into this machine or its network, or to an unusual port
    "robots",  # the host's robots.txt says no; one that could not be had is http_error, rate_limited, ...
    "noai",  # the picture's X-Robots-Tag says no
    "not_found",  # 404 or 410
    "http_error",  # another status than 200
    "rate_limited",  # 429, again and again or for too long
    "timeout",  # took longer than a file may
    "unreachable",  # no such host, no connection
    "interrupted",  # the connection ended before the picture did
    "too_many_redirects",
    "too_large",  # bytes, pixels or scans
    "too_small",
    "html_instead_of_image",
    "unsupported_format",  # a document, or a picture of a kind that the door does not open
    "not_an_image",
    "damaged",  # ends too early, or the decoder gave up
    "not_stored",  # disk full and the like
]
CAUSES = get_args(Cause)
# What may go better another time; the rest is remembered and not asked for again.
TRY_AGAIN = frozenset({"blocked_address", "http_error", "rate_limited", "timeout", "unreachable", "interrupted",
                       "too_large", "too_small", "not_stored"})


class RefusedError(ShoeboxError):
    """An address that brought no picture: a cause for counting and a sentence for the person."""

    def __init__(self, cause: Cause, sentence: str, *, retry_after_s: float | None = None,
                 http_status: int = 0) -> None:
        super().__init__(sentence)
        self.cause = cause
        self.retry_after_s = retry_after_s
        self.http_status = http_status


class SourceError(ShoeboxError):
    """A source that cannot answer: what happened and what to do next. The other sources go on."""


@dataclass(frozen=True)
class Found:
    """One picture that a source names. `read` gives its bytes where it lies on this machine."""

    url: str
    page_url: str = ""
    title: str = ""
    licence: str = ""
    licence_url: str = ""
    author: str = ""
    engine: str = ""
    rank: int = 0
    note: str = ""
    read: Callable[[], bytes] | None = None


@dataclass(frozen=True)
class Limits:
    """What one file may cost, and how gently hosts are asked.

    Attributes
    ----------
    max_bytes : int
        Of a file, counted as they come and after decompression.
    total_s : float
        For one file, redirects and repeated tries included; waiting for one's turn does not count.
    silence_s : float
        Without a single byte.
    min_bytes_per_s, grace_s : float
        Slower than this on average after that many seconds is too slow.
    tries : int
        For 429, 5xx, time-outs and broken connections.
    backoff_s, max_wait_s : float
        First pause between tries (doubled each time, with jitter), and the longest that a host may ask for.
    per_host, starts_per_s : int, float
        Requests at once to one host, and how many may start there in a second. A Crawl-delay in a host's robots.txt
        is kept as well, up to 10 seconds between starts; of a longer one, 10 seconds.
    at_once : int
        Requests at once to all hosts together.
    min_px : int
        Shorter side of a picture.
    max_redirects : int
    """

    max_bytes: int = 25 * 2**20
    total_s: float = 30.0
    silence_s: float = 10.0
    min_bytes_per_s: float = 1000.0
    grace_s: float = 10.0
    tries: int = 3
    backoff_s: float = 0.5
    max_wait_s: float = 60.0
    per_host: int = 2
    starts_per_s: float = 4.0
    at_once: int = 96
    min_px: int = 32
    max_redirects: int = 5
