"""Results of jobs are stamped by an authority, and are delivered all the same when it is away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.material import SAMPLES
from tests.worker.provenance.time_stamp_authority import SmallAuthority, small_authority
from tests.worker.video.conftest import VideoBench
from tests.worker.workers import performer
from worker.contract.jobs import JobRecord
from worker.contract.requests import JobRequest
from worker.process.attempts.task_runner import TaskRunner
from worker.process.provenance_issuer import ProvenanceIssuer
from worker.process.staging import Staging
from worker.provenance.credentials import read_credentials
from worker.provenance.provenance_store import ProvenanceStore
from worker.settings import WorkerSettings
from worker.use_cases.signing import Signing


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[SmallAuthority]:
    (tmp_path / "tsa").mkdir()
    with small_authority(tmp_path / "tsa") as made:
        yield made


def stamped(bench: VideoBench, folder: Path, url: str) -> tuple[JobRecord, ProvenanceIssuer]:
    """Swap an image with marks, credentials and a time-stamp authority."""
    settings = WorkerSettings(data_dir=folder, tsa_url=url)
    issuer = ProvenanceIssuer.open(settings, ProvenanceStore(bench.stores.media.blobs))
    assert issuer is not None
    staging = Staging(bench.stores.media.scratch)
    bench.runner = TaskRunner("bench", bench.stores, staging, performer(bench), issuer)
    bench.use_cases = {
        kind: Signing(use_case, bench.pack) for kind, use_case in bench.use_cases.items()
    }

    unmarked = bench.submit(SAMPLES / "cleo_neutral.jpg", kind="swap_image")
    bench.stores.jobs.request_cancel(unmarked.id)
    payload = unmarked.payload.model_copy(update={"mark_id": 5})
    job = bench.work(bench.stores.jobs.admit(JobRequest(payload)).job)
    assert job.status == "succeeded", job.error
    return job, issuer


def test_a_result_carries_the_authoritys_time_and_the_report_says_so(
    bench: VideoBench, tmp_path: Path, authority: SmallAuthority
) -> None:
    job, issuer = stamped(bench, tmp_path, authority.url)
    assert job.report["provenance"]["timestamp"] == "present"
    anchors = [*issuer.trust.anchors(), authority.root]
    with bench.result(job).open("rb") as file:
        seen = read_credentials(file, "image/jpeg", anchors)
    assert (seen.state, bool(seen.issued_on)) == ("trusted", True)


def test_a_result_is_delivered_when_the_authority_is_away(
    bench: VideoBench, tmp_path: Path
) -> None:
    job, _ = stamped(bench, tmp_path, "http://127.0.0.1:9/")
    assert job.report["provenance"]["timestamp"] == "missing"
    assert job.report["provenance"]["c2pa"] == "embedded"
