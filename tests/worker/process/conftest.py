"""A store, a data directory, and the workers on them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.workers import Bench, eventually


@pytest.fixture
def bench(store_url: str, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(store_url, tmp_path)
    yield bench
    bench.close()


def outputs(bench: Bench, job_id: str) -> list[str]:
    """Return what lies in the job's directory, which its worker may be clearing at this moment."""
    walk = os.walk(bench.stores.media.scratch / "jobs" / job_id)
    return sorted(name for _, folders, files in walk for name in [*folders, *files])


def is_cleared(bench: Bench, job_id: str) -> bool:
    """Return true soon after a job's end: its state is final before its files are gone."""
    return eventually(lambda: not outputs(bench, job_id), 5, "end of the job's files") < 5
