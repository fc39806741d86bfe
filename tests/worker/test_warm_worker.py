"""A real worker on a real store: what it does with jobs, and with being killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.workers import Bench


@pytest.fixture
def bench(store_url: str, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(store_url, tmp_path)
    yield bench
    bench.close()


def test_jobs_run_one_after_another_in_one_warm_child(bench: Bench) -> None:
    bench.start_worker()
    jobs = [bench.wait_for(bench.submit()) for _ in range(3)]
    assert [job.status for job in jobs] == ["succeeded"] * 3
    assert len({job.report["pid"] for job in jobs}) == 1
    assert all(job.report["counters"]["models_loaded"] == 0 for job in jobs)
    assert bench.result(jobs[0]).endswith(b"input")
    assert oct(bench.shop.media.result_path(jobs[0]).stat().st_mode)[-3:] == "600"
