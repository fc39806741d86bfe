"""Limits a process puts on itself before it decodes untrusted bytes; none can be taken back.

On systems other than Linux the rlimits hold and the rest is left out.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path

from worker.contract.options import Strict

NICENESS = 5
# Of a child that everybody's requests wait for, one at a time: it gets two and a half times as much
# of the processors as one that swaps.
AWAITED_NICENESS = 1
AUTOGROUP = Path("/proc/self/autogroup")
AUTOGROUP_TRIES = 20  # two seconds: as many children may start at once
PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
# What a child with an emptied environment still needs to find its GPU: which devices are its own,
# in which order they count, and where a host without CUDA wheels keeps the libraries.
DEVICE_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "LD_LIBRARY_PATH")


class Limits(Strict):
    """Bounds of a child that decodes; None leaves one out."""

    memory_bytes: int | None = 8 << 30
    file_bytes: int | None = 16 << 30
    open_files: int | None = 1024
    cpu_s: int | None = 4 * 3600


def device_environment() -> dict[str, str]:
    """Return those of our environment's variables that say which GPU a child may use."""
    return {name: os.environ[name] for name in DEVICE_VARIABLES if name in os.environ}


def set_limits(limits: Limits) -> None:
    """Give up gaining privileges and set the limits of this process and all it starts."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    for kind, bound in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),  # a core file would hold faces
    ):
        if bound is not None:
            resource.setrlimit(kind, (bound, bound))

    os.umask(0o077)


def allow_cpu(seconds: int | None) -> None:
    """Let the process use this much more CPU time from now on; beyond it the kernel ends it."""
    if seconds is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(
            resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds, hard)
        )


def give_way(niceness: int = NICENESS) -> None:
    """Let others go first where processors are few: what answers must not wait for what computes.

    By default a third of a share beside a process that does not give way; all of it beside none.
    """
    os.nice(niceness)
    # Linux may share out processors among sessions first, where a nice value says nothing to
    # another session's processes; the session then has one of its own. Not one that is shared.
    if os.getsid(0) == os.getpid() and AUTOGROUP.exists():
        _set_autogroup(str(niceness).encode())


def _set_autogroup(niceness: bytes) -> None:
    for _ in range(AUTOGROUP_TRIES):
        try:
            AUTOGROUP.write_bytes(niceness)
        except BlockingIOError:
            # Without privileges one process of the whole machine may do this every 100 ms.
            time.sleep(0.11)
        except OSError:
            return  # read-only in some containers, whose own groups share out the processors
        else:
            return


def die_with(parent_pid: int) -> None:
    """Be killed when the parent ends, however it ends.

    A child that outlived it would work beside its successor.
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before we asked
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    if sys.platform != "linux":
        return

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
