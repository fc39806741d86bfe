"""E-1: the wheel, in an empty environment outside of the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.bar import Figure, bar
from benchmarks.product.command import Said, likeness
from tests.material import ROOT

# A hundred packages, several of some ten megabytes, over any line.
INSTALL_TIMEOUT_S = 1200


@bar("E-1")
def wheel() -> Figure:
    """Steps from a built wheel to a demo that do not work in an empty environment."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = _installed(folder)
        home = {"HOME": str(folder / "home"), "XDG_DATA_HOME": str(folder / "state")}

        # A user's folder may hold anything: none of it may take the place of our rooms.
        work = folder / "work"
        for room in ("models", "service", "worker"):
            (work / room).mkdir(parents=True)
            (work / room / "__init__.py").write_text("raise SystemExit('not ours')\n")

        # The demo before doctor, which looks at the pack that the demo fetches.
        steps = (["--version"], ["demo"], ["doctor"], ["packs", "list"])
        failed = [step for step in steps if not _works(program, step, work, home)]
        sheet = folder / "state" / "likeness" / "demo" / "contact_sheet.png"
        print(f"contact sheet: {sheet.stat().st_size if sheet.is_file() else 'missing'}")

    holds = not failed
    return Figure(len(failed), f"of {len(steps)} commands fail", "0", holds)


def _installed(folder: Path) -> Path:
    """Return the program of a wheel that was built and installed below `folder`."""
    # Without isolation: hatchling is installed, and need not be fetched.
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder), "."]
    subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (built,) = folder.glob("likeness-*.whl")
    environment = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)

    install = [str(environment / "bin" / "pip"), "install", "--quiet", str(built)]
    lock = ["-c", str(ROOT / "requirements.lock")]
    subprocess.run([*install, *lock], check=True, timeout=INSTALL_TIMEOUT_S)
    return environment / "bin" / "likeness"


def _works(program: Path, step: list[str], folder: Path, home: dict[str, str]) -> bool:
    said: Said = likeness(*step, program=(str(program),), folder=folder, environment=home)
    print(f"likeness {' '.join(step)}: {said.status}")
    if said.status:
        print(said.out[-2000:], said.err[-2000:], sep=os.linesep)

    return said.status == 0
