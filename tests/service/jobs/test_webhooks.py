"""Webhooks: signed as Standard Webhooks asks, tried again, dropped by 410.

Checked by an independent library.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network

import httpx
import pytest
from redis import Redis
from standardwebhooks import Webhook, WebhookVerificationError

from service.intake.fetching import AddressGuard, GuardedBackend, GuardedClient
from service.jobs.webhooks import WebhookSender
from service.protocol.observability import Metrics
from tests.clock import Clock
from tests.service.jobs.ended_job import ended_job
from tests.service.live_service import LiveService, problem_of, until
from worker.stores.jobs.job_store import JobStore
from worker.stores.outbox import SCHEDULE_S, Outbox


@dataclass
class Receiver:
    """Somebody's server: remembers what it was sent and answers with the statuses it was given,
    then 204.
    """

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.received.append(
                ({name.lower(): value for name, value in self.headers.items()}, body)
            )
            self.send_response(state.statuses.pop(0) if state.statuses else 204)
            self.send_header("Location", state.url + "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/hook"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


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
    assert list(Outbox(live.redis).endpoint(endpoint["id"], tenant).secrets) == secrets[::-1]


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


@dataclass
class Post:
    """A courier of its own store and time, and a job that has just ended."""

    outbox: Outbox
    sender: WebhookSender
    clock: Clock
    endpoint_id: str
    client: GuardedClient

    def send(self) -> int:
        return asyncio.run(self._send())

    async def _send(self) -> int:
        sent = await self.sender.send_due()
        await self.client.close()
        return sent


@pytest.fixture
def post(store: Redis, receiver: Receiver) -> Post:
    clock = Clock()
    jobs = JobStore(store, clock=clock)
    outbox = Outbox(store, clock)
    client = GuardedClient(GuardedBackend(AddressGuard([ip_network("127.0.0.0/8")])), 5)
    endpoint = outbox.add_endpoint("acme", receiver.url)
    ended_job(jobs, clock)

    return Post(
        outbox,
        WebhookSender(outbox, jobs, client, Metrics(), clock=clock),
        clock,
        endpoint.id,
        client,
    )


def test_a_failing_receiver_is_tried_by_the_schedule_with_one_id(
    post: Post, receiver: Receiver
) -> None:
    receiver.statuses = [500, 302, 429] + [503] * 20
    waits = []

    for pause in [*SCHEDULE_S, 10**6]:
        post.clock.now += pause
        waits.append(post.send())

    assert waits == [1] * len(SCHEDULE_S) + [0]
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
    assert len({headers["webhook-timestamp"] for headers, _ in receiver.received}) == len(
        SCHEDULE_S
    )


def test_nothing_is_sent_before_it_is_due(post: Post, receiver: Receiver) -> None:
    receiver.statuses = [500]
    assert post.send() == 1
    post.clock.now += SCHEDULE_S[1] - 1
    assert post.send() == 0
    post.clock.now += 1
    assert post.send() == 1
    assert post.send() == 0


def test_a_message_that_cannot_be_read_does_not_end_the_sending(
    post: Post, receiver: Receiver, store: Redis
) -> None:
    (broken,) = store.keys("lk:job:job_" + "?" * 26)
    store.hset(broken, "payload", "of another version")

    async def sending() -> None:
        running = asyncio.create_task(post.sender.run())
        while (
            store.zcount("lk:outbox:due:acme", post.clock.now + 1, "+inf") == 0
        ):  # until the broken one was tried
            await asyncio.sleep(0.05)

        ended_job(JobStore(store, clock=post.clock), post.clock)
        while not receiver.received:
            await asyncio.sleep(0.05)

        running.cancel()
        await post.client.close()

    asyncio.run(asyncio.wait_for(sending(), 10))


def test_410_disables_the_endpoint(post: Post, receiver: Receiver) -> None:
    receiver.statuses = [410]
    assert post.send() == 1
    assert post.outbox.endpoint(post.endpoint_id).disabled_reason
    post.clock.now += 10**6
    assert post.send() == 0


def test_receivers_that_do_not_answer_hold_up_their_own_tenant_alone(
    store: Redis, receiver: Receiver
) -> None:
    clock = Clock()
    jobs = JobStore(store, clock=clock)
    outbox = Outbox(store, clock)

    with socket.create_server(("127.0.0.1", 0), backlog=512) as tar_pit:
        outbox.add_endpoint("flood", f"http://127.0.0.1:{tar_pit.getsockname()[1]}/")
        outbox.add_endpoint("acme", receiver.url)

        for _ in range(200):
            ended_job(jobs, clock, "flood")

        async def sending() -> float:
            client = GuardedClient(GuardedBackend(AddressGuard([ip_network("127.0.0.0/8")])), 30)
            sender = WebhookSender(outbox, jobs, client, Metrics(), clock=clock)
            running = asyncio.create_task(sender.run())
            await asyncio.sleep(1)
            ended_job(jobs, clock, "acme")
            began = time.monotonic()

            while not receiver.received:
                await asyncio.sleep(0.05)

            delivered_s = time.monotonic() - began
            while outbox.waiting() > 200:  # received, but not recorded as delivered yet
                await asyncio.sleep(0.05)

            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await client.close()

            return delivered_s

        assert asyncio.run(asyncio.wait_for(sending(), 20)) < 5

    assert outbox.waiting() == 200  # leased and not lost
