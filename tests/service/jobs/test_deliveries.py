"""Webhook deliveries are seen: tries, a test message, a message sent again, refused addresses."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.service.live_service import LiveService, problem_of, until


class Receiver(ThreadingHTTPServer):
    """A receiver of webhooks that keeps what it is sent, and answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.status = 200


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((dict(self.headers.items()), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output to itself."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def endpoint(client: httpx.Client, receiver: Receiver) -> dict[str, Any]:
    url = f"http://127.0.0.1:{receiver.server_port}/hook"
    return client.post("/v1/webhook-endpoints", json={"url": url}).json()


def test_each_try_is_listed_with_its_error(
    live: LiveService,
    client: httpx.Client,
    tenant: str,
    receiver: Receiver,
    endpoint: dict[str, Any],
) -> None:
    receiver.status = 500
    job_id = live.job(client, tenant)["id"]
    live.finish(job_id)
    path = f"/v1/webhook-endpoints/{endpoint['id']}/deliveries"
    until(lambda: client.get(path).json()["data"])

    (tried,) = client.get(path).json()["data"]
    assert (tried["job_id"], tried["status"], tried["attempt"]) == (job_id, 500, 1)
    assert (tried["outcome"], tried["error"]) == ("retried", "It answered 500")


def test_a_message_is_sent_again_under_its_id(
    live: LiveService,
    client: httpx.Client,
    tenant: str,
    receiver: Receiver,
    endpoint: dict[str, Any],
) -> None:
    live.finish(live.job(client, tenant)["id"])
    path = f"/v1/webhook-endpoints/{endpoint['id']}/deliveries"
    until(lambda: client.get(path).json()["data"])
    message_id = client.get(path).json()["data"][0]["message_id"]

    assert client.post(f"{path}/{message_id}/redeliver").status_code == 202
    until(lambda: len(receiver.received) == 2)
    assert [headers["webhook-id"] for headers, _ in receiver.received] == [message_id] * 2
    problem_of(client.post(f"{path}/msg_unknown/redeliver"), 404, "not_found")


def test_a_test_message_is_signed_and_its_answer_told(
    client: httpx.Client, receiver: Receiver, endpoint: dict[str, Any]
) -> None:
    path = f"/v1/webhook-endpoints/{endpoint['id']}/test"
    assert client.post(path).json() == {"delivered": True, "status": 200, "error": None}

    headers, body = receiver.received[0]
    message = Webhook(endpoint["secret"]).verify(body, headers)
    assert message["type"] == json.loads(body)["type"] == "endpoint.test"

    receiver.status = 410
    assert client.post(path).json()["delivered"] is False
    receiver.shutdown()
    receiver.server_close()
    answer = client.post(path).json()
    assert (answer["status"], answer["error"]) == (0, "The receiver could not be reached")


def test_an_address_that_is_refused_is_not_registered(client: httpx.Client) -> None:
    for url in (
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://169.254.169.254/",
        "http://2130706434/",
    ):
        answer = client.post("/v1/webhook-endpoints", json={"url": url})
        assert answer.status_code == 422, url
        assert answer.json()["code"] in ("fetch_refused", "invalid_request")


def test_deliveries_are_their_tenants_own(
    live: LiveService, client: httpx.Client, endpoint: dict[str, Any]
) -> None:
    with live.client("somebody-else") as other:
        for path in ("deliveries", "deliveries/msg_x/redeliver", "test"):
            method = "GET" if path == "deliveries" else "POST"
            theirs = other.request(method, f"/v1/webhook-endpoints/{endpoint['id']}/{path}")
            unknown = other.request(method, f"/v1/webhook-endpoints/whe_{'0' * 26}/{path}")
            problem_of(theirs, 404, "not_found")
            assert theirs.json()["detail"] == unknown.json()["detail"]
