"""E-4: from a copy of the repository to the first swap by a client: steps, lines and minutes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bar import Figure, bar
from tests.material import ROOT, SAMPLES
from tests.system.running_service import RunningService

# What somebody who tries a project waits; most of it is pip installing wheels.
LONGEST_S = 300.0
# As many as a reader copies without a second thought.
MOST_LINES = 5
STEP_TIMEOUT_S = 600
# The first start fetches and builds the pack.
START_TIMEOUT_S = 240.0
TYPESCRIPT = ROOT / "clients" / "typescript"


@bar("E-4")
def clients() -> Figure:
    """Seconds from a copy of the repository to the first swap by the Python client."""
    # The README's own text is run: an example that is only printed goes out of date.
    program = _program(ROOT / "README.md", "python")
    # Blank lines are for reading and cost the reader nothing.
    lines = [line for line in program.splitlines() if line.strip()]
    print(f"the program has {len(lines)} lines")

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.monotonic()
        steps = _first_swap(folder, program)
        seconds = time.monotonic() - began

    print(f"{steps} steps in {seconds:.0f} s")
    works = _typescript_works()
    holds = seconds <= LONGEST_S and len(lines) <= MOST_LINES and works
    return Figure(
        seconds, f"s in {steps} steps", f"<= {LONGEST_S:.0f}, {MOST_LINES} lines each", holds
    )


def _program(document: Path, language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
    if found is None:
        raise RuntimeError(f"{document.name} has no program in {language}")
    return found[1]


def _first_swap(folder: Path, program: str) -> int:
    """Do what the README says in an empty environment; return the number of steps."""
    # A home of its own, or an installation of whoever measures would be found.
    home = {"HOME": str(folder / "home"), "XDG_DATA_HOME": str(folder / "state")}
    tools = folder / "venv" / "bin"
    (folder / "service").mkdir()
    # The program names the samples as from a checkout, and nothing else of it is there.
    (folder / "service" / "samples").symlink_to(SAMPLES)

    _step([sys.executable, "-m", "venv", str(folder / "venv")], folder, home)
    # The locked versions: the figure must not change with what is released today.
    lock = ["-c", str(ROOT / "requirements.lock")]
    _step([str(tools / "pip"), "install", "-q", *lock, str(ROOT)], folder, home)
    python_client = str(ROOT / "clients" / "python")
    _step([str(tools / "pip"), "install", "-q", *lock, python_client], folder, home)

    with _up(tools / "likeness", folder, home) as there:
        _step([str(tools / "python"), "-c", program], folder, home | there)

    print(f"made {(folder / 'solo_as_ada.mp4').stat().st_size} bytes")
    return 5


def _step(command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    began = time.monotonic()
    subprocess.run(
        command, cwd=folder, env=os.environ | dict(environment), check=True, timeout=STEP_TIMEOUT_S
    )
    print(f"{' '.join(command)[:90]}: {time.monotonic() - began:.0f} s", flush=True)


@contextmanager
def _up(program: Path, folder: Path, home: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Start `likeness up` and yield the variables that say where it is and who may come."""
    process = subprocess.Popen(
        [str(program), "up", "--port", "0"],
        cwd=folder,
        env=os.environ | dict(home),
        stdout=subprocess.PIPE,
        text=True,
    )
    printed = ""
    deadline = time.monotonic() + START_TIMEOUT_S

    try:
        # The last line that `up` prints once everything is ready.
        while "Ctrl-C" not in printed and time.monotonic() < deadline:
            printed += (process.stdout and process.stdout.readline()) or ""

        url = re.search(r"http://\S+:\d+", printed)
        key = re.search(r"lk_\S+", printed)
        if url is None or key is None:
            raise RuntimeError(f"the service did not start: {printed}")

        yield {"LIKENESS_URL": url.group(), "LIKENESS_API_KEY": key.group()}
    finally:
        process.terminate()
        process.wait(timeout=60)


def _typescript_works() -> bool:
    """Return whether the TypeScript client's tests pass against a running service."""
    if not (TYPESCRIPT / "node_modules").is_dir():
        subprocess.run(["npm", "ci", "--no-fund", "--no-audit"], cwd=TYPESCRIPT, check=True)

    with tempfile.TemporaryDirectory() as name, RunningService(Path(name)) as service:
        there = {"URL": service.url, "KEY": str(service.key), "SAMPLES": str(SAMPLES)}
        # Types first: a client whose types are wrong may still run.
        commands = (["npx", "tsc", "--noEmit", "-p", "."], ["npm", "test"])
        done = [
            subprocess.run(
                command,
                cwd=TYPESCRIPT,
                env=os.environ | there,
                capture_output=True,
                text=True,
                timeout=STEP_TIMEOUT_S,
            )
            for command in commands
        ]

    for each in done:
        print(each.stdout[-1500:], each.stderr[-500:])

    return all(each.returncode == 0 for each in done)
