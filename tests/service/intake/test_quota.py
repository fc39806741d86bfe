"""E6: what a tenant has stored is bounded, and nobody's disk is filled by one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import httpx

from tests.service.live_service import JPEG, LiveService, problem_of
from worker.process.upkeep.expiry import ExpirySweep
from worker.stores.tenants import TenantStore

HEADERS = {"Content-Type": "image/jpeg"}
SIZE = len(JPEG)


def bound(live: LiveService, tenant: str, max_bytes: int) -> None:
    TenantStore(live.redis).set_bounds(tenant, {"max_stored_bytes": max_bytes})


def upload(client: httpx.Client, content: bytes | Iterator[bytes] = JPEG) -> httpx.Response:
    return client.post("/v1/uploads", content=content, headers=HEADERS)


def test_uploads_that_nobody_uses_are_bounded(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    bound(live, tenant, 3 * SIZE + 10)
    uploads = [upload(client).json() for _ in range(3)]
    refused = upload(client)
    problem_of(refused, 429, "storage_quota")
    assert int(refused.headers["retry-after"]) >= 1
    used = client.get("/v1/capacity").json()["tenant"]
    assert (used["stored_bytes"], used["max_stored_bytes"]) == (3 * SIZE, 3 * SIZE + 10)

    with live.client("somebody-else") as other:
        assert upload(other).status_code == 201

    client.delete(f"/v1/uploads/{uploads[0]['id']}")
    assert upload(client).status_code == 201


def test_an_upload_beyond_the_quota_is_cut_off(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    bound(live, tenant, 1 << 20)
    sent = 0

    def large() -> Iterator[bytes]:
        nonlocal sent
        yield JPEG

        while sent < 7 << 20:
            sent += 1 << 18
            yield bytes(1 << 18)

    # The server may hang up while we are still sending.
    with suppress(httpx.WriteError, httpx.RemoteProtocolError):
        problem_of(upload(client, large()), 429, "storage_quota")

    assert live.media.storage.of_tenant(tenant)[0] == 0
    assert upload(client).status_code == 201


def test_results_count_and_a_full_tenant_gets_no_job(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    live.finish(job["id"], bytes(5000))
    bound(live, tenant, SIZE + 5000)
    upload_id = job["input"]["upload_id"]
    body = {"input": {"upload_id": upload_id}, "identity_id": live.identity(tenant)}

    for answer in (
        client.post("/v1/swaps/image", json=body),
        client.post("/v1/analyses", json={"input": {"upload_id": upload_id}}),
        client.post(
            "/v1/swaps/image",
            files={"image": ("x.jpg", JPEG, "image/jpeg")},
            data={"identity_id": body["identity_id"]},
        ),
    ):
        problem_of(answer, 429, "storage_quota")

    assert client.delete(job["urls"]["self"]).status_code == 204
    assert live.media.storage.of_tenant(tenant)[0] == 0
    assert upload(client).status_code == 201


def test_what_expires_counts_no_longer(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    live.finish(job["id"], bytes(5000))

    for name in (job["id"], job["input"]["upload_id"]):
        live.redis.zadd("lk:expiry", {name: 1.0})

    sweep = ExpirySweep(live.media, live.identities)
    sweep.run()
    sweep.run()
    assert live.media.storage.of_tenant(tenant)[0] == 0
    assert live.redis.hget("lk:stored", tenant) == b"0"


def test_refused_files_count_no_longer(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    bound(live, tenant, 2 * SIZE)
    for _ in range(5):
        problem_of(upload(client, b"\xff\xd8\xff\xe0\0\0"), 422, "undecodable")
        form = {"image": ("x.jpg", JPEG, "image/jpeg")}
        answer = client.post("/v1/swaps/image", files=form, data={"identity_id": "nobody"})
        problem_of(answer, 422, "invalid_request")

    assert upload(client).status_code == 201
