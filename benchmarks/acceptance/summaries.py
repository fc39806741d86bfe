"""Bars that sum up: the cases handed to the project, and all bars of jobs and safety."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.bar import Figure, all_bars, bar, measured
from models.training.dataset import shared_folder
from tests.material import SAMPLES
from tests.system.running_service import RunningService

CASES = 30
# They take 90 s on two idle cores, and each waits for its own jobs with a bound.
CASES_BOUND_S = 560.0
JOBS = tuple(f"R-{number}" for number in range(1, 14))
SAFETY = tuple(f"S-{number}" for number in range(1, 16))


@bar("G-1")
def every_case_handed_in_holds() -> Figure:
    """`cases/check.py` of the measuring material, against `python -m service up`."""
    script = shared_folder() / "cases" / "check.py"
    wanted = f"= {CASES} of {CASES}"
    if not script.exists():
        print(f"{script} is not here: set LIKENESS_SHARED to the measuring material")
        return Figure("not measured:", "no cases", wanted, holds=False)

    with tempfile.TemporaryDirectory() as folder, RunningService(Path(folder)) as service:
        said = _answers(script, service)

    print("\n".join(said))
    passed = sum(line.startswith("PASS") for line in said)
    return Figure(passed, "cases", wanted, holds=passed == CASES)


def _answers(script: Path, service: RunningService) -> list[str]:
    """Return a line for each case that ended in time."""
    command = [sys.executable, str(script), service.url, str(service.key), str(SAMPLES)]
    try:
        # What counts is what it prints: its exit status is the same with failures.
        ended = subprocess.run(command, capture_output=True, timeout=CASES_BOUND_S, check=False)
        said = ended.stdout
    except subprocess.TimeoutExpired as late:
        said = late.stdout or b""

    lines = said.decode().splitlines()
    return [line for line in lines if line.startswith(("PASS", "FAIL"))]


@bar("G-8")
def every_bar_of_jobs_and_safety_holds() -> Figure:
    """R-1 to R-13 and S-1 to S-15, one after the other."""
    bars = all_bars()
    short: list[str] = []

    for name in (*JOBS, *SAFETY):
        print(f"-- {name}", flush=True)
        figure = measured(bars[name])
        print(figure.line(name), flush=True)
        if not figure.holds:
            short.append(name)

    print("fall short: " + (", ".join(short) or "none"))
    return Figure(len(short), f"of {len(JOBS) + len(SAFETY)} bars fall short", "= 0", not short)
