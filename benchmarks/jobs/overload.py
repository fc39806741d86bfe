"""Bars R-6 and R-7: more requests than may be served are refused at once, equal ones are one."""

from __future__ import annotations

import json
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse

import httpx
import psutil

from benchmarks.bar import Figure, bar
from benchmarks.stack import percentile, running_stack, stopwatch
from tests.worker.workers import eventually
from worker.stores.tenants import TenantStore

TENANTS = 5
CLIENTS_OF_EACH = 4
MAX_JOBS = 20  # of each tenant, all of them taken
PER_S = 200  # two workers do about 20 such jobs a second: ten times as many
WARM_UP_S = 8.0  # fills what is filled once: pools, caches, metrics
OVERLOAD_S = 60.0


@dataclass(frozen=True)
class Prepared:
    """A request of one client, as it is sent again and again."""

    body: bytes
    headers: dict[str, str]


@dataclass
class Refusals:
    """What the overload was answered, and how soon."""

    times: list[float] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)
    impatient: int = 0  # without Retry-After

    def add(self, answer: HTTPResponse, took_s: float) -> None:
        self.times.append(took_s)
        self.codes[answer.status] += 1
        self.impatient += "retry-after" not in answer.headers


@bar("R-6")
def at_the_bound_the_next_request_is_refused_at_once() -> Figure:
    """Twenty clients of five tenants, all at their bounds, who ask independently of each other,
    with ten times as many requests as could be served, for 60 s: answers, their times, memory.
    """
    with stopwatch(180), running_stack() as here:
        here.add_api()
        here.await_api()
        requests = []
        for number in range(TENANTS):
            tenant = f"tenant-{number}"
            upload = here.bench.upload(tenant)
            TenantStore(here.bench.stores.jobs.redis).set_bounds(tenant, {"max_jobs": MAX_JOBS})
            requests += [_analysis(here.token(tenant), upload) for _ in range(CLIENTS_OF_EACH)]

            with here.client(tenant) as client:
                for _ in range(MAX_JOBS):
                    answer = client.post("/v1/analyses", json=body(upload))
                    assert answer.status_code == 202, answer.text

        _overload(here.url, requests, WARM_UP_S)
        # Measured after the warm-up: what is filled once is no growth.
        process = psutil.Process(here.keeper.running["api"].pid)
        before = process.memory_info().rss
        refused = _overload(here.url, requests, OVERLOAD_S)
        after = process.memory_info().rss

    growth = after / before - 1
    p50 = statistics.median(refused.times) * 1e3
    p95 = percentile(refused.times, 0.95) * 1e3
    rate = len(refused.times) / OVERLOAD_S
    print(
        f"{len(refused.times)} requests ({rate:.0f}/s) of {len(requests)} clients refused with"
        f" {dict(refused.codes)}, {refused.impatient} of them without Retry-After"
    )
    print(f"answered in {p50:.1f} ms (median), {p95:.1f} ms (p95)")
    print(f"memory {before >> 20} -> {after >> 20} MiB ({growth:+.1%})")
    refusing = set(refused.codes) <= {429, 503} and not refused.impatient
    holds = refusing and p95 <= 50 and abs(growth) <= 0.10

    return Figure(
        p95, "ms to the refusal, p95", "429/503 + Retry-After within 50 ms, memory +-10 %", holds
    )


def body(upload: str) -> dict[str, object]:
    """Return the body of a request for an analysis."""
    return {"input": {"upload_id": upload}}


def _analysis(token: str, upload: str) -> Prepared:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return Prepared(json.dumps(body(upload)).encode(), headers)


def _overload(url: str, requests: Sequence[Prepared], seconds: float) -> Refusals:
    refused = Refusals()
    lock = threading.Lock()
    deadline = time.monotonic() + seconds
    # Each client at its share of the rate; one that is answered late does not catch up.
    pause_s = len(requests) / PER_S

    def ask(request: Prepared, dice: random.Random) -> None:
        # As little of Python as can be: what the clients compute is time that the service lacks,
        # and would be measured as its own.
        with closing(HTTPConnection(url.removeprefix("http://"), timeout=30)) as connection:
            # Clients that know nothing of each other do not ask at the same instant.
            time.sleep(dice.uniform(0, pause_s))
            while (began := time.monotonic()) < deadline:
                connection.request("POST", "/v1/analyses", request.body, request.headers)
                answer = connection.getresponse()
                answer.read()
                took_s = time.monotonic() - began

                with lock:
                    refused.add(answer, took_s)

                time.sleep(max(0.0, dice.expovariate(1 / pause_s) - took_s))

    with ThreadPoolExecutor(len(requests)) as pool:
        dice = [random.Random(number) for number in range(len(requests))]
        list(pool.map(ask, requests, dice))

    return refused


@bar("R-7")
def one_idempotency_key_makes_one_job() -> Figure:
    """50 concurrent equal POSTs with one key, then one more after the store was killed and came
    back.
    """
    with stopwatch(60), running_stack() as here:
        here.add_api()
        here.await_api()
        upload = here.bench.upload()

        with here.client(timeout_s=60.0) as client, ThreadPoolExecutor(50) as pool:
            headers = {"Idempotency-Key": "order-7"}

            def post(_: int) -> httpx.Response:
                return client.post("/v1/analyses", json=body(upload), headers=headers)

            answers = list(pool.map(post, range(50)))
            here.store.kill()
            here.store.start()
            eventually(
                lambda: client.get("/v1/jobs").status_code == 200, 20, "API on the new store"
            )
            # The key has to outlive the store's memory: it is in its append-only file.
            later = post(51)

    jobs = {answer.json()["id"] for answer in (*answers, later) if answer.status_code in (200, 202)}
    codes = sorted({answer.status_code for answer in answers})
    print(f"answers {codes}; after the store's restart {later.status_code}; jobs made: {len(jobs)}")
    # 409: a twin that came while the first was still being answered.
    holds = len(jobs) == 1 and later.status_code in (200, 202) and set(codes) <= {200, 202, 409}

    return Figure(len(jobs), "job(s)", "1", holds)
