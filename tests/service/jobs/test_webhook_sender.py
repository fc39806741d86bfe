"""The sender by itself: its schedule, its ids, its limits; the clock is the tests' own."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass
from ipaddress import ip_network

import pytest
from redis import Redis

from service.browsers.signed_urls import UrlSigner
from service.intake.address_guard import AddressGuard
from service.intake.fetching import GuardedClient
from service.intake.guarded_backend import GuardedBackend
from service.jobs.batches import BatchViews
from service.jobs.delivery_log import DeliveryLog
from service.jobs.job_views import JobViews
from service.jobs.webhook_messages import EndMessages
from service.jobs.webhooks import WebhookSender
from service.protocol.observability import Metrics
from tests.clock import Clock
from tests.service.jobs.conftest import Receiver
from tests.service.jobs.ended_job import ended_job
from worker.stores.jobs.batches import BatchStore
from worker.stores.jobs.job_store import JobStore
from worker.stores.outbox import SCHEDULE_S, Outbox

VIEWS = JobViews("", UrlSigner(b"a secret of these tests"))


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


def messages(jobs: JobStore) -> EndMessages:
    batches = BatchViews("", jobs, BatchStore(jobs.redis, jobs.limits))
    return EndMessages(jobs, VIEWS, batches)


@pytest.fixture
def post(store: Redis, receiver: Receiver) -> Post:
    clock = Clock()
    jobs = JobStore(store, clock=clock)
    outbox = Outbox(store, clock)
    client = GuardedClient(GuardedBackend(AddressGuard([ip_network("127.0.0.0/8")])), 5)
    endpoint = outbox.endpoints.add("acme", receiver.url)
    ended_job(jobs, clock)

    return Post(
        outbox,
        WebhookSender(outbox, messages(jobs), client, Metrics(), DeliveryLog(store), clock=clock),
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


def test_a_message_to_a_refused_address_is_not_tried_again(post: Post, store: Redis) -> None:
    jobs = JobStore(store, clock=post.clock)
    refused = post.outbox.endpoints.add("beta", "http://10.0.0.1/hook")
    ended_job(jobs, post.clock, "beta")
    post.send()

    (attempt,) = DeliveryLog(store).of("beta", refused.id)
    assert (attempt.outcome, attempt.status) == ("given_up", 0)
    assert attempt.error == "The URL does not lead to a public web server"
    assert post.outbox.waiting() == 0


def test_410_disables_the_endpoint(post: Post, receiver: Receiver) -> None:
    receiver.statuses = [410]
    assert post.send() == 1
    assert post.outbox.endpoints.get(post.endpoint_id).disabled_reason
    post.clock.now += 10**6
    assert post.send() == 0


def test_receivers_that_do_not_answer_hold_up_their_own_tenant_alone(
    store: Redis, receiver: Receiver
) -> None:
    clock = Clock()
    jobs = JobStore(store, clock=clock)
    outbox = Outbox(store, clock)

    with socket.create_server(("127.0.0.1", 0), backlog=512) as tar_pit:
        outbox.endpoints.add("flood", f"http://127.0.0.1:{tar_pit.getsockname()[1]}/")
        outbox.endpoints.add("acme", receiver.url)

        for _ in range(200):
            ended_job(jobs, clock, "flood")

        async def sending() -> float:
            client = GuardedClient(GuardedBackend(AddressGuard([ip_network("127.0.0.0/8")])), 30)
            sender = WebhookSender(
                outbox, messages(jobs), client, Metrics(), DeliveryLog(store), clock=clock
            )
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
