"""What the tree promises: its packages are the ones imported, their directions hold, its
dependencies are pinned.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.material import ROOT

VAGUE_NAMES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "core",
    "manager",
    "base",
    "misc",
    "queue",
    "types",
}


def run_python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    ).stdout.strip()


@pytest.mark.parametrize("package", ["service", "worker", "models"])
def test_package_resolves_to_this_tree(package: str) -> None:
    assert run_python(f"import {package}; print({package}.__file__)") == str(
        ROOT / package / "__init__.py"
    )


def test_import_directions_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    outcome = subprocess.run(
        [linter],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ".:clients/python"},
        timeout=120,
    )
    assert outcome.returncode == 0, outcome.stdout


def test_api_process_loads_no_image_or_tensor_library() -> None:
    heavy = {"cv2", "numpy", "onnxruntime", "av", "PIL", "torch"}
    loaded = run_python(
        "import sys, service.app; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    assert not heavy & set(loaded.split())


def test_production_inference_loads_no_torch() -> None:
    loaded = run_python("import sys, models.inference.engine; print(*sorted(sys.modules))")
    assert "torch" not in loaded.split()
    assert "cv2" in loaded.split()


def test_modules_are_named_by_domain() -> None:
    modules = [
        path
        for package in ("service", "worker", "models")
        for path in (ROOT / package).rglob("*.py")
    ]

    assert len(modules) > 50
    assert [str(path) for path in modules if path.stem in VAGUE_NAMES] == []


def test_lock_pins_every_dependency_of_every_extra() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]

    for requirement in map(Requirement, declared):
        name = canonicalize_name(requirement.name)
        if name == project["name"]:  # an extra that takes in another
            assert requirement.extras <= set(project["optional-dependencies"])
            continue

        assert name in pins, f"{name} is not pinned"
        assert requirement.specifier.contains(pins[name], prereleases=True), (
            f"{name} is pinned outside of its range"
        )
