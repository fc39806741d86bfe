"""S-6: mutated media, thousands of them, over HTTP and through a real worker."""

from __future__ import annotations

import json
import os
import random
from collections import Counter

import httpx

from benchmarks.bar import Figure, bar
from benchmarks.stack import Town, stopwatch, town
from tests.service.live_service import CONSENT
from tests.service.protocol.mutants import film, mutate, pictures
from worker.errors import WorkerError

SHARE = float(os.environ.get("SHARE", "1"))  # a smaller share for a quick look


@bar("S-6")
def mutated_media_break_nothing() -> Figure:
    """10,000 mutated pictures registered, 1,000 mutated films uploaded and analysed: answers, ends
    of jobs, crashes.
    """
    with stopwatch(1500), town() as here:
        here.add_api()
        here.add_worker("video", small=False)
        here.await_api()
        here.await_workers(1)

        with here.client(timeout_s=60) as client:
            answers = _register(client, round(10_000 * SHARE))
            films, jobs = _upload_films(client, round(1_000 * SHARE))

        ends = Counter(_end(here, job) for job in jobs)
        crashes = here.keeper.restarts

    for name, counted in (("pictures", answers), ("films", films), ("jobs", ends)):
        print(f"{name}: {dict(counted.most_common())}")

    bad = sum(count for said, count in (answers + films).items() if said.startswith("5"))
    bad += ends["never ended"] + ends["failed without a code"] + crashes
    print(f"processes of service and worker that had to be started again: {crashes}")

    return Figure(bad, "crashes and answers without a reason", "0", bad == 0)


def _register(client: httpx.Client, count: int) -> Counter[str]:
    dice = random.Random(6)
    seeds = pictures()
    seen = Counter[str]()

    for _ in range(count):
        media_type = dice.choice(sorted(seeds))
        files = {"image": ("x", mutate(seeds[media_type], dice), media_type)}
        seen[
            _said(client.post("/v1/identities", files=files, data={"consent": json.dumps(CONSENT)}))
        ] += 1

    return seen


def _upload_films(client: httpx.Client, count: int) -> tuple[Counter[str], list[str]]:
    dice = random.Random(7)
    seed = film()
    seen = Counter[str]()
    jobs: list[str] = []

    for _ in range(count):
        answer = client.post(
            "/v1/uploads", content=mutate(seed, dice), headers={"Content-Type": "video/mp4"}
        )
        seen[_said(answer)] += 1

        if answer.status_code != 201:
            continue

        analysis = client.post("/v1/analyses", json={"input": {"upload_id": answer.json()["id"]}})
        while analysis.status_code in (429, 503):  # the tenant's bound: let the worker catch up
            client.get(f"/v1/jobs/{jobs[-1]}", headers={"Prefer": "wait=5"})
            analysis = client.post(
                "/v1/analyses", json={"input": {"upload_id": answer.json()["id"]}}
            )

        jobs.append(analysis.json()["id"])

    return seen, jobs


def _end(here: Town, job_id: str) -> str:
    try:
        job = here.bench.wait_for(here.bench.shop.store.get(job_id))
    except (WorkerError, AssertionError, TimeoutError):
        return "never ended"

    if job.status == "failed":
        return job.error.code if job.error else "failed without a code"

    return job.status


def _said(answer: httpx.Response) -> str:
    return (
        f"{answer.status_code} {answer.json()['code']}"
        if answer.status_code >= 400
        else str(answer.status_code)
    )
