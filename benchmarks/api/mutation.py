"""S-6: mutated media, thousands of them, over HTTP and through a real worker."""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter

import httpx

from benchmarks.bar import Figure, bar
from benchmarks.stack import Stack, running_stack, stopwatch
from tests.material import CONSENT
from tests.service.protocol.mutants import images, mutate, video
from worker.errors import WorkerError

SHARE = float(os.environ.get("SHARE", "1"))  # a smaller share for a quick look
# Shares with different numbers have different mutations, so that ten tenths are as good as a whole.
NUMBER = int(os.environ.get("NUMBER", "0"))


@bar("S-6")
def mutated_media_break_nothing() -> Figure:
    """10,000 mutated images registered, 1,000 mutated videos uploaded and analysed: answers, ends
    of jobs, crashes of the service, of the worker and of the children that decode; jobs that were
    tried until their attempts were exhausted.
    """
    with stopwatch(1500), running_stack() as here:
        here.add_api()
        here.add_worker("video", small=False)
        here.await_api()
        here.await_workers(1)

        with here.client(timeout_s=60) as client:
            # Ten thousand small images take some minutes; each is another file to sniff and decode.
            answers = _register(client, round(10_000 * SHARE))
            videos, jobs = _upload_videos(client, round(1_000 * SHARE))

        ends = Counter(_end(here, job) for job in jobs)
        crashes = {
            "service and worker": here.keeper.restarts,
            "children of the service": _restarts(here),
            # A worker outlives its children: their loss is in its log and nowhere else.
            "children of the worker": len(here.bench.events("child lost")),
        }

    for name, counted in (("images", answers), ("videos", videos), ("jobs", ends)):
        print(f"{name}: {dict(counted.most_common())}")

    print(f"had to be started again: {crashes}")
    # An answer of the 5xx kind is the service's own failure, whatever was sent.
    bad = sum(count for said, count in (answers + videos).items() if said.startswith("5"))
    bad += sum(ends[end] for end in ("never ended", "failed without a code", "attempts_exhausted"))
    bad += sum(crashes.values())

    return Figure(bad, "crashes, retries in vain and answers without a reason", "0", bad == 0)


def _restarts(here: Stack) -> int:
    """Return how many of the service's children were lost and started again."""
    text = httpx.get(f"{here.url}/metrics", trust_env=False).text
    counts = re.findall(r"^likeness_child_restarts_total{[^}]*} (\S+)$", text, re.M)
    # All kinds of children together: any restart is a crash that a file caused.
    return round(sum(float(count) for count in counts))


def _register(client: httpx.Client, count: int) -> Counter[str]:
    # Seeded: a mutation that breaks something is found again.
    dice = random.Random(6 + 100 * NUMBER)
    seeds = images()
    seen = Counter[str]()

    for _ in range(count):
        media_type = dice.choice(sorted(seeds))
        files = {"image": ("x", mutate(seeds[media_type], dice), media_type)}
        seen[
            _said(client.post("/v1/identities", files=files, data={"consent": json.dumps(CONSENT)}))
        ] += 1

    return seen


def _upload_videos(client: httpx.Client, count: int) -> tuple[Counter[str], list[str]]:
    # Other mutations than those of the images.
    dice = random.Random(7 + 100 * NUMBER)
    seed = video()
    seen = Counter[str]()
    jobs: list[str] = []

    for _ in range(count):
        answer = client.post(
            "/v1/uploads", content=mutate(seed, dice), headers={"Content-Type": "video/mp4"}
        )
        seen[_said(answer)] += 1

        # Refused at the door, as most are: there is nothing to analyse.
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


def _end(here: Stack, job_id: str) -> str:
    try:
        # A job that neither ends nor fails is the worst of the outcomes looked for.
        job = here.bench.wait_for(here.bench.stores.jobs.get(job_id))
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
