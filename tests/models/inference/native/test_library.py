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
    environment = os.environ | {"PATH": path or os.environ["PATH"], "PYTHONPATH": str(cwd)}
    return subprocess.run(
        [sys.executable, "-m", "models", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
