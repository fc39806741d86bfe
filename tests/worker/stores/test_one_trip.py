"""What one round trip to the store does together: admission and delivery, an end and its audit
entries, and what an attempt begins with.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from tests.worker.stores.job_store_case import (
    REPORT,
    RESULT,
    analysis,
    deliver_one,
    known_identity,
    known_upload,
)
from worker.contract.jobs import JobRecord, Task
from worker.contract.options import Assignment
from worker.contract.requests import IdempotencyKey, JobPayload, JobRequest
from worker.errors import Canceled, IdentityErased, QuotaExceeded, UnknownIdentity
from worker.stores.jobs.deliveries import ATTEMPT_TIMEOUT_S, ENTRY_POINT, rq_id
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.jobs.job_store import JobStore


def swap(store: Redis, identity: str, actor: str | None = None) -> JobRequest:
    payload = JobPayload(
        kind="swap_image",
        tenant="acme",
        input_id=known_upload(store),
        assignments=(Assignment(identity_id=identity),),
    )
    return JobRequest(payload, actor=actor)


def begun_swap(store: Redis, jobs: JobStore, attempts: JobAttempts) -> tuple[JobRecord, Task, str]:
    identity = known_identity(store)
    job = jobs.admit(swap(store, identity), deliver=True).job
    task = Task(job.id, 1)
    attempts.begin(task, "w1")
    return job, task, identity


def audited(store: Redis) -> list[tuple[str, str]]:
    rows = store.xrange("lk:audit")
    bodies = [json.loads(fields[b"body"]) for _, fields in rows]
    return [(body["event"], body["subject"]) for body in bodies]


def test_an_admitted_job_is_with_rq_and_rq_can_read_it(store: Redis, jobs: JobStore) -> None:
    job = jobs.admit(analysis(store), deliver=True).job
    name = rq_id(Task(job.id, 1))
    assert store.lrange("rq:queue:video", 0, -1) == [name.encode()]

    read = Job.fetch(name, connection=store, serializer=JSONSerializer)
    assert (read.func_name, list(read.args), read.kwargs) == (ENTRY_POINT, [job.id, 1], {})
    assert (read.origin, read.timeout) == ("video", ATTEMPT_TIMEOUT_S["video"])
    assert 0 < store.ttl(f"rq:job:{name}") <= ATTEMPT_TIMEOUT_S["video"] + 300


def test_a_refused_job_delivers_what_waits_all_the_same(store: Redis) -> None:
    jobs = JobStore(store, JobLimits(tenant_jobs=1))
    waiting = jobs.admit(analysis(store)).job
    with pytest.raises(QuotaExceeded):
        jobs.admit(analysis(store), deliver=True)
    assert store.lrange("rq:queue:video", 0, -1) == [f"{waiting.id}-1".encode()]


def test_a_store_that_forgot_its_scripts_is_told_them_again(store: Redis, jobs: JobStore) -> None:
    jobs.admit(analysis(store), deliver=True)
    store.script_flush()
    job = jobs.admit(analysis(store), deliver=True).job
    assert store.lrange("rq:queue:video", 0, -1)[-1] == f"{job.id}-1".encode()


def test_a_use_is_in_the_audit_trail_with_its_admission_and_only_then(
    store: Redis, jobs: JobStore
) -> None:
    identity = known_identity(store)
    key = IdempotencyKey("order-7", "f" * 64)
    request = swap(store, identity, actor="key-1")
    jobs.admit(request, key)
    jobs.admit(request, key)  # a retry uses nobody again
    jobs.admit(swap(store, identity))  # nobody asked for it: a dead letter that is done again

    foreign = swap(store, known_identity(store, "rival"), actor="key-1")
    with pytest.raises(UnknownIdentity):
        jobs.admit(foreign)

    assert audited(store) == [("identity.used", identity)]


def test_an_attempt_begins_with_all_that_it_needs(
    store: Redis, jobs: JobStore, attempts: JobAttempts
) -> None:
    identity = known_identity(store)
    gone = known_identity(store)
    request = swap(store, identity)
    both = (Assignment(identity_id=identity), Assignment(face={"index": 1}, identity_id=gone))
    payload = request.payload.model_copy(update={"assignments": both})
    job = jobs.admit(replace(request, payload=payload), deliver=True).job
    store.delete(f"lk:identity:{gone}")
    store.set("lk:blocklist:version", 7)
    begun = attempts.begin(Task(job.id, 1), "w1")
    assert begun.job.status == "running"
    assert {name: record.pack for name, record in begun.identities.items()} == {
        identity: "open@test"
    }
    assert begun.upload is not None
    assert (begun.upload.id, begun.list_version) == (payload.input_id, b"7")


def test_nothing_is_made_of_an_identity_that_is_erased_before_the_commit(
    store: Redis, jobs: JobStore, attempts: JobAttempts
) -> None:
    job, task, identity = begun_swap(store, jobs, attempts)
    store.delete(f"lk:identity:{identity}")
    with pytest.raises(IdentityErased):
        attempts.commit(task, RESULT, REPORT, audit=["{}"])
    assert jobs.get(job.id).status == "running"
    assert store.xlen("lk:audit") == 0


def test_a_commit_notes_its_output_and_hands_over_what_comes_next(
    store: Redis, jobs: JobStore, attempts: JobAttempts
) -> None:
    job, task, identity = begun_swap(store, jobs, attempts)
    following = jobs.admit(swap(store, identity)).job
    attempts.progress(task, 0, 1, "image")
    body = json.dumps({"event": "output.marked", "subject": job.id})
    attempts.commit(task, RESULT, REPORT, audit=[body], deliver_on="image")
    assert audited(store) == [("output.marked", job.id)]
    assert store.lrange("rq:queue:image", 0, -1)[-1] == f"{following.id}-1".encode()
    # Its last report need not have arrived.
    assert jobs.get(job.id).progress.done == 1


def test_a_commit_that_comes_too_late_notes_nothing(
    store: Redis, jobs: JobStore, attempts: JobAttempts
) -> None:
    job, task, _ = begun_swap(store, jobs, attempts)
    jobs.request_cancel(job.id)
    with pytest.raises(Canceled):
        attempts.commit(task, RESULT, REPORT, audit=["{}"])
    assert store.xlen("lk:audit") == 0


def test_a_delivery_takes_every_queue_alone(store: Redis, attempts: JobAttempts) -> None:
    jobs = JobStore(store)
    job = jobs.admit(analysis(store)).job
    assert attempts.deliver("image") == []
    assert deliver_one(attempts) == Task(job.id, 1)
