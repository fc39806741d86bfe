"""Uploads, results and what was lost in a crash go when they are due, and not before."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from tests.clock import Clock
from tests.service.jobs.ended_job import ended_job
from tests.vaults import vault_of
from tests.worker.stores.media.conftest import made, upload
from worker.contract.jobs import Task
from worker.contract.options import Assignment
from worker.contract.requests import JobPayload, JobRequest
from worker.errors import (
    IdentityErased,
    ResultExpired,
    UnknownMedia,
)
from worker.process.upkeep.expiry import BATCH, ExpirySweep
from worker.stores.audit_log import AuditLog
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.ids import new_id
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_records import JobReport
from worker.stores.jobs.job_store import JobStore
from worker.stores.media.media_store import MediaStore


def is_there(media: MediaStore, media_id: str) -> bool:
    """Whether an upload's bytes are where its record says."""
    return media.blobs.exists(media.name(media.stat(media_id)))


def test_an_upload_goes_when_it_is_due_and_not_before(
    media: MediaStore, sweep: ExpirySweep, clock: Clock
) -> None:
    media_id = upload(media, ttl_s=60)
    name = media.name(media.stat(media_id))
    clock.now += 59
    assert sweep.run() == 0
    clock.now += 2
    assert sweep.run() == 1
    assert not media.blobs.exists(name)

    with pytest.raises(UnknownMedia):
        media.stat(media_id)


def test_an_upload_that_a_job_needs_stays_until_the_job_ends(
    media: MediaStore, sweep: ExpirySweep, clock: Clock, store: Redis
) -> None:
    jobs = JobStore(store, clock=clock)
    media_id = upload(media, ttl_s=60)
    job = jobs.admit(JobRequest(JobPayload(kind="analysis", tenant="acme", input_id=media_id))).job
    clock.now += 120
    sweep.run()
    assert is_there(media, media_id)
    jobs.request_cancel(job.id)
    clock.now += 60
    sweep.run()

    with pytest.raises(UnknownMedia):
        media.stat(media_id)


def test_a_result_is_named_by_its_content_and_goes_when_it_is_due(
    media: MediaStore, sweep: ExpirySweep, clock: Clock, store: Redis, tmp_path: Path
) -> None:
    jobs = JobStore(store, clock=clock)
    job_id = ended_job(jobs, clock)
    sha256 = media.results.publish(job_id, made(tmp_path, b"result"), ".png")
    assert sha256 == hashlib.sha256(b"result").hexdigest()
    name = f"jobs/{job_id}/{sha256}.png"
    assert media.blobs.read(name) == b"result"
    clock.now += jobs.limits.result_ttl_s + 1
    sweep.run()
    assert not media.blobs.exists(name)
    assert jobs.get(job_id).status == "failed"


def test_much_that_is_due_at_once_goes_in_one_sweep(
    media: MediaStore, sweep: ExpirySweep, clock: Clock
) -> None:
    made = [upload(media) for _ in range(BATCH + 5)]
    clock.now += 61
    assert sweep.run() == len(made)


def test_an_identity_whose_consent_ran_out_is_erased_and_that_is_on_record(
    sweep: ExpirySweep, clock: Clock, store: Redis
) -> None:
    identities = IdentityStore(store, vault_of(store), clock=clock)
    identity_id = new_id("idn")
    record = IdentityRecord(identity_id, "acme", "open@1", clock.now, expires_at=clock.now + 60)
    identities.put(record, b"code", b"weights")
    clock.now += 61
    sweep.run()

    with pytest.raises(IdentityErased):
        identities.get(identity_id, "acme")

    (entry,) = AuditLog(store).pending()
    assert (entry.body["event"], entry.body["subject"]) == ("identity.expired", identity_id)


@pytest.mark.parametrize(
    ("consent_s", "code"),
    [
        (60, "consent_expired"),
        # Made for one job, an identity ends before its consent does.
        (3600, "identity_erased"),
        (None, "identity_erased"),
    ],
)
@pytest.mark.parametrize("is_running", [False, True])
def test_jobs_of_an_identity_that_ends_are_told_why(
    sweep: ExpirySweep,
    clock: Clock,
    store: Redis,
    consent_s: float | None,
    code: str,
    is_running: bool,
) -> None:
    identities = IdentityStore(store, vault_of(store), clock=clock)
    ends = consent_s and datetime.fromtimestamp(clock.now + consent_s, UTC).isoformat()
    record = IdentityRecord(
        new_id("idn"),
        "acme",
        "open@1",
        clock.now,
        expires_at=clock.now + 60,
        consent={"expires_at": ends},
    )
    identities.put(record, b"code", b"weights")

    jobs = JobStore(store, clock=clock)
    assigned = (Assignment(identity_id=record.id),)
    payload = JobPayload(kind="swap_image", tenant="acme", assignments=assigned)
    job = jobs.admit(JobRequest(payload), deliver=True).job
    if is_running:
        JobAttempts(jobs).begin(Task(job.id, 1), "w1")

    clock.now += 61
    sweep.run()
    assert jobs.get(job.id).status == ("canceling" if is_running else "canceled")
    jobs.settle_cancel(job.id)  # as the attempt does when it hears of it

    ended = jobs.get(job.id)
    assert ended.error is not None
    assert (ended.status, ended.error.code) == ("canceled", code)


def test_what_a_canceled_videos_parts_left_is_removed(
    media: MediaStore, sweep: ExpirySweep, store: Redis, tmp_path: Path
) -> None:
    jobs = JobStore(store)
    job = jobs.admit(JobRequest(JobPayload(kind="swap_video", tenant="acme"))).job
    sha256 = media.results.publish(job.id, made(tmp_path, b"part"), ".part", part=True)
    sweep.run()
    media.results.bring_part(job.id, sha256, ".part", tmp_path / "brought")
    assert (tmp_path / "brought").read_bytes() == b"part"
    jobs.request_cancel(job.id)
    sweep.run()
    assert not media.blobs.exists(f"jobs/{job.id}/parts/{sha256}.part")


def test_an_expired_result_is_gone_even_before_the_sweep(
    media: MediaStore, clock: Clock, store: Redis, tmp_path: Path
) -> None:
    from worker.contract.jobs import JobResult, Task
    from worker.stores.jobs.job_attempts import JobAttempts

    jobs = JobStore(store, clock=clock)
    job = jobs.admit(JobRequest(JobPayload(kind="analysis", tenant="acme"))).job
    sha256 = media.results.publish(job.id, made(tmp_path, b"result"), ".png")
    attempts = JobAttempts(jobs, clock)
    attempts.begin(Task(job.id, 1), "by hand")
    attempts.commit(Task(job.id, 1), JobResult(sha256, 6, "image/png", ".png"), JobReport({}, {}))
    with media.results.open(jobs.get(job.id)) as file:
        assert file.read() == b"result"
    clock.now += jobs.limits.result_ttl_s + 1

    with pytest.raises(ResultExpired):
        media.results.open(jobs.get(job.id))


def test_files_that_lost_their_owner_in_a_crash_are_swept(
    shelf: MediaStore, clock: Clock, store: Redis, tmp_path: Path
) -> None:
    kept = shelf.name(shelf.stat(upload(shelf, ttl_s=10**6)))
    (shelf.incoming / new_id("upl")).write_bytes(b"half")
    shelf.blobs.put(made(tmp_path, b"no record"), f"uploads/{kept[8:10]}/{new_id('upl')}.png")
    shelf.results.publish(new_id("job"), made(tmp_path, b"no job"), ".png")

    for path in [*shelf.scratch.rglob("*")]:
        os.utime(path, (clock.now - 7200, clock.now - 7200))

    assert (
        ExpirySweep(
            shelf, IdentityStore(store, vault_of(store), clock=clock), clock
        ).sweep_orphans()
        == 3
    )
    left = [path for path in shelf.scratch.rglob("*") if path.is_file()]
    assert left == [shelf.scratch / kept]
