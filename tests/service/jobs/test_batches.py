"""Batches: all of a batch or nothing, one status, one message, one file of results."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any

import httpx
import pytest

from tests.service.live_service import JPEG, LiveService, problem_of
from worker.stores.key_store import KeyStore
from worker.stores.outbox import Outbox
from worker.stores.tenants import TenantStore


def asked(live: LiveService, tenant: str, targets: int = 2, people: int = 2) -> dict[str, Any]:
    """Return a request with new uploads and identities."""
    return {
        "upload_ids": [live.upload(tenant) for _ in range(targets)],
        "identity_ids": [live.identity(tenant) for _ in range(people)],
    }


def made(client: httpx.Client, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = client.post("/v1/batches", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_each_identity_goes_into_each_target(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    body = asked(live, tenant)
    batch = made(client, {**body, "metadata": {"order": "17"}})

    assert (batch["status"], batch["total"], batch["counts"]["queued"]) == ("running", 4, 4)
    pairs = [(item["upload_id"], item["identity_id"]) for item in batch["items"]]
    assert pairs == [(one, two) for one in body["upload_ids"] for two in body["identity_ids"]]
    job = client.get(f"/v1/jobs/{batch['items'][0]['job_id']}").json()
    assert (job["kind"], job["metadata"]) == ("swap_image", {"order": "17"})

    assert batch["id"] in [one["id"] for one in client.get("/v1/batches").json()["data"]]
    with live.client("somebody-else") as other:
        for path in ("", "/results"):
            problem_of(other.get(f"/v1/batches/{batch['id']}{path}"), 404, "not_found")
        problem_of(other.post(f"/v1/batches/{batch['id']}/cancel"), 404, "not_found")


def test_results_come_in_one_file_when_all_jobs_have_ended(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    batch = made(client, asked(live, tenant, people=1))
    first, second = (item["job_id"] for item in batch["items"])
    live.finish(first, JPEG)
    waiting = client.get(batch["results"])
    problem_of(waiting, 409, "job_not_final")
    assert waiting.headers["retry-after"]

    live.fail(second)
    ended = client.get(f"/v1/batches/{batch['id']}").json()
    assert (ended["status"], ended["counts"]["succeeded"], ended["counts"]["failed"]) == (
        "finished",
        1,
        1,
    )
    assert ended["finished_at"]
    assert [item["error"] for item in ended["items"]] == [None, "no_face"]

    answer = client.get(batch["results"])
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        assert file.testzip() is None
        rows = list(csv.DictReader(io.StringIO(file.read("results.csv").decode())))
        assert [row["error"] for row in rows] == ["", "no_face"]
        assert file.read(rows[0]["file"]) == JPEG
        assert set(file.namelist()) == {rows[0]["file"], "results.csv"}

    assert client.delete(f"/v1/batches/{batch['id']}").status_code == 204
    problem_of(client.get(f"/v1/batches/{batch['id']}"), 404, "not_found")
    problem_of(client.get(f"/v1/jobs/{first}"), 404, "not_found")


def test_one_message_tells_the_end(live: LiveService, client: httpx.Client, tenant: str) -> None:
    outbox = Outbox(live.redis)
    endpoint = outbox.endpoints.add(tenant, "https://example.org/hook")
    batch = made(client, {**asked(live, tenant, people=1), "webhook": "https://example.org/own"})
    first, second = (item["job_id"] for item in batch["items"])
    name = f"lk:outbox:due:{tenant}"
    before = set(live.redis.zrange(name, 0, -1))
    live.finish(first)
    assert set(live.redis.zrange(name, 0, -1)) == before

    live.finish(second)
    suffix = batch["id"].removeprefix("bat_")
    told = {one.decode() for one in set(live.redis.zrange(name, 0, -1)) - before}
    assert told <= {f"msg_{suffix}", f"msg_{suffix}_{endpoint.id.removeprefix('whe_')}"}

    message = live.app.state.service.sender._messages.of(batch["id"], 0.0)
    assert message.webhook == "https://example.org/own"
    assert message.body["type"] == "batch.finished"
    assert message.body["data"] == client.get(f"/v1/batches/{batch['id']}").json()


@pytest.mark.parametrize("broken", ["upload", "identity", "kind", "room"])
def test_a_batch_is_accepted_as_a_whole_or_not_at_all(
    live: LiveService, client: httpx.Client, tenant: str, broken: str
) -> None:
    body = asked(live, tenant)
    expected = (404, "not_found")
    if broken == "upload":
        body["upload_ids"][1] = f"upl_{'0' * 26}"
    elif broken == "identity":
        body["identity_ids"][1] = f"idn_{'0' * 26}"
    elif broken == "kind":
        body["options"] = {"output": {"format": "mp4"}}
        expected = (422, "invalid_request")
    else:
        TenantStore(live.redis).set_bounds(tenant, {"max_jobs": 3})
        expected = (429, "quota_exceeded")

    problem_of(client.post("/v1/batches", json=body), *expected)
    assert client.get("/v1/jobs").json()["data"] == []
    assert client.get("/v1/batches").json()["data"] == []
    assert live.jobs.quota(tenant).jobs == 0


def test_what_fails_between_the_checks_and_the_last_job_ends_the_others(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    # Bytes of inputs are known to the step that admits alone: the third job has no room.
    TenantStore(live.redis).set_bounds(tenant, {"max_bytes": 2 * len(JPEG) + 10})
    body = asked(live, tenant, targets=3, people=1)
    problem_of(client.post("/v1/batches", json=body), 429, "quota_exceeded")

    assert client.get("/v1/batches").json()["data"] == []
    assert {job["status"] for job in client.get("/v1/jobs").json()["data"]} == {"canceled"}
    assert live.jobs.quota(tenant).jobs == 0


def test_a_repeated_request_is_the_same_batch(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    body = asked(live, tenant)
    first = made(client, body, **{"Idempotency-Key": "all-of-them"})
    again = client.post("/v1/batches", json=body, headers={"Idempotency-Key": "all-of-them"})
    assert again.json()["id"] == first["id"]
    assert again.headers["idempotency-replayed"] == "true"
    assert live.jobs.quota(tenant).jobs == 4

    other = {**body, "upload_ids": body["upload_ids"][:1]}
    refused = client.post("/v1/batches", json=other, headers={"Idempotency-Key": "all-of-them"})
    problem_of(refused, 422, "idempotency_mismatch")


def test_a_batch_is_canceled(live: LiveService, client: httpx.Client, tenant: str) -> None:
    batch = made(client, asked(live, tenant))
    live.finish(batch["items"][0]["job_id"])
    problem_of(client.delete(f"/v1/batches/{batch['id']}"), 409, "job_not_final")

    ended = client.post(f"/v1/batches/{batch['id']}/cancel").json()
    assert (ended["status"], ended["counts"]["canceled"]) == ("finished", 3)
    assert ended["counts"]["succeeded"] == 1


def test_bounds(live: LiveService, client: httpx.Client, tenant: str) -> None:
    upload = live.upload(tenant)
    identity = live.identity(tenant)
    for body in (
        {"upload_ids": [], "identity_ids": [identity]},
        {"upload_ids": [upload], "identity_ids": []},
        {"upload_ids": [upload, upload], "identity_ids": [identity]},
        {
            "upload_ids": [f"upl_{number:026d}" for number in range(101)],
            "identity_ids": [f"idn_{number:026d}" for number in range(2)],
        },
        {"upload_ids": [upload], "identity_ids": [identity], "priority": "highest"},
    ):
        problem_of(client.post("/v1/batches", json=body), 422, "invalid_request")

    key = KeyStore(live.redis).create(tenant, ("jobs:read",))[1]
    read_only = {"Authorization": f"Bearer {key}"}
    body = {"upload_ids": [upload], "identity_ids": [identity]}
    problem_of(client.post("/v1/batches", json=body, headers=read_only), 403, "forbidden")
