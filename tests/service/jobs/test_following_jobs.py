"""How a client follows a job: waits of the first request, long polls, server-sent events."""

from __future__ import annotations

import threading
import time
from unittest.mock import ANY

import httpx
import pytest
from httpx_sse import connect_sse
from redis import Redis

from service.jobs.job_events import JobEvents
from service.protocol.key_watch import KeyWatch
from service.protocol.observability import Metrics
from service.protocol.problems import ServiceError
from tests.service.live_service import LiveService, problem_of
from worker.stores.key_store import KeyStore


def test_prefer_wait_answers_200_when_the_job_ends_in_time(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    def work() -> None:
        while not (jobs := live.jobs.list(tenant).jobs):
            time.sleep(0.01)
        live.finish(jobs[0].id)

    worker = threading.Thread(target=work)
    worker.start()
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    answer = client.post("/v1/swaps/image", json=body, headers={"Prefer": "wait=20"})
    worker.join()
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.json()["status"] == "succeeded"


def test_prefer_wait_answers_202_when_the_time_is_up(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    began = time.monotonic()
    answer = client.post("/v1/swaps/image", json=body, headers={"Prefer": "respond-async, wait=1"})
    assert answer.status_code == 202
    assert 0.9 < time.monotonic() - began < 3


def test_long_poll_with_a_known_state_returns_at_the_next_change(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    seen = client.get(job["urls"]["self"]).headers["etag"]
    assert client.get(job["urls"]["self"], headers={"If-None-Match": seen}).status_code == 304
    threading.Timer(0.3, live.begin, [job["id"]]).start()
    began = time.monotonic()
    answer = client.get(job["urls"]["self"], headers={"If-None-Match": seen, "Prefer": "wait=20"})
    assert answer.status_code == 200
    assert answer.json()["status"] == "running"
    assert time.monotonic() - began < 5


def test_events_arrive_in_order_and_resume_after_the_last_one(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    task = live.begin(job["id"])
    live.attempts.progress(task, 1, 2, "frame")

    with connect_sse(client, "GET", job["urls"]["events"]) as stream:
        events = stream.iter_sse()
        first = [next(events) for _ in range(3)]

    assert [event.event for event in first] == ["status", "status", "progress"]
    live.finish(job["id"], task=task)

    with connect_sse(
        client, "GET", job["urls"]["events"], headers={"Last-Event-ID": first[1].id}
    ) as stream:
        rest = list(stream.iter_sse())

    assert [event.event for event in rest] == ["progress", "completed"]
    progress = rest[0].json()
    assert progress == {"done": 1, "total": 2, "unit": "frame", "fps": ANY, "eta_s": ANY}
    assert progress["fps"] * progress["eta_s"] == pytest.approx(1)  # the frame that is left
    assert rest[1].json()["status"] == "succeeded"

    for beyond in (rest[1].id, "99999999999999-0"):
        assert (
            client.get(job["urls"]["events"], headers={"Last-Event-ID": beyond}).status_code == 204
        )


def test_one_tenant_takes_at_most_half_of_the_places_for_waiters() -> None:
    watch = KeyWatch(KeyStore(Redis()))
    events = JobEvents("unix:///nowhere", 4, Metrics().waiters, watch)

    with events.waiter("greedy"), events.waiter("greedy"):
        with pytest.raises(ServiceError, match="waiting"), events.waiter("greedy"):
            pass
        with (
            events.waiter("other"),
            events.waiter("third"),
            pytest.raises(ServiceError),
            events.waiter("fourth"),
        ):
            pass

    with events.waiter("greedy"):
        pass


def test_a_malformed_event_id_is_refused(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    problem_of(
        client.get(job["urls"]["events"], headers={"Last-Event-ID": "$"}), 400, "invalid_parameter"
    )
