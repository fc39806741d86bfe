"""A seccomp filter that denies a process and all its threads what `syscalls` names, irrevocably.

A list of what is denied, not of what is allowed: the C library, ONNX Runtime, torch and CUDA differ
in what they need from version to version, and a call they miss would be a job that fails. What the
list cannot know, calls newer than itself, is denied as a whole.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from worker.sandbox import syscalls

# One instruction of classic BPF: code, jump if true, jump if false, operand.
Instruction = tuple[int, int, int, int]

# Operations of classic BPF (linux/bpf_common.h).
LOAD = 0x20
EQUAL = 0x15
GREATER = 0x25
ANY_BIT = 0x45
RETURN = 0x06
# What the filter may return (linux/seccomp.h); the last two refuse the call with this error.
ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
EPERM = 0x00050001
ENOSYS = 0x00050026
# Offsets in the kernel's `seccomp_data`.
NUMBER = 0
ARCHITECTURE = 4
ARGUMENTS = 16

CLONE_THREAD: Final = 0x10000
AF_UNIX: Final = 1
# What CUDA's driver calls before it shows a device: found by opening the list call by call on an
# H100 (driver 580). Its socket is a unix one that it listens on; nothing here may connect.
OPEN_TO_GPU: Final = frozenset({"memfd_create", "sched_setaffinity", "socket", "bind", "listen"})
# They put characters into a terminal's input, as if its owner had typed them.
TIOCSTI = 0x5412
TIOCLINUX = 0x541C
SET_MODE_FILTER = 1
FILTER_FLAG_TSYNC = 1


@dataclass(frozen=True)
class Architecture:
    """`column` of the number tables, the kernel's name (AUDIT_ARCH) and seccomp's own number."""

    column: int
    audit: int
    seccomp: int


ARCHITECTURES: Final = {
    "x86_64": Architecture(column=0, audit=0xC000003E, seccomp=317),
    "aarch64": Architecture(column=1, audit=0xC00000B7, seccomp=277),
}


def deny_system_calls(gpu: bool = False) -> bool:
    """Install the filter in all threads of this process; False where the kernel has no seccomp.

    Needs no_new_privs. With `gpu`, calls stay open that a GPU's driver makes.
    """
    architecture = ARCHITECTURES.get(platform.machine())
    if sys.platform != "linux" or architecture is None:
        return False

    return install(program(architecture, os.getpid(), gpu), architecture)


def install(steps: Sequence[Instruction], architecture: Architecture) -> bool:
    """Have the kernel run a filter on each call from now on; False where it does not take one."""
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code)
    header = struct.pack("=HxxxxxxQ", len(steps), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    answer = libc.syscall(architecture.seccomp, SET_MODE_FILTER, FILTER_FLAG_TSYNC, header)

    return bool(answer == 0)


def program(architecture: Architecture, pid: int, gpu: bool = False) -> list[Instruction]:
    """Return the filter for the process `pid`.

    Beside the list: new processes (threads are allowed), signals to and limits of other processes,
    and typing into a terminal.
    """
    column = architecture.column
    denied = {
        numbers[column]
        for name, numbers in syscalls.DENIED.items()
        if not gpu or name not in OPEN_TO_GPU
    }
    unix_sockets = _only(syscalls.SOCKET[column], argument=0, values=[AF_UNIX]) if gpu else ()

    return [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, architecture.audit),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER),
        # Also x32 calls, whose numbers have bit 30 set.
        (GREATER, 0, 1, syscalls.NEWEST),
        (RETURN, 0, 0, ENOSYS),
        *(step for number in sorted(n for n in denied if n is not None) for step in _deny(number)),
        *_deny(syscalls.CLONE3[column], ENOSYS),  # its arguments cannot be seen; clone is next
        *_unless_any_bit(syscalls.CLONE[column], argument=0, bits=CLONE_THREAD),
        *_only(syscalls.KILL[column], argument=0, values=[pid]),
        *_only(syscalls.TGKILL[column], argument=0, values=[pid]),
        *_only(syscalls.PRLIMIT64[column], argument=0, values=[0, pid]),
        *_only(syscalls.SETPRIORITY[column], argument=1, values=[0, pid]),
        *unix_sockets,
        *_not(syscalls.IOCTL[column], argument=1, values=[TIOCSTI, TIOCLINUX]),
        (RETURN, 0, 0, ALLOW),
    ]


def _deny(number: int, answer: int = EPERM) -> Sequence[Instruction]:
    return [(EQUAL, 0, 1, number), (RETURN, 0, 0, answer)]


def _only(number: int, argument: int, values: Iterable[int]) -> Sequence[Instruction]:
    """Deny the call unless an argument is one of the values."""
    tests = [step for value in values for step in ((EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW))]
    return _by_argument(number, argument, [*tests, (RETURN, 0, 0, EPERM)])


def _not(number: int, argument: int, values: Iterable[int]) -> Sequence[Instruction]:
    """Deny the call when an argument is one of the values."""
    tests = [step for value in values for step in ((EQUAL, 0, 1, value), (RETURN, 0, 0, EPERM))]
    return _by_argument(number, argument, [*tests, (RETURN, 0, 0, ALLOW)])


def _unless_any_bit(number: int, argument: int, bits: int) -> Sequence[Instruction]:
    """Deny the call unless one of the bits is set in an argument."""
    test = [(ANY_BIT, 0, 1, bits), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, EPERM)]
    return _by_argument(number, argument, test)


def _by_argument(
    number: int, argument: int, decision: Sequence[Instruction]
) -> Sequence[Instruction]:
    """Decide a call by the lower half of an argument: all of those looked at have 32 bits."""
    load = (LOAD, 0, 0, ARGUMENTS + 8 * argument)
    return [(EQUAL, 0, len(decision) + 1, number), load, *decision]
