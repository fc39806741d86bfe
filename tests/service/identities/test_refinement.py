"""Refined identities over HTTP: offered where a worker refines, told as it goes, gone when it is
refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from rq import Worker

from tests.material import CONSENT, SAMPLES
from tests.service.live_service import LiveService, problem_of
from worker.stores.jobs.job_queue import rq_queue
from worker.stores.jobs.job_records import JobReport

STANDING = {"similarity": 0.6, "sharpness": 0.8}
BETTER = {"similarity": 0.7, "sharpness": 0.9}


@pytest.fixture
def refining(enrolling: LiveService) -> Iterator[LiveService]:
    """The live service while a worker on the queue `refine` is registered."""
    worker = Worker([rq_queue("refine", enrolling.redis)], connection=enrolling.redis)
    worker.register_birth()
    yield enrolling
    worker.register_death()


def register(client: httpx.Client, quality: str) -> httpx.Response:
    photo = (SAMPLES / "ada_neutral.jpg").read_bytes()
    fields = {"consent": json.dumps(CONSENT), "quality": quality}
    return client.post(
        "/v1/identities", files={"image": ("ada.jpg", photo, "image/jpeg")}, data=fields
    )


def test_without_a_worker_that_refines_the_option_is_refused_and_nothing_is_kept(
    enrolling: LiveService, client: httpx.Client
) -> None:
    answer = register(client, "refined")
    problem_of(answer, 422, "refinement_unavailable")
    assert client.get("/v1/identities").json()["data"] == []


def test_a_refined_identity_is_usable_at_once_and_tells_how_its_refinement_stands(
    refining: LiveService, client: httpx.Client
) -> None:
    made = register(client, "refined")
    identity = made.json()
    assert made.status_code == 201, made.text
    assert identity["quality"] == "instant"
    assert identity["refinement"]["status"] == "queued"

    task = refining.begin(identity["refinement"]["job_id"])
    refining.attempts.progress(task, 40, 100, "percent")
    seen = client.get(f"/v1/identities/{identity['id']}")
    assert seen.json()["refinement"]["status"] == "running"
    assert seen.json()["refinement"]["progress"] == {"done": 40, "total": 100}
    assert seen.headers["etag"] != made.headers["etag"]

    told = {
        "job_id": task.job_id,
        "status": "succeeded",
        "before": STANDING,
        "after": BETTER,
        "steps": 9,
        "seconds": 4.0,
    }

    refining.identities.put_refined(identity["id"], identity["pack"], b"refined", told)
    refining.attempts.commit(task, None, JobReport({"refinement": told}, {}))
    done = client.get(
        f"/v1/identities/{identity['id']}", headers={"If-None-Match": seen.headers["etag"]}
    )
    assert done.status_code == 200
    assert done.json()["quality"] == "refined"
    assert done.json()["refinement"]["after"] == BETTER
    job = client.get(f"/v1/jobs/{task.job_id}").json()
    assert (job["status"], job["kind"], job["result"]) == ("succeeded", "refine", None)


def test_a_refinement_that_is_canceled_leaves_an_instant_identity_that_says_so(
    refining: LiveService, client: httpx.Client
) -> None:
    identity = register(client, "refined").json()
    client.post(f"/v1/jobs/{identity['refinement']['job_id']}/cancel")
    seen = client.get(f"/v1/identities/{identity['id']}").json()
    assert (seen["quality"], seen["refinement"]["status"]) == ("instant", "canceled")


def test_an_identity_whose_refinement_the_quota_refuses_is_not_kept(
    refining: LiveService, client: httpx.Client, tenant: str
) -> None:
    refining.redis.hset(f"lk:tenant:{tenant}", "max_jobs", 0)
    answer = register(client, "refined")
    problem_of(answer, 429, "quota_exceeded")
    assert client.get("/v1/identities").json()["data"] == []
