"""D1: the photos of a registration are gone when its answer is there, whichever way they came."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.material import CONSENT, SAMPLES
from tests.service import files
from tests.service.live_service import LiveService, problem_of
from tests.web_server import QuietHandler, web_server
from worker.process.upkeep.expiry import ExpirySweep

ADA = (SAMPLES / "ada_neutral.jpg").read_bytes()
SMILE = (SAMPLES / "ada_smile.jpg").read_bytes()
MARKER = secrets.token_bytes(64)
MARKED = ADA + MARKER  # bytes after the end of a JPEG are not looked at


def upload(client: httpx.Client, photo: bytes) -> str:
    answer = client.post("/v1/uploads", content=photo, headers={"Content-Type": "image/jpeg"})
    return str(answer.json()["id"])


def register(client: httpx.Client, *upload_ids: str, **more: Any) -> httpx.Response:  # noqa: ANN401
    return client.post(
        "/v1/identities", json={"upload_ids": upload_ids, "consent": CONSENT, **more}
    )


def files_with(live: LiveService, marker: bytes) -> list[Path]:
    return [
        path
        for path in live.settings.media_dir.rglob("*")
        if path.is_file() and marker in path.read_bytes()
    ]


@pytest.fixture
def no_photo_stays(enrolling: LiveService) -> Iterator[None]:
    yield
    assert files_with(enrolling, MARKER) == []


@pytest.fixture
def web() -> Iterator[str]:
    class Handler(QuietHandler):
        def get(self) -> None:
            self.answer(200, MARKED)

    with web_server(Handler) as url:
        yield f"{url}/ada.jpg"


def test_an_upload_is_gone_once_it_was_registered(
    enrolling: LiveService, client: httpx.Client, no_photo_stays: None
) -> None:
    upload_id = upload(client, MARKED)
    assert register(client, upload_id).status_code == 201
    problem_of(client.get(f"/v1/uploads/{upload_id}"), 404, "not_found")
    problem_of(register(client, upload_id), 404, "not_found")


def test_a_photo_behind_a_url_is_gone(
    enrolling: LiveService, client: httpx.Client, web: str, no_photo_stays: None
) -> None:
    answer = client.post("/v1/identities", json={"urls": [web], "consent": CONSENT})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("way", ["upload_ids", "form"])
def test_a_photo_that_was_uploaded_twice_is_gone_twice(
    enrolling: LiveService, client: httpx.Client, way: str, no_photo_stays: None
) -> None:
    first, second = (upload(client, MARKED) for _ in range(2))
    if way == "upload_ids":
        answer = register(client, first)
    else:
        answer = client.post(
            "/v1/identities",
            files={"image": ("ada.jpg", MARKED, "image/jpeg")},
            data={"consent": json.dumps(CONSENT)},
        )

    assert answer.status_code == 201, answer.text
    for upload_id in (first, second):
        problem_of(client.get(f"/v1/uploads/{upload_id}"), 404, "not_found")


def test_another_tenants_upload_of_the_same_photo_is_not_touched(
    enrolling: LiveService, client: httpx.Client
) -> None:
    with enrolling.client("somebody-else") as other:
        theirs = upload(other, SMILE)
        assert register(client, upload(client, SMILE)).status_code == 201
        assert other.get(f"/v1/uploads/{theirs}").status_code == 200


def test_analyses_and_results_made_from_the_photo_are_gone(
    enrolling: LiveService, client: httpx.Client, tenant: str
) -> None:
    upload_id = upload(client, ADA)
    body = {"input": {"upload_id": upload_id}}
    jobs = [
        client.post("/v1/analyses", json=body).json(),
        client.post(
            "/v1/swaps/image", json={**body, "identity_id": enrolling.identity(tenant)}
        ).json(),
    ]

    for job in jobs:
        enrolling.finish(job["id"], b"thumbnail of ada")

    assert register(client, upload_id).status_code == 201
    for job in jobs:
        problem_of(client.get(job["urls"]["result"]), 404, "not_found")
        assert not (enrolling.settings.media_dir / "jobs" / job["id"]).exists()


def test_a_photo_that_a_job_in_flight_needs_is_not_registered(
    enrolling: LiveService, client: httpx.Client, no_photo_stays: None
) -> None:
    upload_id = upload(client, MARKED)
    job = client.post("/v1/analyses", json={"input": {"upload_id": upload_id}}).json()
    problem_of(register(client, upload_id), 409, "upload_in_use")
    assert client.get("/v1/identities").json()["data"] == []
    client.post(job["urls"]["cancel"])
    assert register(client, upload_id).status_code == 201


def test_a_twin_that_a_job_in_flight_needs_goes_with_the_job(
    enrolling: LiveService, client: httpx.Client, no_photo_stays: None
) -> None:
    twin = upload(client, MARKED)
    job = client.post("/v1/analyses", json={"input": {"upload_id": twin}}).json()
    assert register(client, upload(client, MARKED)).status_code == 201
    assert files_with(enrolling, MARKER) != []  # an accepted job keeps its input
    enrolling.finish(job["id"], MARKER)
    problem_of(client.get(job["urls"]["result"]), 410, "result_expired")
    enrolling.redis.zadd("lk:expiry", {twin: 0.0})  # the sweep looks again after 30 s
    ExpirySweep(enrolling.media, enrolling.identities).run()


def test_a_refused_photo_is_gone_as_well(enrolling: LiveService, client: httpx.Client) -> None:
    faceless = upload(client, files.saved("JPEG", 640, 480))
    problem_of(register(client, faceless), 422, "no_face")
    problem_of(client.get(f"/v1/uploads/{faceless}"), 404, "not_found")


def test_a_refusal_before_the_photo_is_looked_at_leaves_the_upload(
    enrolling: LiveService, client: httpx.Client
) -> None:
    upload_id = upload(client, ADA)
    problem_of(register(client, upload_id, consent=None), 422, "consent_missing")
    problem_of(register(client, upload_id, quality="refined"), 422, "refinement_unavailable")
    assert client.get(f"/v1/uploads/{upload_id}").status_code == 200
    assert register(client, upload_id).status_code == 201


def test_no_job_is_admitted_with_a_photo_that_is_being_registered(
    enrolling: LiveService, client: httpx.Client, tenant: str
) -> None:
    upload_id = upload(client, ADA)
    enrolling.media.claim(upload_id, tenant)
    body = {"input": {"upload_id": upload_id}}
    problem_of(client.post("/v1/analyses", json=body), 409, "upload_in_use")
    problem_of(client.delete(f"/v1/uploads/{upload_id}"), 409, "upload_in_use")
    enrolling.media.release(enrolling.media.stat(upload_id))
    assert client.post("/v1/analyses", json=body).status_code == 202


def test_a_claim_of_a_process_that_died_ends_with_the_photo(
    enrolling: LiveService, client: httpx.Client, tenant: str
) -> None:
    upload_id = upload(client, ADA)
    enrolling.media.claim(upload_id, tenant, for_s=-1.0)
    ExpirySweep(enrolling.media, enrolling.identities).run()
    problem_of(client.get(f"/v1/uploads/{upload_id}"), 404, "not_found")


def test_a_retry_of_a_registration_by_upload_answers_with_the_identity(
    enrolling: LiveService, client: httpx.Client
) -> None:
    body = {"upload_ids": [upload(client, ADA)], "consent": CONSENT}
    headers = {"Idempotency-Key": "once"}
    first, second = (client.post("/v1/identities", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second.headers["idempotency-replayed"] == "true"


def test_withdrawal_takes_a_photo_that_was_uploaded_again_later(
    enrolling: LiveService, client: httpx.Client, no_photo_stays: None
) -> None:
    identity = register(client, upload(client, MARKED)).json()
    later = upload(client, MARKED)
    job = client.post("/v1/analyses", json={"input": {"upload_id": later}}).json()
    enrolling.finish(job["id"], b"thumbnail of ada")
    assert client.delete(f"/v1/identities/{identity['id']}/consent").status_code == 200
    problem_of(client.get(f"/v1/uploads/{later}"), 404, "not_found")
    problem_of(client.get(job["urls"]["result"]), 404, "not_found")
