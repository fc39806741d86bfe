"""Bars that are tests: the tests are run by their full names, so that none is left out unseen."""

from __future__ import annotations

import itertools
import subprocess
import sys

from benchmarks.bar import Figure
from tests.material import ROOT

TIMEOUT_S = 900  # the longest selection builds and runs an image


def passed(*selection: str) -> Figure:
    """Run tests and tell how many passed.

    One that fails, errs, is skipped or does not exist breaks the bar.
    """
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", *selection]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)
    summary = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1]
    print(summary)
    words = summary.replace(",", "").split()
    counts = {name: int(number) for number, name in itertools.pairwise(words) if number.isdigit()}
    # Skipped tests count as failures: a bar that was not measured does not hold.
    bad = sum(counts.get(name, 0) for name in ("failed", "error", "errors", "skipped"))

    return Figure(
        counts.get("passed", 0), "tests passed", "all of them", done.returncode == 0 and bad == 0
    )


def named(file: str, *tests: str) -> list[str]:
    """Return the full names of some tests of a file."""
    return [f"{file}::{test}" for test in tests]
