"""What the kernel enforces is said by /readyz and the metrics, and may be required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.material import PACKS
from tests.service.live_service import LiveService
from worker.sandbox.limits import AUTOGROUP, AWAITED_NICENESS, NICENESS


def test_readyz_and_metrics_say_what_confines_the_children(
    enrolling: LiveService, client: httpx.Client
) -> None:
    sandbox = client.get("/readyz").json()["checks"]["sandbox"]
    assert {"probe", "enrolment"} <= sandbox.keys()

    for child in ("probe", "enrolment"):
        assert sandbox[child]["seccomp"]
        assert sandbox[child]["missing"] == []
        line = f'likeness_sandbox{{process="{child}",protection="landlock"}} 1.0'
        assert line in client.get("/metrics").text


def test_a_service_that_requires_a_sandbox_does_not_start_without(
    store_url: str, tmp_path: Path
) -> None:
    old_kernel = [sys.executable, "-m", "tests.worker.sandbox.old_kernel", "landlock"]
    ended = subprocess.run(
        [*old_kernel, sys.executable, "-m", "service", "serve"],
        env=os.environ
        | {
            "LIKENESS_REQUIRE_SANDBOX": "true",
            "LIKENESS_REDIS_URL": store_url,
            "LIKENESS_DATA_DIR": str(tmp_path),
            "LIKENESS_PACKS_DIR": str(PACKS),
            "LIKENESS_PORT": "0",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode != 0
    assert "This kernel lacks landlock" in ended.stderr


def test_the_child_that_everybody_waits_for_gives_way_least(enrolling: LiveService) -> None:
    niceness = {
        name: child.nice() - psutil.Process().nice()
        for child in psutil.Process().children(recursive=True)
        for name in ("enrolment_child", "probe_child")
        if name in " ".join(child.cmdline())
    }
    assert 0 < niceness["enrolment_child"] < niceness["probe_child"]


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel shares nothing out by sessions")
def test_children_give_way_to_other_sessions_too(enrolling: LiveService) -> None:
    groups = {
        name: Path(f"/proc/{child.pid}/autogroup").read_text().split()[-1]
        for child in psutil.Process().children(recursive=True)
        for name in ("enrolment_child", "probe_child")
        if name in " ".join(child.cmdline())
    }
    assert groups == {
        "enrolment_child": str(AWAITED_NICENESS),
        "probe_child": str(NICENESS),
    }
