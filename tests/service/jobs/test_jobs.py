"""Jobs over HTTP: submit, wait, follow, cancel, list, forget."""

from __future__ import annotations

import threading
import time

import httpx
import pytest
from httpx_sse import connect_sse
from redis import Redis

from service.jobs.job_events import JobEvents
from service.protocol.key_watch import KeyWatch
from service.protocol.observability import Metrics
from service.protocol.problems import ServiceError
from tests.service import files
from tests.service.live_service import CONSENT, JPEG, LiveService, problem_of
from worker.contract import Problem
from worker.failures import FailureCode
from worker.stores.jobs.job_records import JobReport
from worker.stores.key_store import KeyStore


def test_a_swap_is_accepted_with_its_place(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    body = {
        "input": {"upload_id": live.upload(tenant)},
        "identity_id": live.identity(tenant),
        "metadata": {"n": 1},
    }

    answer = client.post("/v1/swaps/image", json=body)
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == job["urls"]["self"] == f"/v1/jobs/{job['id']}"
    assert int(answer.headers["retry-after"]) >= 1
    assert job["status"] == "queued"
    assert job["queue_position"] is not None
    assert job["metadata"] == {"n": 1}
    assert job["assignments"] == [{"face": "largest", "identity_id": body["identity_id"]}]


def test_a_swap_takes_its_picture_in_the_form(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    fields = {
        "identity_id": live.identity(tenant),
        "options": '{"blend": 0.5, "faces": {"index": 1}}',
    }
    answer = client.post(
        "/v1/swaps/image", files={"image": ("ben.jpg", JPEG, "image/jpeg")}, data=fields
    )
    assert answer.status_code == 202, answer.text
    assert answer.json()["assignments"][0]["face"] == {"index": 1}
    stored = live.jobs.get(answer.json()["id"])
    assert stored.payload.options.blend == 0.5
    assert live.media.stat(answer.json()["input"]["upload_id"], tenant).bytes == len(JPEG)


@pytest.mark.parametrize(
    ("kind", "file_format"), [("image", "mp4"), ("image", "webm"), ("video", "png")]
)
def test_a_result_of_the_other_kind_is_refused_before_the_job(
    live: LiveService, client: httpx.Client, tenant: str, kind: str, file_format: str
) -> None:
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    answer = client.post(
        f"/v1/swaps/{kind}", json=body | {"options": {"output": {"format": file_format}}}
    )
    problem_of(answer, 422, "invalid_request")
    assert not live.jobs.list(tenant).jobs


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
    assert rest[0].json() == {"done": 1, "total": 2, "unit": "frame"}
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


def test_cancel_ends_a_queued_job_at_once_and_is_harmless_after(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    answer = client.post(job["urls"]["cancel"])
    assert (answer.status_code, answer.json()["status"]) == (202, "canceled")
    again = client.post(job["urls"]["cancel"])
    assert (again.status_code, again.json()["status"]) == (200, "canceled")
    problem_of(client.get(job["urls"]["result"]), 409, "no_result")


def test_a_running_job_is_canceling_until_its_worker_lets_go(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    live.begin(job["id"])
    assert client.post(job["urls"]["cancel"]).json()["status"] == "canceling"


def test_jobs_are_listed_page_by_page(live: LiveService, client: httpx.Client, tenant: str) -> None:
    made = [live.job(client, tenant)["id"] for _ in range(5)]
    found = []
    target = "/v1/jobs?limit=2&status=queued&kind=swap_image"

    while target:
        page = client.get(target)
        found += [job["id"] for job in page.json()["data"]]
        target = page.links["next"]["url"] if "next" in page.links else None
        assert (page.json()["next_cursor"] is None) == (target is None)

    assert sorted(found) == sorted(made)
    assert client.get("/v1/jobs?status=failed").json()["data"] == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("cursor=..%2F..%2Fetc", "invalid_cursor"),
        ("cursor=idn_00000000000000000000000000", "invalid_cursor"),
        ("limit=0", "invalid_parameter"),
        ("limit=9999", "invalid_parameter"),
        ("status=lost", "invalid_parameter"),
        ("kind=steal", "invalid_parameter"),
    ],
)
def test_a_bad_listing_is_a_400(client: httpx.Client, query: str, code: str) -> None:
    problem_of(client.get(f"/v1/jobs?{query}"), 400, code)


def test_a_failed_job_tells_why(live: LiveService, client: httpx.Client, tenant: str) -> None:
    job = live.job(client, tenant)
    live.fail(job["id"])
    error = client.get(job["urls"]["self"]).json()["error"]
    assert error["code"] == "no_face"
    assert error["status"] == 422


def test_deleting_a_job_removes_input_output_and_record(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    problem_of(client.delete(job["urls"]["self"]), 409, "job_not_final")
    live.finish(job["id"])
    assert client.delete(job["urls"]["self"]).status_code == 204
    problem_of(client.get(job["urls"]["self"]), 404, "not_found")
    left = [path for path in live.settings.media_dir.rglob("*") if job["id"] in str(path)]
    left += list(live.settings.media_dir.rglob(f"{job['input']['upload_id']}*"))
    assert left == []


def test_cancel_after_sets_the_deadline(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    answer = client.post("/v1/swaps/image", json=body, headers={"Cancel-After": "90s"})
    stored = live.jobs.get(answer.json()["id"])
    assert stored.deadline_at - stored.created_at == pytest.approx(90, abs=1)
    problem_of(
        client.post("/v1/swaps/image", json=body, headers={"Cancel-After": "soon"}),
        400,
        "invalid_parameter",
    )


@pytest.mark.parametrize(
    ("consent", "status", "code"),
    [
        ({**CONSENT, "scope": ["video"]}, 403, "consent_scope"),
        ({**CONSENT, "expires_at": "2026-02-01T00:00:00Z"}, 403, "consent_expired"),
        (None, 422, "consent_missing"),
    ],
)
def test_consent_is_looked_at_for_every_job(
    live: LiveService,
    client: httpx.Client,
    tenant: str,
    consent: dict[str, object] | None,
    status: int,
    code: str,
) -> None:
    body = {
        "input": {"upload_id": live.upload(tenant)},
        "identity_id": live.identity(tenant, consent),
    }
    problem_of(client.post("/v1/swaps/image", json=body), status, code)


def test_a_still_is_not_a_film(live: LiveService, client: httpx.Client, tenant: str) -> None:
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    problem_of(client.post("/v1/swaps/video", json=body), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("file_format", "media_type"), [("GIF", "image/gif"), ("WEBP", "image/webp")]
)
def test_an_animation_does_not_lose_its_frames_on_the_image_route(
    live: LiveService, client: httpx.Client, tenant: str, file_format: str, media_type: str
) -> None:
    animated = files.saved(file_format, frames=4)
    fields = {"identity_id": live.identity(tenant)}
    answer = client.post(
        "/v1/swaps/image", files={"image": ("wave", animated, media_type)}, data=fields
    )
    problem = problem_of(answer, 415, "unsupported_media_type")
    assert "4 frames" in problem["detail"]
    assert "/v1/swaps/video" in problem["detail"]


def test_a_failed_job_has_its_outcome_and_what_became_of_each_assignment(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    job_id = client.post("/v1/swaps/image", json=body).json()["id"]
    fate = {"index": 0, "status": "left_alone", "reason": "too_small"}
    report = JobReport({"outcome": "failed", "assignments": [fate]}, {})
    live.jobs.settle(
        job_id, None, "failed", error=Problem("nobody_swapped", "too_small"), report=report
    )
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["outcome"]) == ("failed", "failed")
    assert job["error"]["code"] == "nobody_swapped"
    assert job["report"]["assignments"] == [fate]


def test_a_refused_swap_leaves_no_upload_behind(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    before = {path for path in live.settings.media_dir.rglob("*") if path.is_file()}
    fields = {"identity_id": "idn_00000000000000000000000000"}
    answer = client.post(
        "/v1/swaps/image", files={"image": ("ben.jpg", JPEG, "image/jpeg")}, data=fields
    )
    problem_of(answer, 404, "not_found")
    assert {path for path in live.settings.media_dir.rglob("*") if path.is_file()} == before


def test_a_dead_letter_can_be_done_again(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    problem_of(client.post(f"{job['urls']['self']}/requeue"), 404, "not_found")
    problem = Problem(FailureCode.ATTEMPTS_EXHAUSTED, "The job was tried 3 times and never ended.")
    live.attempts.fail(live.begin(job["id"]), problem, dead=True)
    answer = client.post(f"{job['urls']['self']}/requeue")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.json()["id"] != job["id"]
    assert client.get(job["urls"]["self"]).json()["error"]["code"] == "attempts_exhausted"
    problem_of(client.post(f"{job['urls']['self']}/requeue"), 404, "not_found")


@pytest.mark.parametrize(
    ("added", "status", "code"),
    [
        ('"metadata": {"n": 1e999}', 422, "invalid_request"),
        ('"options": {"faces": {"box": [1e999, 0, 1, 1]}}', 422, "invalid_request"),
        ('"options": {"blend": NaN}', 400, "invalid_json"),
        ('"metadata": {"half": "\\ud800"}', 400, "invalid_json"),
        ('"\\ud800": 1', 400, "invalid_json"),
        ('"metadata": ' + '{"a":' * 5000 + "1" + "}" * 5000, 400, "invalid_json"),
    ],
)
def test_what_json_cannot_carry_back_is_refused(
    live: LiveService, client: httpx.Client, tenant: str, added: str, status: int, code: str
) -> None:
    named = (
        f'"input": {{"upload_id": "{live.upload(tenant)}"}}, "identity_id":'
        f' "{live.identity(tenant)}"'
    )
    headers = {"Content-Type": "application/json"}
    problem_of(
        client.post("/v1/swaps/image", content=f"{{{named}, {added}}}", headers=headers),
        status,
        code,
    )
    assert client.get("/v1/jobs").json()["data"] == []


def test_metadata_is_bounded(live: LiveService, client: httpx.Client, tenant: str) -> None:
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    problem_of(
        client.post("/v1/swaps/image", json={**body, "metadata": {"x": "y" * 20_000}}),
        422,
        "invalid_request",
    )
