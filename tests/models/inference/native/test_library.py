"""The kernels are built where a compiler is, and nothing fails where none is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.inference.native import library
from models.inference.native.kernels import Kernels
from tests.material import ROOT
from tests.models.inference.native.conftest import in_numpy

CONFINED = """
from worker.sandbox.confinement import confine
from worker.sandbox.limits import Limits
confine(Limits(memory_bytes=4 * 2**30, file_bytes=0))
from models.inference.arrays import to_network
from models.inference.native.library import kernels_name
import numpy as np
print(kernels_name(), to_network(np.full((8, 8, 3), 255, np.uint8)).mean())
"""


def test_a_confined_child_can_use_them(native: Kernels) -> None:
    done = started([sys.executable, "-c", CONFINED])
    assert done.stdout.strip() == f"{library.kernels_name()} 1.0", done.stderr


def test_the_command_names_what_is_built(native: Kernels) -> None:
    done = run("kernels")
    assert done.returncode == 0
    assert done.stdout.strip() == library.library_path().name
    assert library.kernels_name() == library.library_path().stem


def test_switched_off_numpy_does_it(native: Kernels) -> None:
    with in_numpy():
        assert library.kernels_name() == "numpy"


def test_without_a_compiler_nothing_fails(tmp_path: Path) -> None:
    copied = tmp_path / "models"
    shutil.copytree(ROOT / "models", copied, ignore=shutil.ignore_patterns("kernels-*.so"))

    done = run("kernels", cwd=tmp_path, path="/nowhere")

    assert done.returncode == 0
    assert "no C compiler" in done.stderr
    assert not list(copied.rglob("kernels-*.so"))


def test_a_build_replaces_the_one_of_another_source(native: Kernels, tmp_path: Path) -> None:
    copied = tmp_path / "models"
    shutil.copytree(ROOT / "models", copied, ignore=shutil.ignore_patterns("kernels-*.so"))
    folder = copied / "inference" / "native"
    (folder / "kernels-old-0.so").write_bytes(b"")
    with (folder / "source" / "pixels.c").open("a") as file:
        file.write("// another source")

    done = run("kernels", cwd=tmp_path)

    (built,) = folder.glob("kernels-*.so")
    assert done.stdout.strip() == built.name != library.library_path().name


@pytest.mark.parametrize("content", ["no C at all", "#error broken"])
def test_what_does_not_compile_is_told(tmp_path: Path, native: Kernels, content: str) -> None:
    copied = tmp_path / "models"
    shutil.copytree(ROOT / "models", copied, ignore=shutil.ignore_patterns("kernels-*.so"))
    (copied / "inference" / "native" / "source" / "pixels.c").write_text(content)

    done = run("kernels", cwd=tmp_path)

    assert done.returncode == 0
    assert "numpy does their work" in done.stderr
    assert "error" in done.stderr


def run(
    *arguments: str, cwd: Path = ROOT, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    return started([sys.executable, "-m", "models", *arguments], cwd, path)


def started(
    command: list[str], cwd: Path = ROOT, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": path or os.environ["PATH"], "PYTHONPATH": str(cwd)}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
