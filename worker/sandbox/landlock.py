"""What a process can still open: files below a few directories, by Landlock (Linux 5.13)."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# the same on every architecture
CREATE_RULESET = 444
ADD_RULE = 445
RESTRICT_SELF = 446
ABI_VERSION = 1
PATH_BENEATH = 1

WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
REFER = 1 << 13
TRUNCATE = 1 << 14
IOCTL_DEVICE = 1 << 15
READ = READ_FILE | READ_DIR
# Not: programs, links, sockets, pipes and devices.
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_FILE | REFER | TRUNCATE
DEVICE = READ | WRITE_FILE | IOCTL_DEVICE
OF_A_FILE = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEVICE  # the rest is about directories

# All rights there are, by the interface's version: later ones add to earlier ones.
FILE_RIGHTS = {1: (1 << 13) - 1, 2: REFER, 3: TRUNCATE, 5: IOCTL_DEVICE}
NETWORK_RIGHTS = {4: 0b11}  # binding and connecting TCP
SCOPES = {6: 0b11}  # abstract unix sockets and signals stay within this process


@dataclass(frozen=True)
class Reach:
    """Files and directories, with all that is below them, by what may be done there."""

    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    devices: tuple[Path, ...] = ()


def restrict_files(reach: Reach) -> int:
    """Let this thread, and those it starts, open nothing but what is within reach, and no TCP.

    Needs no_new_privs. What is open already stays open; places that do not exist are left out.

    Returns:
        The version of the kernel's interface, all of whose rights are handled; 0 where there is no
        Landlock.

    Raises:
        OSError: the kernel has Landlock and refuses.
    """
    abi = _abi()
    if abi < 1:
        return 0

    handled = struct.pack(
        "=QQQ", _until(FILE_RIGHTS, abi), _until(NETWORK_RIGHTS, abi), _until(SCOPES, abi)
    )
    known = handled[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    ruleset = _call(CREATE_RULESET, known, len(known), 0)

    for rights, places in (
        (READ, reach.readable),
        (WRITE, reach.writable),
        (DEVICE, reach.devices),
    ):
        _allow(ruleset, rights & _until(FILE_RIGHTS, abi), places)

    _call(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return abi


def _abi() -> int:
    if sys.platform != "linux":
        return 0
    return int(ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, ABI_VERSION))


def _until(rights: dict[int, int], abi: int) -> int:
    return sum(bits for version, bits in rights.items() if version <= abi)


def _allow(ruleset: int, rights: int, places: Iterable[Path]) -> None:
    for place in places:
        if not place.exists():
            continue

        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
        granted = rights if place.is_dir() else rights & OF_A_FILE

        try:
            _call(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", granted, descriptor), 0)
        finally:
            os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    answer: int = libc.syscall(number, *arguments)

    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))

    return answer
