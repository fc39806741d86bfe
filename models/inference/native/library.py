"""The shared library of the kernels: built where a C compiler is, found by its source's digest.

`make setup`, the Dockerfile and the first `likeness up` build it. Without it everything works as
well, in numpy: docs/decisions/0023-native-kernels.md.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE / "source"
SWITCH = "LIKENESS_KERNELS"  # "off": numpy only, to compare both
COMPILERS = ("cc", "gcc", "clang")
# Without contraction all kinds of CPU make the same bytes; and nothing is reordered.
FLAGS = ("-std=c11", "-O3", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-shared")
# GCC's clones need a C library whose loader picks one; where they do not compile, -O3 has to do.
CLONES = "-DCLONES"
COMPILE_S = 120.0


class NotBuiltError(Exception):
    """Raised when the kernels cannot be built here; says why."""


def library_path() -> Path:
    """Return where the library of this source lies, built or not: another source has another."""
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for file in sorted(SOURCE.iterdir()):
        digest.update(file.read_bytes())

    return HERE / f"kernels-{platform.machine()}-{digest.hexdigest()[:12]}.so"


@cache
def library() -> ctypes.CDLL | None:
    """Return the library, loaded once; None where it is not built, or switched off."""
    if os.environ.get(SWITCH) == "off":
        return None

    try:
        return ctypes.CDLL(str(library_path()))
    except OSError:
        return None


def kernels_name() -> str:
    """Return what makes the pixels, for people: the library's file, or numpy."""
    return "numpy" if library() is None else library_path().stem


def build() -> Path:
    """Compile the library if it is not there, and return its path. Raises `NotBuiltError`."""
    path = library_path()
    if path.exists():
        return path

    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise NotBuiltError(f"no C compiler is installed ({', '.join(COMPILERS)})")

    try:
        _make(compiler, path)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotBuiltError(str(error)) from error

    return path


def _make(compiler: str, path: Path) -> None:
    for stale in HERE.glob("kernels-*.so"):
        stale.unlink()

    with tempfile.TemporaryDirectory(dir=HERE) as name:
        made = Path(name) / path.name
        said = _compiled(compiler, [*FLAGS, CLONES], made)
        if said:
            said = _compiled(compiler, FLAGS, made)
        if said:
            raise NotBuiltError(f"{compiler} failed: {said}")

        # In one step: a process that starts meanwhile finds a whole library, or none.
        made.replace(path)


def _compiled(compiler: str, flags: Sequence[str], path: Path) -> str:
    """Compile, and return what the compiler says against it; empty when the library is made."""
    files = [str(file) for file in sorted(SOURCE.glob("*.c"))]
    command = [compiler, *flags, *files, "-o", str(path), "-lm"]
    ended = subprocess.run(  # noqa: S603  a compiler of this machine, on files of this package
        command, capture_output=True, text=True, timeout=COMPILE_S, check=False
    )
    return "" if ended.returncode == 0 else ended.stderr.strip() or f"exit {ended.returncode}"
