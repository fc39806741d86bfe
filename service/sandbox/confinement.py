"""Giving up rights: a process bounds its memory, time, files and reach before it looks at a stranger's bytes.

Linux only. Landlock is used where the kernel has it (5.13 and later); the resource limits hold everywhere.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_READ_FILE, _READ_DIR, _EXECUTE = 1 << 2, 1 << 3, 1 << 0
_FILE_RIGHTS_OF_ABI_1 = (1 << 13) - 1
_TCP_BIND_AND_CONNECT = 0b11
_O_PATH = getattr(os, "O_PATH", 0)


@dataclass(frozen=True)
class Limits:
    """What a child may use: address space in bytes, seconds of CPU a request, bytes a file, open files."""

    memory_bytes: int
    cpu_s: int
    file_bytes: int = 0
    open_files: int = 64


def confine(limits: Limits, readable: Iterable[Path]) -> None:
    """Bound this process for good: `limits`, no new privileges, reads only below `readable`, no TCP, no core dump."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.open_files, limits.open_files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _restrict_reach(libc, readable)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies, so that no orphan keeps a face in memory."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def allow_cpu(seconds: int) -> None:
    """Let this process use `seconds` more of CPU time; the limit counts from its start, so each request moves it on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _restrict_reach(libc: ctypes.CDLL, readable: Iterable[Path]) -> None:
    abi = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if abi < 1:
        return
    handled = struct.pack("=QQ", _FILE_RIGHTS_OF_ABI_1, _TCP_BIND_AND_CONNECT if abi >= 4 else 0)
    ruleset = libc.syscall(_CREATE_RULESET, handled, len(handled) if abi >= 4 else 8, 0)
    if ruleset < 0:
        return
    for path in readable:
        place = os.open(path, _O_PATH | os.O_CLOEXEC)
        rights = _READ_FILE | _EXECUTE | (_READ_DIR if path.is_dir() else 0)
        libc.syscall(_ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, place), 0)
        os.close(place)
    libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
