"""The memory this container may use: the one figure from which the limits of children follow.

A child that reaches its own limit fails one job with a code; a container that reaches its limit is
killed whole, with everything in it. So children get what the container leaves them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

MIB = 1 << 20
CGROUPS = Path("/sys/fs/cgroup")
# Beside its children a process holds about 100 MiB, and files in /tmp (256 MiB at most, by
# docker-compose.yml and the manifests) count as memory too.
RESERVE_BYTES = 512 * MIB
# Less than a child needs to load its models; below this the limit would only hide the cause.
LEAST_BYTES = 1024 * MIB


def fitting(wished_bytes: int, *, beside_bytes: int = 0) -> int:
    """Return a child's memory limit: what is wished for, or what the container leaves it.

    `beside_bytes` are what other children may use at the same time.
    """
    left = allowed_bytes() - RESERVE_BYTES - beside_bytes
    # The usual case: the machine is large enough, and nothing needs to be said.
    if left >= wished_bytes:
        return wished_bytes

    given = max(left, LEAST_BYTES)
    log.info(
        "child's memory follows the container's",
        extra={"wished_mib": wished_bytes // MIB, "given_mib": given // MIB},
    )
    return given


def allowed_bytes(cgroups: Path = CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> int:
    """Return the smallest memory limit around this process, the machine's memory among them."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(cgroups, membership)])


def _limits(cgroups: Path, membership: Path) -> Iterator[int]:
    for place in _places(cgroups, membership):
        for name in ("memory.max", "memory.limit_in_bytes"):  # version 2 and version 1
            try:
                text = (place / name).read_text().strip()
            except OSError:
                continue

            if text.isdigit():  # version 2 writes "max" for none
                yield int(text)


def _places(cgroups: Path, membership: Path) -> Iterator[Path]:
    """Yield the directories that may limit us: a container sees its own group at the root."""
    yield from (cgroups, cgroups / "memory")
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return

    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers or "memory" in controllers.split(","):
            root = cgroups / "memory" if controllers else cgroups
            group = root / path.lstrip("/")
            yield from (group, *(p for p in group.parents if p.is_relative_to(root)))
