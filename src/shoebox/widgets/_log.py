"""What callbacks log: to the process's own stderr, because under Voila nothing else is shown anywhere."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any

__all__ = ["LOG_VARIABLE", "log_to_the_server"]

LOG_VARIABLE = "SHOEBOX_LOG"  # "json": one object a line, as log collectors want it
_LOG = logging.getLogger("shoebox")


def log_to_the_server() -> None:
    """Write warnings and errors of Shoebox to stderr from now on; a second call changes nothing."""
    if sys.__stderr__ is not None and not any(isinstance(handler, _ServerLog) for handler in _LOG.handlers):
        _LOG.addHandler(_ServerLog(sys.__stderr__))


class _ServerLog(logging.StreamHandler[Any]):
    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.setLevel(logging.WARNING)
        as_json = os.environ.get(LOG_VARIABLE) == "json"
        self.setFormatter(_Json() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))


class _Json(logging.Formatter):
    """One line of JSON: time, level, logger, message, process, and for an error its kind and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname, "logger": record.name, "message": record.getMessage(),
            "process": record.process}
        if record.exc_info and record.exc_info[0] is not None:
            fields |= {"error": record.exc_info[0].__name__, "traceback": self.formatException(record.exc_info)}
        return json.dumps(fields, ensure_ascii=False)
