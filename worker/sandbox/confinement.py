"""The one way in which a child that decodes untrusted bytes is confined, and what came of it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Literal

from worker.contract.options import Strict
from worker.errors import WorkerError
from worker.sandbox.landlock import Reach, restrict_files
from worker.sandbox.limits import NICENESS, Limits, give_way, set_limits
from worker.sandbox.seccomp import deny_system_calls

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("service", "worker", "models")
# Landlock's third version (Linux 6.2) is the first that keeps a file opened for reading from being
# emptied. Later versions add rights that the seccomp filter takes away anyway.
LEAST_LANDLOCK = 3

# Where modules and shared libraries lie, and what numerical libraries ask of the machine. No data
# directory is among these.
SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/dev/null",
    "/dev/urandom",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)
# What CUDA opens beside that: its device nodes, its driver's parameters, this process's own maps.
GPU_READABLE = ("/proc/self", "/proc/devices", "/proc/driver", "/proc/modules", "/proc/sys/vm")
GPU_SYSTEM = ("/sys/bus/pci", "/sys/class", "/sys/devices", "/sys/module")
GPU_DEVICES = ("nvidia*", "nvidia-caps/*")
GPU_WRITABLE = Path("/proc/self/task")  # it names its threads, and gives up where it cannot

Device = Literal["cpu", "cuda"]
PROTECTIONS = ("landlock", "seccomp")


class Protection(Strict):
    """What the kernel enforces on a child: the version of Landlock (0: none) and seccomp."""

    landlock: int = 0
    seccomp: bool = False
    rules: Device = "cpu"

    @property
    def missing(self) -> tuple[str, ...]:
        """Those of `PROTECTIONS` that this kernel lacks; empty when all is as meant."""
        holds = {"landlock": self.landlock >= LEAST_LANDLOCK, "seccomp": self.seccomp}
        return tuple(name for name in PROTECTIONS if not holds[name])


class SandboxUnavailable(WorkerError):
    code = "sandbox_unavailable"
    message = "This kernel cannot confine the processes that decode untrusted bytes."


def require_complete(protection: Protection | None) -> None:
    """Refuse a child that is not confined as meant.

    Raises:
        SandboxUnavailable: what is missing, and what to do.
    """
    if missing := (protection or Protection()).missing:
        raise SandboxUnavailable(
            f"This kernel lacks {' and '.join(missing)}, which LIKENESS_REQUIRE_SANDBOX asks for: "
            "use Linux 6.2 or later with Landlock enabled, or unset it."
        )


def rules_for(device: str) -> Device:
    """Return the rules a child on this device needs: "auto" may mean CUDA where its nodes are."""
    return "cuda" if device in ("auto", "cuda") and Path("/dev/nvidiactl").exists() else "cpu"


def memory_bound(memory_bytes: int, rules: Device) -> int | None:
    """Return the bound of a child's address space; none for CUDA, which maps far more than it uses.

    There the container's own limit must do.
    """
    return None if rules == "cuda" else memory_bytes


def confine(
    limits: Limits,
    readable: Iterable[Path] = (),
    writable: Iterable[Path] = (),
    device: Device = "cpu",
    niceness: int = NICENESS,
) -> Protection:
    """Confine this process; call it first, before any thread and before heavy imports.

    Beside the code it can open only what is `readable` (files and directories to read) and
    `writable` (directories to read and change). No network, no other program, no other process.

    Raises:
        RuntimeError: a thread runs already, which Landlock would not reach.
        OSError: the kernel has the means and refuses.
    """
    if _threads() > 1:
        raise RuntimeError("a child must be confined before it starts threads")
    for package in PACKAGES:
        import_module(package)  # the directory they lie in cannot be listed afterwards

    gpu = device == "cuda"
    reach = Reach(
        readable=(*_code(), *readable, *(_gpu_places() if gpu else ())),
        writable=(*writable, GPU_WRITABLE) if gpu else tuple(writable),
        devices=_gpu_nodes() if gpu else (),
    )

    give_way(niceness)
    set_limits(limits)
    protection = Protection(
        landlock=restrict_files(reach), seccomp=deny_system_calls(gpu), rules=device
    )

    if protection.missing:
        log.warning("child not fully confined", extra={"missing": list(protection.missing)})

    return protection


def _threads() -> int:
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else 1


def _code() -> tuple[Path, ...]:
    places = [ROOT / package for package in PACKAGES]
    return (*places, Path(sys.prefix), Path(sys.base_prefix), *map(Path, SYSTEM))


def _gpu_places() -> tuple[Path, ...]:
    return tuple(map(Path, (*GPU_READABLE, *GPU_SYSTEM)))


def _gpu_nodes() -> tuple[Path, ...]:
    return tuple(node for pattern in GPU_DEVICES for node in Path("/dev").glob(pattern))
