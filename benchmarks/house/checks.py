"""H-6: the checks that every commit passes, and what the tests leave unvisited."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from benchmarks.bar import Figure, bar
from benchmarks.house.tree import PACKAGES, ROOT

BIN = Path(sys.executable).parent
CHECK_TIMEOUT_S = 900.0  # mypy without its cache takes three minutes on two cores

# Families whose absence let in shadowed builtins, unused arguments, long signatures and "Returns".
FAMILIES = {"A", "ARG", "T20", "TID", "C901", "PLR0913", "D401"}


@bar("H-6")
def checks_are_clean() -> Figure:
    """Checks that complain or are off: ruff, mypy, coverage, warnings as errors."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    held = {
        "ruff check": succeeds("ruff", "check", "."),
        "ruff format": succeeds("ruff", "format", "--check", "."),
        "all rule families": not FAMILIES - set(project["ruff"]["lint"]["select"]),
        "mypy": succeeds("mypy"),
        "mypy covers all packages": set(PACKAGES) <= set(project["mypy"]["files"]),
        "warnings are errors": "error" in project["pytest"]["ini_options"]["filterwarnings"],
        "coverage": coverage_holds(project["coverage"]["report"]["fail_under"]),
    }

    for name, holds in held.items():
        print(f"{name}: {'clean' if holds else 'falls short'}")

    broken = list(held.values()).count(False)
    return Figure(broken, f"of {len(held)} checks", "= 0", broken == 0)


def succeeds(*command: str) -> bool:
    """Run one of the environment's tools and return whether it is content; print what it says."""
    outcome = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=ROOT,
        # The end says what is wrong; the whole of it can be had by running the tool.
        capture_output=True,
        text=True,
        timeout=CHECK_TIMEOUT_S,
    )
    # The tools report on different streams; the end of each has the verdict.
    if outcome.returncode != 0:
        print(outcome.stdout[-2000:], outcome.stderr[-2000:])

    return outcome.returncode == 0


def coverage_holds(least_percent: float) -> bool:
    """Return whether the last `make test` visited enough lines and branches."""
    outcome = subprocess.run(
        # Read, not measured: the whole suite takes ten minutes, and `make test` records it.
        [BIN / "coverage", "report", "--format=total", "--fail-under=0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=CHECK_TIMEOUT_S,
    )
    if outcome.returncode != 0:
        print(f"no coverage is recorded, `make test` records it: {outcome.stdout.strip()}")
        return False

    percent = float(outcome.stdout)
    print(f"lines and branches visited: {percent:.0f} %, at least {least_percent:.0f} %")
    return percent >= least_percent
