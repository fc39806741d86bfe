"""Logs as JSON lines on standard error, with the time, the level, the event and its fields."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

QUIET = ("rq.worker", "rq.job", "rq.queue")  # RQ tells in prose what our own events say


def log_as_json(level: int = logging.INFO) -> None:
    """Send all logging of this process to standard error, one JSON object per line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields={"message": "event"}
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
