"""Webhooks: signed as Standard Webhooks asks, tried again, dropped by 410.

Checked by an independent library.
"""

from __future__ import annotations

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.service.jobs.conftest import Receiver
from tests.service.live_service import LiveService, problem_of, until
from worker.stores.outbox import Outbox


def test_a_finished_job_is_announced_and_verified(
    live: LiveService, client: httpx.Client, tenant: str, receiver: Receiver
) -> None:
    endpoint = client.post("/v1/webhook-endpoints", json={"url": receiver.url}).json()
    assert endpoint["secret"].startswith("whsec_")
    assert client.get(f"/v1/webhook-endpoints/{endpoint['id']}").json()["secret"] is None
    job = live.job(client, tenant)
    live.finish(job["id"])
    until(lambda: receiver.received)
    headers, body = receiver.received[0]
    message = Webhook(endpoint["secret"]).verify(body, headers)
    assert message["type"] == "job.succeeded"
    assert message["data"] == client.get(job["urls"]["self"]).json()

    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint["secret"]).verify(body + b" ", headers)


def test_while_a_secret_is_rotated_both_verify(
    live: LiveService, client: httpx.Client, tenant: str, receiver: Receiver
) -> None:
    endpoint = client.post("/v1/webhook-endpoints", json={"url": receiver.url}).json()
    rotated = client.post(f"/v1/webhook-endpoints/{endpoint['id']}/rotate").json()
    assert rotated["secret"] != endpoint["secret"]
    live.finish(live.job(client, tenant)["id"])
    until(lambda: receiver.received)
    headers, body = receiver.received[0]

    for secret in (endpoint["secret"], rotated["secret"]):
        assert Webhook(secret).verify(body, headers)


def test_a_second_rotation_ends_the_first_secret_at_once(
    client: httpx.Client, live: LiveService, tenant: str
) -> None:
    endpoint = client.post("/v1/webhook-endpoints", json={"url": "https://example.org/"}).json()
    secrets = [
        client.post(f"/v1/webhook-endpoints/{endpoint['id']}/rotate").json()["secret"]
        for _ in range(2)
    ]
    assert list(Outbox(live.redis).endpoints.get(endpoint["id"], tenant).secrets) == secrets[::-1]


def test_an_address_that_came_with_the_job_is_told(
    live: LiveService, client: httpx.Client, tenant: str, receiver: Receiver
) -> None:
    job = live.job(client, tenant, webhook=receiver.url)
    live.fail(job["id"])
    until(lambda: receiver.received)
    headers, body = receiver.received[0]
    secret = client.get("/v1/webhook-endpoints/default/secret").json()["secret"]
    assert Webhook(secret).verify(body, headers)["type"] == "job.failed"


def test_a_deleted_endpoint_hears_nothing(
    live: LiveService, client: httpx.Client, tenant: str, receiver: Receiver
) -> None:
    endpoint = client.post("/v1/webhook-endpoints", json={"url": receiver.url}).json()
    assert client.delete(f"/v1/webhook-endpoints/{endpoint['id']}").status_code == 204
    problem_of(client.get(f"/v1/webhook-endpoints/{endpoint['id']}"), 404, "not_found")


@pytest.mark.parametrize("url", ["ftp://example.org/", "http://user:pw@example.org/", "not a url"])
def test_an_address_that_cannot_be_reached_is_refused(client: httpx.Client, url: str) -> None:
    answer = client.post("/v1/webhook-endpoints", json={"url": url})
    assert answer.status_code == 422
    assert answer.json()["code"] in ("fetch_refused", "invalid_request")
