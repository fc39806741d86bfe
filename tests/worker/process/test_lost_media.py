"""A worker that does not see the media that everybody else sees harms no job."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.workers import Bench, eventually
from worker.stores.media.installation import MARKER


@pytest.fixture
def bench(store_url: str, tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "shared").mkdir()
    bench = Bench(store_url, tmp_path / "shared")
    bench.stores.media.installation.join()
    yield bench
    bench.close()


@pytest.fixture
def elsewhere(store_url: str, tmp_path: Path) -> Iterator[Bench]:
    """Where a worker runs on which the shared volume is not mounted."""
    (tmp_path / "own").mkdir()
    bench = Bench(store_url, tmp_path / "own")
    yield bench
    bench.close()


def test_a_worker_without_the_shared_volume_refuses_to_start(
    bench: Bench, elsewhere: Bench
) -> None:
    job = bench.submit()
    worker = elsewhere.start_worker(wait=False)
    assert worker.wait(timeout=30) == 1
    assert "media_unsuitable" in elsewhere.log_text()
    assert "mount the same directory" in elsewhere.log_text()
    assert bench.get(job).status == "queued"


def test_a_worker_that_loses_the_shared_volume_hands_its_attempt_back(
    bench: Bench, elsewhere: Bench
) -> None:
    shutil.copy(bench.stores.media.scratch / MARKER, elsewhere.stores.media.scratch / MARKER)
    elsewhere.start_worker()
    shutil.rmtree(elsewhere.stores.media.scratch)  # unmounted

    job = bench.submit()
    eventually(lambda: bool(elsewhere.events("media out of reach")), 20, "an attempt handed back")
    assert bench.get(job).status in ("queued", "running")

    bench.start_worker()
    ended = bench.wait_for(job, timeout_s=40)
    assert (ended.status, ended.error) == ("succeeded", None)
