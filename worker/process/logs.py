"""The one form of our logs: JSON lines on standard error, the same in every process."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

# The names that log collectors expect.
NAMES = {"asctime": "time", "levelname": "level", "name": "logger", "message": "event"}
QUIET = ("rq.worker", "rq.job", "rq.queue")  # RQ tells in prose what our own events say


def log_as_json(level: int = logging.INFO, context: logging.Filter | None = None) -> None:
    """Send all logging of this process to standard error, one JSON object per line.

    Each has the time, the level, the logger, the event and the event's fields; `context` may add
    the fields `request_id` and `tenant` to each record.
    """
    fields = [*NAMES, *(["request_id", "tenant"] if context else [])]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(" ".join(f"%({name})s" for name in fields), rename_fields=NAMES)
    )

    if context is not None:
        handler.addFilter(context)

    # force: RQ and others install handlers of their own when imported.
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
