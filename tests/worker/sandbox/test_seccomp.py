"""The system call filter, run step by step for both architectures, and by a real kernel."""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from worker.sandbox import seccomp, syscalls
from worker.sandbox.seccomp import ALLOW, ARCHITECTURES, ENOSYS, EPERM, KILL_PROCESS, Instruction

PID = 4711
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def decide(program: list[Instruction], audit: int, number: int, *arguments: int) -> int:
    """Return what the kernel would answer to a call: classic BPF over its seccomp_data."""
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("=IIQ6Q", number, audit, 0, *padded)
    accumulator = position = 0

    while True:
        code, if_true, if_false, operand = program[position]
        position += 1

        match code:
            case seccomp.LOAD:
                (accumulator,) = struct.unpack_from("=I", data, operand)
            case seccomp.RETURN:
                return operand
            case seccomp.EQUAL:
                position += if_true if accumulator == operand else if_false
            case seccomp.GREATER:
                position += if_true if accumulator > operand else if_false
            case seccomp.ANY_BIT:
                position += if_true if accumulator & operand else if_false


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_what_is_listed_is_denied_and_the_rest_allowed(machine: str) -> None:
    architecture = ARCHITECTURES[machine]
    program = seccomp.program(architecture, PID)
    denied = {numbers[architecture.column] for numbers in syscalls.DENIED.values()} - {None}
    special = {
        numbers[architecture.column]
        for numbers in (
            syscalls.CLONE,
            syscalls.CLONE3,
            syscalls.KILL,
            syscalls.TGKILL,
            syscalls.PRLIMIT64,
            syscalls.SETPRIORITY,
        )
    }

    for number in range(syscalls.NEWEST + 1):
        expected = EPERM if number in denied else ALLOW
        if number not in special:
            assert decide(program, architecture.audit, number) == expected, number

    assert decide(program, architecture.audit, syscalls.NEWEST + 1) == ENOSYS
    assert decide(program, architecture.audit, 0x40000000 | 59) == ENOSYS  # x32


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_some_calls_are_decided_by_what_they_ask_for(machine: str) -> None:
    architecture = ARCHITECTURES[machine]
    program = seccomp.program(architecture, PID)
    column = architecture.column

    def answer(numbers: tuple[int, int], *arguments: int) -> int:
        return decide(program, architecture.audit, numbers[column], *arguments)

    assert answer(syscalls.CLONE, 0x3D0F00) == ALLOW  # a thread, as glibc starts one
    assert answer(syscalls.CLONE, 0x4111) == EPERM  # a process
    assert answer(syscalls.CLONE3) == ENOSYS
    assert [answer(syscalls.KILL, pid, 9) for pid in (PID, 1, 0, 2**32 - 1)] == [ALLOW] + [
        EPERM
    ] * 3
    assert [answer(syscalls.TGKILL, pid, 1, 6) for pid in (PID, 1)] == [ALLOW, EPERM]
    assert [answer(syscalls.PRLIMIT64, pid) for pid in (0, PID, 1)] == [ALLOW, ALLOW, EPERM]
    assert [answer(syscalls.SETPRIORITY, 0, pid) for pid in (0, 1)] == [ALLOW, EPERM]
    requests = (0x5401, seccomp.TIOCSTI, seccomp.TIOCLINUX)
    assert [answer(syscalls.IOCTL, 0, request) for request in requests] == [ALLOW, EPERM, EPERM]


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_a_gpu_needs_a_listening_unix_socket_and_gets_no_other(machine: str) -> None:
    architecture = ARCHITECTURES[machine]
    column = architecture.column
    plain = seccomp.program(architecture, PID)
    for_gpu = seccomp.program(architecture, PID, gpu=True)

    def answer(program: list[Instruction], name: str, *arguments: int) -> int:
        number = syscalls.DENIED[name][column]
        assert number is not None
        return decide(program, architecture.audit, number, *arguments)

    families = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
    assert [answer(plain, "socket", family) for family in families] == [EPERM] * 4
    assert [answer(for_gpu, "socket", family) for family in families] == [ALLOW] + [EPERM] * 3
    assert [answer(for_gpu, name) for name in ("bind", "listen")] == [ALLOW] * 2
    assert {
        answer(for_gpu, name)
        for name in syscalls.DENIED
        if syscalls.DENIED[name][column] is not None and name not in seccomp.OPEN_TO_GPU
    } == {EPERM}


def test_a_call_of_another_architecture_ends_the_process() -> None:
    program = seccomp.program(ARCHITECTURES["x86_64"], PID)
    assert decide(program, ARCHITECTURES["aarch64"].audit, 0) == KILL_PROCESS


@pytest.mark.parametrize("machine", HEADERS)
def test_the_numbers_are_those_of_the_systems_own_headers(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("no kernel headers here")

    lines = HEADERS[machine].read_text()
    known = {
        name: int(number)
        for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", lines)
    }
    column = ARCHITECTURES[machine].column

    for name, numbers in syscalls.DENIED.items():
        assert numbers[column] == known.get(name), name


def test_a_thread_that_ran_before_the_filter_is_under_it_too() -> None:
    script = """
import os, threading
from worker.sandbox.limits import Limits, set_limits
from worker.sandbox.seccomp import deny_system_calls
go, said = threading.Event(), []
def other():
    go.wait()
    try:
        os.fork() or os._exit(0)
        said.append("forked")
    except PermissionError:
        said.append("refused")
thread = threading.Thread(target=other)
thread.start()
set_limits(Limits())
assert deny_system_calls()
go.set()
thread.join()
print(*said)
"""

    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30
    )
    assert ended.stdout.strip() == "refused", ended.stderr
