"""Bar R-11: a job's end is told at least once, under one id, not to those who are gone, and soon
also beside a tenant whose receiver never answers.
"""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network

from benchmarks.bar import Figure, bar
from benchmarks.stack import running_stack, stopwatch
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
from tests.service.jobs.ended_job import ended_job
from worker.stores.jobs.batches import BatchStore
from worker.stores.jobs.job_store import JobStore
from worker.stores.outbox import SCHEDULE_S, Outbox

JOBS = 30
TAR_PIT_JOBS = 200  # more than may be on their way at once, of all tenants together
BESIDE_TAR_PIT_S = 5.0


class Receiver:
    """Somebody's server on loopback: fails half of what it gets, but nothing under /calm, and says
    410 under /gone.
    """

    def __init__(self) -> None:
        self.heard: Counter[str] = Counter()
        self.accepted: set[str] = set()
        dice = random.Random(7)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                message = str(self.headers["webhook-id"])
                receiver.heard[self.path + message] += 1
                certain = {"/gone": 410, "/calm": 204}
                # A redirect counts as a failure: following one would leave the address that was
                # checked.
                status = certain.get(self.path) or dice.choice([204, 204, 500, 302])

                if status == 204:
                    receiver.accepted.add(message)

                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()


@bar("R-11")
def webhooks_arrive_at_least_once_under_one_id() -> Figure:
    """30 jobs end; a receiver fails half the tries, a sender dies after each claim of a third. The
    clock is ours. Then, by the real clock, 30 jobs end beside another tenant's 200 messages into a
    tar pit.
    """
    now = 1_800_000_000.0
    with stopwatch(60), running_stack() as here:
        redis = here.bench.stores.jobs.redis
        receiver = Receiver()

        def clock() -> float:
            return now

        jobs = JobStore(redis, clock=clock)
        outbox = Outbox(redis, clock)
        good, gone = (
            outbox.endpoints.add("acme", f"{receiver.url}/{path}") for path in ("hook", "gone")
        )
        ended = [ended_job(jobs, clock) for _ in range(JOBS)]
        outbox.claim(limit=20, lease_s=60.0)  # a sender that dies with what it claimed

        # After the whole schedule, once more much later: nothing may be left waiting.
        for pause in (*SCHEDULE_S, 10**6):
            now += pause
            while asyncio.run(_send(outbox, jobs, clock)):
                continue

        receiver.close()
        disabled = outbox.endpoints.get(gone.id).disabled_reason
        waiting = outbox.waiting()

    # An id made of job and endpoint is the same at every try, which is how a receiver knows it.
    expected = {f"msg_{job.removeprefix('job_')}_{good.id.removeprefix('whe_')}" for job in ended}
    tries = [count for path, count in receiver.heard.items() if path.startswith("/hook")]
    to_gone = sum(count for path, count in receiver.heard.items() if path.startswith("/gone"))
    unexpected = receiver.accepted - expected
    print(
        f"{len(receiver.accepted)} of {JOBS} arrived after {sum(tries)} tries; unknown ids:"
        f" {len(unexpected)}"
    )
    print(
        f"410 was answered {to_gone} times and disabled the endpoint: {bool(disabled)}; left in the"
        f" outbox: {waiting}"
    )
    slowest_s = _beside_a_tar_pit()
    print(f"beside a tar pit the slowest of {JOBS} took {slowest_s:.1f} s")
    missing = len(expected - receiver.accepted)
    told = missing == 0 and not unexpected and bool(disabled) and waiting == 0
    holds = told and slowest_s <= BESIDE_TAR_PIT_S

    return Figure(
        missing, "ends not told", "0, stable ids, 410 disables, 5 s beside a tar pit", holds
    )


def _beside_a_tar_pit() -> float:
    """Return the seconds from the end of a tenant's jobs until all of them are told, while another
    tenant's receiver takes connections and never answers.
    """
    with (
        stopwatch(60),
        running_stack() as here,
        socket.create_server(("127.0.0.1", 0), backlog=512) as tar_pit,
    ):
        jobs = here.bench.stores.jobs
        outbox = Outbox(jobs.redis)
        receiver = Receiver()
        outbox.endpoints.add("flood", f"http://127.0.0.1:{tar_pit.getsockname()[1]}/")
        outbox.endpoints.add("acme", f"{receiver.url}/calm")

        for _ in range(TAR_PIT_JOBS):
            ended_job(jobs, time.time, "flood")

        async def send() -> float:
            client = _client()
            # The loop that production runs, by the real clock: what is judged is its fairness.
            running = asyncio.create_task(_sender(outbox, jobs, client, time.time).run())
            await asyncio.sleep(1)  # the flood is on its way

            for _ in range(JOBS):
                ended_job(jobs, time.time, "acme")

            began = time.monotonic()
            while len(receiver.accepted) < JOBS and time.monotonic() - began < 30:
                await asyncio.sleep(0.05)

            took_s = time.monotonic() - began
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await client.close()
            return took_s

        took_s = asyncio.run(send())
        receiver.close()

    return took_s


async def _send(outbox: Outbox, jobs: JobStore, clock: object) -> int:
    client = _client()
    try:
        return await _sender(outbox, jobs, client, clock).send_due()
    finally:
        await client.close()


def _client() -> GuardedClient:
    return GuardedClient(GuardedBackend(AddressGuard([ip_network("127.0.0.0/8")])), 5)


def _sender(outbox: Outbox, jobs: JobStore, client: GuardedClient, clock: object) -> WebhookSender:
    views = JobViews("", UrlSigner(b"of this benchmark"))
    log = DeliveryLog(jobs.redis)
    batches = BatchViews("", jobs, BatchStore(jobs.redis, jobs.limits))
    messages = EndMessages(jobs, views, batches)
    return WebhookSender(outbox, messages, client, Metrics(), log, clock=clock)  # type: ignore[arg-type]
