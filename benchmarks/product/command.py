"""Runs the command as its user does: a process of its own, without a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.material import ROOT

TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


def likeness(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = (sys.executable, "-m", "likeness"),
    folder: Path = ROOT,
) -> Said:
    """Run `likeness` with these arguments in `folder`."""
    # Settings of whoever measures would hide a mistake, or make one.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LIKENESS_")}
    done = subprocess.run(
        [*program, *map(str, arguments)],
        cwd=folder,
        env=clean | dict(environment or {}),
        # Without a terminal and without input: a question would be a command that hangs.
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    return Said(done.returncode, done.stdout, done.stderr)
