"""Idempotency-Key: one key, one creation, however often it is sent."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.material import CONSENT, SAMPLES
from tests.service.live_service import JPEG, LiveService, problem_of


def test_fifty_equal_swaps_make_one_job(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    fields = {"identity_id": live.identity(tenant)}
    before = set((live.settings.media_dir / "uploads").rglob("*.jpg"))

    def swap(_: int) -> httpx.Response:
        files = {"image": ("ben.jpg", JPEG, "image/jpeg")}
        return client.post(
            "/v1/swaps/image", files=files, data=fields, headers={"Idempotency-Key": "once"}
        )

    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(swap, range(50)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum(answer.headers.get("idempotency-replayed") == "true" for answer in answers) == 49
    assert len(live.jobs.list(tenant).jobs) == 1
    assert len(set((live.settings.media_dir / "uploads").rglob("*.jpg")) - before) == 1


def test_another_body_under_the_same_key_is_refused(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    headers = {"Idempotency-Key": "k"}
    first = client.post("/v1/swaps/image", json=body, headers=headers)
    assert (
        client.post("/v1/swaps/image", json=body, headers=headers).json()["id"]
        == first.json()["id"]
    )
    changed = {**body, "options": {"blend": 0.2}}
    problem_of(
        client.post("/v1/swaps/image", json=changed, headers=headers), 422, "idempotency_mismatch"
    )
    upload = client.post(
        "/v1/uploads", content=JPEG, headers={**headers, "Content-Type": "image/jpeg"}
    )
    problem_of(upload, 422, "idempotency_mismatch")


def test_an_upload_and_an_endpoint_are_made_once(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "u", "Content-Type": "image/jpeg"}
    first, second = (client.post("/v1/uploads", content=JPEG, headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["location"] == first.headers["location"]
    headers = {"Idempotency-Key": "e"}
    body = {"url": "http://127.0.0.1:9/hook"}
    made = [
        client.post("/v1/webhook-endpoints", json=body, headers=headers).json()["id"]
        for _ in range(2)
    ]
    assert len(set(made)) == 1 == len(client.get("/v1/webhook-endpoints").json()["data"])


def test_a_registration_runs_once(enrolling: LiveService, client: httpx.Client) -> None:
    photo = (SAMPLES / "ada_neutral.jpg").read_bytes()

    def register(_: int) -> httpx.Response:
        return client.post(
            "/v1/identities",
            files={"image": ("ada.jpg", photo, "image/jpeg")},
            data={"consent": json.dumps(CONSENT)},
            headers={"Idempotency-Key": "r"},
        )

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(register, range(4)))

    made = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.json()["id"] for answer in made}) == 1

    for answer in answers:
        if answer.status_code != 201:
            problem_of(answer, 409, "idempotency_in_progress")

    assert len(client.get("/v1/identities").json()["data"]) == 1


def test_a_refused_request_frees_its_key(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    headers = {"Idempotency-Key": "f"}
    body = {
        "input": {"upload_id": live.upload(tenant)},
        "identity_id": "idn_00000000000000000000000000",
    }
    problem_of(client.post("/v1/swaps/image", json=body, headers=headers), 404, "not_found")
    body["identity_id"] = live.identity(tenant)
    assert client.post("/v1/swaps/image", json=body, headers=headers).status_code == 202


def test_a_key_must_be_printable(client: httpx.Client) -> None:
    for key in ("", "x" * 256, "a\tb"):
        headers = {"Idempotency-Key": key, "Content-Type": "image/jpeg"}
        problem_of(
            client.post("/v1/uploads", content=JPEG, headers=headers), 400, "invalid_parameter"
        )


def test_a_retry_after_erasure_is_410_and_nothing_personal_was_kept(
    enrolling: LiveService, client: httpx.Client, tenant: str
) -> None:
    photo = (SAMPLES / "ada_neutral.jpg").read_bytes()

    def register() -> httpx.Response:
        return client.post(
            "/v1/identities",
            files={"image": ("ada.jpg", photo, "image/jpeg")},
            data={"consent": json.dumps({**CONSENT, "subject": "ada.private"}), "name": "Ada P."},
            headers={"Idempotency-Key": "r"},
        )

    made = register()
    for key in enrolling.redis.scan_iter(f"lk:idem:{tenant}:*"):
        kept = enrolling.redis.hgetall(key)
        assert kept.keys() == {b"fingerprint", b"resource"}

    assert client.delete(made.headers["location"]).status_code == 200
    replay = register()
    problem_of(replay, 410, "identity_erased")
    assert "ada.private" not in replay.text


def test_a_retry_shows_the_resource_as_it_is_now_or_that_it_is_gone(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    upload_headers = {"Idempotency-Key": "u", "Content-Type": "image/jpeg"}
    hook_headers = {"Idempotency-Key": "h"}
    hook = {"url": "http://127.0.0.1:9/hook"}
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    upload = client.post("/v1/uploads", content=JPEG, headers=upload_headers)
    endpoint = client.post("/v1/webhook-endpoints", json=hook, headers=hook_headers)
    job = client.post("/v1/swaps/image", json=body, headers={"Idempotency-Key": "j"})
    live.finish(job.json()["id"])
    again = client.post("/v1/swaps/image", json=body, headers={"Idempotency-Key": "j"})
    assert again.json()["status"] == "succeeded"

    for made in (upload, endpoint, job):
        assert client.delete(made.headers["location"]).status_code == 204

    for answer in (
        client.post("/v1/uploads", content=JPEG, headers=upload_headers),
        client.post("/v1/webhook-endpoints", json=hook, headers=hook_headers),
        client.post("/v1/swaps/image", json=body, headers={"Idempotency-Key": "j"}),
    ):
        problem_of(answer, 410, "gone")


def test_a_retry_of_a_swap_after_erasure_is_410(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    identity_id = live.identity(tenant)
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": identity_id}
    headers = {"Idempotency-Key": "s"}
    job = client.post("/v1/swaps/image", json=body, headers=headers).json()
    live.finish(job["id"])
    assert client.delete(f"/v1/identities/{identity_id}/consent").status_code == 200
    problem_of(client.post("/v1/swaps/image", json=body, headers=headers), 410, "identity_erased")
