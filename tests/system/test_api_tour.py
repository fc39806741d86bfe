"""docs/api.md is true: its commands run, top to bottom, against a running stack."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from tests.material import SAMPLES
from tests.system.documents import blocks, ran
from tests.system.running_service import RunningService, image_at

TOUR = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()


def environment_of(service: RunningService) -> dict[str, str]:
    return {"URL": service.url, "KEY": str(service.key)}


def test_the_tours_commands_do_what_it_says(service: RunningService, tmp_path: Path) -> None:
    for sample in SAMPLES.iterdir():
        shutil.copy(sample, tmp_path)

    script = "\n".join(blocks(TOUR, "bash"))
    printed = ran(["bash", "-euo", "pipefail"], script, tmp_path, environment_of(service))
    assert image_at(tmp_path / "ben_as_ada.jpg") == image_at(SAMPLES / "ben_neutral.jpg")
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
    for example in blocks(TOUR, "python"):
        ran([sys.executable, "-"], example, tmp_path, environment_of(service))
    assert image_at(tmp_path / "ben_as_ada.jpg")[0] == "JPEG"
