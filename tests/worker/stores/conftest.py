"""Both places for media, a directory and a bucket at a server that speaks S3; the job store."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from worker.stores.blobs.blobs import Blobs
from worker.stores.blobs.directory_blobs import DirectoryBlobs
from worker.stores.blobs.object_blobs import ObjectBlobs
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_store import JobStore


@pytest.fixture(params=["directory", "objects"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """A place for media that holds nothing yet."""
    if request.param == "directory":
        return DirectoryBlobs(tmp_path / "media")
    return ObjectBlobs(request.getfixturevalue("bucket"), tmp_path / "scratch", 1 << 20)


@pytest.fixture
def jobs(store: Redis) -> JobStore:
    return JobStore(store)


@pytest.fixture
def attempts(jobs: JobStore) -> JobAttempts:
    return JobAttempts(jobs)
