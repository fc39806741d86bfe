"""Children's limits follow the container's, whichever version of cgroups tells it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.process.memory import LEAST_BYTES, RESERVE_BYTES, allowed_bytes, fitting

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
LIMIT = MACHINE // 2 // 4096 * 4096


@pytest.mark.parametrize(
    ("file", "membership"),
    [
        ("memory.max", "0::/\n"),
        ("memory/memory.limit_in_bytes", "7:memory:/\n0::/\n"),
        ("system.slice/likeness.service/memory.max", "0::/system.slice/likeness.service\n"),
        ("system.slice/memory.max", "0::/system.slice/likeness.service\n"),
        ("memory/pod/memory.limit_in_bytes", "3:cpu,memory:/pod/container\n"),
    ],
)
def test_the_smallest_limit_around_the_process_counts(
    tmp_path: Path, file: str, membership: str
) -> None:
    for name, text in ((file, f"{LIMIT}\n"), ("memory.max", "max\n")):
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)

        if not path.exists():
            path.write_text(text)

    (tmp_path / "self").write_text(membership)
    assert allowed_bytes(tmp_path / "cgroup", tmp_path / "self") == LIMIT


def test_without_limits_the_machine_is_the_limit(tmp_path: Path) -> None:
    assert allowed_bytes(tmp_path, tmp_path / "nothing") == MACHINE


def test_a_child_gets_its_wish_or_what_is_left() -> None:
    allowed = allowed_bytes()
    assert fitting(1 << 20) == 1 << 20
    if allowed > LEAST_BYTES + RESERVE_BYTES:
        assert fitting(2 * allowed) == allowed - RESERVE_BYTES
    assert fitting(2 * allowed, beside_bytes=allowed) == LEAST_BYTES
