"""What confinement says of itself, on this kernel and on one that lacks something."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from worker.sandbox.confinement import Protection, SandboxUnavailable, require_complete

CONFINE = """
import sys
from pathlib import Path
from worker.sandbox.confinement import confine
from worker.sandbox.limits import Limits
print(confine(Limits(), writable=[Path(sys.argv[1])]).model_dump_json())
{then}
"""


def confined(folder: Path, then: str = "", lacking: str = "") -> subprocess.CompletedProcess[str]:
    """Run a script in a process that may write to one folder."""
    old = [sys.executable, "-m", "tests.worker.sandbox.old_kernel", lacking] if lacking else []
    script = [sys.executable, "-c", CONFINE.format(then=then), str(folder)]
    return subprocess.run([*old, *script], capture_output=True, text=True, timeout=30)


def test_this_kernel_enforces_everything(tmp_path: Path) -> None:
    protection = Protection.model_validate_json(confined(tmp_path).stdout)
    assert protection.seccomp
    assert protection.missing == ()
    require_complete(protection)


@pytest.mark.parametrize("lacking", [("landlock",), ("seccomp",), ("landlock", "seccomp")])
def test_what_the_kernel_lacks_is_said(tmp_path: Path, lacking: tuple[str, ...]) -> None:
    protection = Protection.model_validate_json(
        confined(tmp_path, lacking=",".join(lacking)).stdout
    )
    assert protection.missing == lacking

    with pytest.raises(SandboxUnavailable, match=" and ".join(lacking)):
        require_complete(protection)


def test_files_are_written_within_reach_and_nowhere_else(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    outside = tmp_path / "outside"

    for folder in (inside, outside):
        folder.mkdir()

    then = f"""
import json, os
def attempt(deed):
    try:
        deed()
        return True
    except OSError:
        return False
inside, outside = Path({str(inside)!r}), Path({str(outside)!r})
print(json.dumps({{
    "write": attempt(lambda: (inside / "a").write_text("x")),
    "rename": attempt(lambda: os.replace(inside / "a", inside / "b")),
    "directory": attempt(lambda: (inside / "d").mkdir()),
    "remove": attempt(lambda: (inside / "b").unlink()),
    "outside": attempt(lambda: (outside / "a").write_text("x")),
    "list": attempt(lambda: os.listdir(outside)),
    "link": attempt(lambda: os.symlink("/etc/passwd", inside / "s")),
    "pipe": attempt(lambda: os.mkfifo(inside / "f")),
}}))
"""

    said = json.loads(confined(inside, then).stdout.splitlines()[1])
    possible = {name for name, done in said.items() if done}
    assert possible == {"write", "rename", "directory", "remove"}


def test_a_process_with_threads_is_not_half_confined() -> None:
    script = """
import threading
from worker.sandbox.confinement import confine
from worker.sandbox.limits import Limits
threading.Thread(target=threading.Event().wait, daemon=True).start()
confine(Limits())
"""

    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30
    )
    assert "before it starts threads" in ended.stderr
