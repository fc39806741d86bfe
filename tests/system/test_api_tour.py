"""docs/api.md is true: its commands run, top to bottom, against a running stack."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.system.running_service import SAMPLES, RunningService

TOUR = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TOUR, re.MULTILINE | re.DOTALL)


def run(command: list[str], script: str, folder: Path, service: RunningService) -> str:
    environment = {**os.environ, "URL": service.url, "KEY": str(service.key)}
    done = subprocess.run(
        command,
        input=script,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_tours_commands_do_what_it_says(service: RunningService, tmp_path: Path) -> None:
    for sample in SAMPLES.iterdir():
        shutil.copy(sample, tmp_path)

    printed = run(["bash", "-euo", "pipefail"], "\n".join(blocks("bash")), tmp_path, service)
    assert (
        Image.open(tmp_path / "ben_as_ada.jpg").size == Image.open(SAMPLES / "ben_neutral.jpg").size
    )
    assert (tmp_path / "solo_as_ada.mp4").stat().st_size > 100_000
    assert (tmp_path / "first_kilobyte").read_bytes() == (
        tmp_path / "solo_as_ada.mp4"
    ).read_bytes()[:1024]
    assert json.loads((tmp_path / "people.json").read_text())
    assert "event: progress" in printed
    assert "event: completed" in printed
    assert "whsec_" in printed


def test_the_python_example_runs(service: RunningService, tmp_path: Path) -> None:
    for sample in SAMPLES.iterdir():
        shutil.copy(sample, tmp_path)
    for example in blocks("python"):
        run([sys.executable, "-"], example, tmp_path, service)
    assert Image.open(tmp_path / "ben_as_ada.jpg").format == "JPEG"
