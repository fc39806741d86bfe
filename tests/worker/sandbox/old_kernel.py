"""Run a command as if the kernel lacked `landlock`, `seccomp` or both.

python -m tests.worker.sandbox.old_kernel NAME[,NAME] COMMAND...
"""

from __future__ import annotations

import os
import platform
import sys

from worker.sandbox.landlock import CREATE_RULESET
from worker.sandbox.limits import Limits, set_limits
from worker.sandbox.seccomp import (
    ALLOW,
    ARCHITECTURES,
    ENOSYS,
    EQUAL,
    LOAD,
    NUMBER,
    RETURN,
    install,
)

if __name__ == "__main__":
    architecture = ARCHITECTURES[platform.machine()]
    numbers = {"landlock": CREATE_RULESET, "seccomp": architecture.seccomp}
    lacking = [numbers[name] for name in sys.argv[1].split(",")]
    set_limits(Limits(memory_bytes=None, file_bytes=None, open_files=None))
    steps = [(LOAD, 0, 0, NUMBER)]
    for number in lacking:
        steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ENOSYS)]
    assert install([*steps, (RETURN, 0, 0, ALLOW)], architecture)
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the test's own command
