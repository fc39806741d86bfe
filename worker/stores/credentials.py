"""How we reach the embedded store: its socket in the data directory, and who we are to it."""

from __future__ import annotations

import os
from pathlib import Path

SOCKET = Path("run") / "valkey.sock"
# `user:password` of whoever administers the stack from a command line on this machine.
OPERATOR_FILE = Path("run") / "store.operator"
LONGEST_CREDENTIALS_BYTES = 256


def embedded_store_url(data_dir: Path, descriptor: int | None) -> str:
    """Return the embedded store's URL for this process.

    API and workers of a stack inherit a descriptor of a file with their `user:password`, so that
    it is on no command line and in no environment. Without one, the operator's file is read;
    where that is missing, the store has no users.
    """
    address = (data_dir / SOCKET).resolve()
    if descriptor is not None:
        # Read at its start: a program that was restarted shares the position with its predecessor.
        user = os.pread(descriptor, LONGEST_CREDENTIALS_BYTES, 0).decode()
    else:
        user = _operator(data_dir / OPERATOR_FILE)

    return f"unix://{user}@{address}" if user else f"unix://{address}"


def _operator(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
