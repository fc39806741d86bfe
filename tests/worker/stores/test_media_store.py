"""Files of uploads and jobs: private, whole, and gone when they are due."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from redis import Redis

from tests.clock import Clock
from tests.service.jobs.ended_job import ended_job
from worker.contract import JobPayload, JobRequest
from worker.errors import IdentityErased, ResultExpired, UnknownMedia
from worker.process.expiry import BATCH, ExpirySweep
from worker.stores.audit_log import AuditLog
from worker.stores.identity_records import IdentityRecord
from worker.stores.identity_store import IdentityStore
from worker.stores.ids import new_id
from worker.stores.jobs.job_records import JobReport
from worker.stores.jobs.job_store import JobStore
from worker.stores.media_store import MediaStore
from worker.stores.uploads import MediaFacts

PNG = MediaFacts("image/png", ".png", 4, 3, 1)


@pytest.fixture
def media(tmp_path: Path, store: Redis, clock: Clock) -> MediaStore:
    return MediaStore(tmp_path / "media", store, clock)


@pytest.fixture
def sweep(media: MediaStore, store: Redis, clock: Clock) -> ExpirySweep:
    return ExpirySweep(media, IdentityStore(store, clock=clock), clock)


def upload(media: MediaStore, tenant: str = "acme", ttl_s: float = 60.0) -> str:
    writer = media.begin_write(tenant)
    writer.write(b"picture")
    return writer.commit(PNG, ttl_s).id


def test_an_upload_is_kept_under_our_name_for_its_tenant_alone(media: MediaStore) -> None:
    media_id = upload(media)
    record = media.stat(media_id, "acme")
    assert (record.bytes, record.facts) == (7, PNG)

    with media.open(media_id, "acme") as file:
        assert file.read() == b"picture"

    for tenant, wanted in (
        ("rival", media_id),
        ("acme", new_id("upl")),
        ("acme", "upl_../../../etc/passwd"),
    ):
        with pytest.raises(UnknownMedia):
            media.stat(wanted, tenant)


def test_files_are_private(media: MediaStore) -> None:
    path = media.path(media.stat(upload(media)))
    assert oct(path.stat().st_mode)[-3:] == "600"
    assert all(
        oct(parent.stat().st_mode)[-3:] == "700"
        for parent in (path.parent, path.parent.parent, media.root)
    )


def test_an_aborted_upload_leaves_nothing(media: MediaStore, store: Redis) -> None:
    writer = media.begin_write("acme")
    writer.write(b"half")
    writer.abort()
    assert not [path for path in media.root.rglob("*") if path.is_file()]
    assert store.keys("lk:media:*") == []


def test_an_upload_goes_when_it_is_due_and_not_before(
    media: MediaStore, sweep: ExpirySweep, clock: Clock
) -> None:
    media_id = upload(media, ttl_s=60)
    path = media.path(media.stat(media_id))
    clock.now += 59
    assert sweep.run() == 0
    clock.now += 2
    assert sweep.run() == 1
    assert not path.exists()

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
    assert media.path(media.stat(media_id)).exists()
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
    file = tmp_path / "output"
    file.write_bytes(b"result")
    sha256 = media.publish(job_id, file, ".png")
    assert [path.name for path in media.job_dir(job_id).iterdir()] == [f"{sha256}.png"]
    clock.now += jobs.limits.result_ttl_s + 1
    sweep.run()
    assert not media.job_dir(job_id).exists()
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
    identities = IdentityStore(store, clock=clock)
    identity_id = new_id("idn")
    record = IdentityRecord(identity_id, "acme", "open@1", clock.now, expires_at=clock.now + 60)
    identities.put(record, b"code", b"weights")
    clock.now += 61
    sweep.run()

    with pytest.raises(IdentityErased):
        identities.get(identity_id, "acme")

    (entry,) = AuditLog(store).pending()
    assert (entry.body["event"], entry.body["subject"]) == ("identity.expired", identity_id)


def test_what_a_canceled_films_parts_left_is_removed(
    media: MediaStore, sweep: ExpirySweep, store: Redis, tmp_path: Path
) -> None:
    jobs = JobStore(store)
    job = jobs.admit(JobRequest(JobPayload(kind="swap_video", tenant="acme"))).job
    (tmp_path / "part").write_bytes(b"part")
    media.publish(job.id, tmp_path / "part", ".part", part=True)
    sweep.run()
    assert (media.job_dir(job.id) / "parts").exists()
    jobs.request_cancel(job.id)
    sweep.run()
    assert not media.job_dir(job.id).exists()


def test_an_expired_result_is_gone_even_before_the_sweep(
    media: MediaStore, clock: Clock, store: Redis, tmp_path: Path
) -> None:
    from worker.contract import JobResult, Task
    from worker.stores.jobs.job_attempts import JobAttempts

    jobs = JobStore(store, clock=clock)
    job = jobs.admit(JobRequest(JobPayload(kind="analysis", tenant="acme"))).job
    (tmp_path / "output").write_bytes(b"result")
    sha256 = media.publish(job.id, tmp_path / "output", ".png")
    attempts = JobAttempts(jobs, clock)
    attempts.begin(Task(job.id, 1), "by hand")
    attempts.commit(Task(job.id, 1), JobResult(sha256, 6, "image/png", ".png"), JobReport({}, {}))
    assert media.result_path(jobs.get(job.id)).read_bytes() == b"result"
    clock.now += jobs.limits.result_ttl_s + 1

    with pytest.raises(ResultExpired):
        media.result_path(jobs.get(job.id))


def test_files_that_lost_their_owner_in_a_crash_are_swept(
    media: MediaStore, sweep: ExpirySweep, clock: Clock
) -> None:
    kept = media.path(media.stat(upload(media, ttl_s=10**6)))
    (media.root / "incoming" / new_id("upl")).write_bytes(b"half")
    shelf = kept.parent
    (shelf / f"{new_id('upl')}.png").write_bytes(b"no record")
    media.job_dir(new_id("job")).mkdir()

    for path in [*media.root.rglob("*")]:
        os.utime(path, (clock.now - 7200, clock.now - 7200))

    assert sweep.sweep_orphans() == 3
    assert [path for path in media.root.rglob("*") if path.is_file()] == [kept]
