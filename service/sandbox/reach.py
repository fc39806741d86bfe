"""What a sandboxed child can still reach: files below a few directories, by Landlock where the
kernel has it (5.13).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_ABI_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_EVERY_FILE_RIGHT = (1 << 13) - 1
_TCP_BIND_AND_CONNECT = 0b11
_ABI_WITH_TCP = 4


def restrict_reach(readable: Iterable[Path]) -> bool:
    """Let this process open only files below `readable`, to read them, and no TCP; False where
    Landlock is missing.

    Needs no_new_privs. What is open already stays open.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(_CREATE_RULESET, None, 0, _ABI_VERSION)
    if abi < 1:
        return False
    handled = struct.pack("=Q", _EVERY_FILE_RIGHT)
    if abi >= _ABI_WITH_TCP:
        handled += struct.pack("=Q", _TCP_BIND_AND_CONNECT)
    ruleset = _checked(libc.syscall(_CREATE_RULESET, handled, len(handled), 0))
    for path in readable:
        _allow(libc, ruleset, path)
    _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)
    return True


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    rights = _EXECUTE | _READ_FILE | (_READ_DIR if path.is_dir() else 0)
    _checked(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0))
    os.close(place)


def _checked(answer: int) -> int:
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return answer
