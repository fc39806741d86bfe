"""The other tenant of bar G-3: what it asks for beside the flood, and how long each takes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from benchmarks.promises.registrations import consent
from benchmarks.stack import Stack
from tests.material import SAMPLES
from tests.service.jobs.ended_job import ended_job
from tests.web_server import QuietHandler, web_server
from tests.worker.workers import eventually
from worker.stores.outbox import Outbox

PHOTO = (SAMPLES / "ada_neutral.jpg").read_bytes()
SHORT_VIDEO = (SAMPLES / "solo_720p30.mp4").read_bytes()
TARGET = (SAMPLES / "ben_neutral.jpg").read_bytes()
BOUNDS_S = {
    # A person waits for these in front of a form; `/livez` is what an orchestrator restarts by.
    "registration": 2.0,
    "image": 3.0,
    "video start": 10.0,
    "url input": 5.0,
    "webhook": 5.0,
    "livez": 1.0,
}
EVERY_S = 5.0  # one request of each kind: a tenant at work, and no second flood
VIDEO_EVERY_S = 20.0
ANSWER_S = 30.0  # the longest wait for any answer: three times the largest bound

Ask = Callable[[], float]


@dataclass
class Received:
    """What the other tenant's server received: webhook messages; it serves a photo as well."""

    url: str = ""
    messages: list[str] = field(default_factory=list)

    def has(self, job_id: str) -> bool:
        return any(job_id in message for message in self.messages)


@contextmanager
def receiver() -> Iterator[Received]:
    received = Received()

    class Handler(QuietHandler):
        def get(self) -> None:
            self.answer(200, TARGET)

        def post(self) -> None:
            received.messages.append(self.body().decode())
            self.answer(204)

    with web_server(Handler) as url:
        received.url = url
        yield received


class Neighbour:
    """A tenant that asks for one thing of each kind every few seconds.

    Each kind has a thread of its own: a slow answer must neither lengthen the bar nor spare the
    requests after it the time they would have been made at.
    """

    def __init__(self, here: Stack, received: Received, took: Mapping[str, list[float]]) -> None:
        """Register the face to swap with; `took` is filled while `ask_for` runs."""
        self._here = here
        self._received = received
        self._took = took
        self._client = here.client("acme", timeout_s=ANSWER_S)
        # Made once: making a client costs more than the answer. Each probe opens a connection.
        self._probe = httpx.Client(
            base_url=here.url,
            timeout=ANSWER_S,
            headers={"Connection": "close"},
            trust_env=False,
        )
        Outbox(here.bench.stores.jobs.redis).endpoints.add("acme", f"{received.url}/hook")
        self._identity_id = register(self._client).raise_for_status().json()["id"]
        self._asks: Mapping[str, tuple[Ask, float]] = {
            "registration": (lambda: timed(lambda: register(self._client)), EVERY_S),
            "image": (lambda: timed(self._swap), EVERY_S),
            "video start": (self._video_start_s, VIDEO_EVERY_S),
            "url input": (lambda: timed(self._analyse), EVERY_S),
            "webhook": (self._webhook_s, EVERY_S),
            "livez": (lambda: timed(lambda: self._probe.get("/livez")), EVERY_S / 2),
        }

    def ask_for(self, seconds: float) -> None:
        """Ask for so many seconds, and wait until what was asked last is answered or late."""
        end = time.monotonic() + seconds
        threads = []
        for place, (name, (ask, every_s)) in enumerate(self._asks.items()):
            # One after the other in each five seconds: it is not to be its own flood.
            first = time.monotonic() + place * EVERY_S / len(self._asks)
            work = (name, ask, first, every_s, end)
            threads.append(threading.Thread(target=self._keep_asking, args=work, daemon=True))

        for thread in threads:
            thread.start()
        for name, thread in zip(self._asks, threads, strict=True):
            thread.join(max(0.0, end + ANSWER_S - time.monotonic()))
            if thread.is_alive():
                print(f"{name}: no answer in {ANSWER_S:.0f} s", flush=True)
                self._took[name].append(float("inf"))

    def _keep_asking(self, name: str, ask: Ask, due: float, every_s: float, end: float) -> None:
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                seconds = ask()
            # Whatever went wrong: the tenant did not get what it asked for.
            except (httpx.HTTPError, TimeoutError, AssertionError) as error:
                print(f"{name} failed: {error!r}"[:300], flush=True)
                seconds = float("inf")

            self._took[name].append(seconds)
            print(f"{name} {seconds:.2f} s", flush=True)
            # Not before the last one is answered: of each kind, one at a time.
            due = max(due + every_s, time.monotonic())

    def _swap(self) -> httpx.Response:
        answer = self._client.post(
            "/v1/swaps/image",
            files={"image": TARGET},
            data={"identity_id": self._identity_id},
            headers={"Prefer": f"wait={ANSWER_S:.0f}"},
        )
        assert answer.json().get("status") == "succeeded", answer.text
        return answer

    def _analyse(self) -> httpx.Response:
        # What is measured is the fetch, which the answer to the request comes after.
        url = f"{self._received.url}/{time.monotonic_ns()}.jpg"
        return self._client.post("/v1/analyses", json={"input": {"url": url}})

    def _webhook_s(self) -> float:
        job_id = ended_job(self._here.bench.stores.jobs, time.time, "acme")
        return eventually(lambda: self._received.has(job_id), ANSWER_S, "webhook")

    def _video_start_s(self) -> float:
        """Return how long a short video waits for a worker after it was accepted."""
        fields = {"identity_id": self._identity_id}
        answer = self._client.post("/v1/swaps/video", files={"video": SHORT_VIDEO}, data=fields)
        job = self._here.bench.stores.jobs.get(answer.raise_for_status().json()["id"])

        bench = self._here.bench
        eventually(lambda: bench.get(job).started_at is not None, ANSWER_S, "start", poll_s=0.2)
        # It would be the tenant's own earlier video that the next one waits for.
        self._client.post(f"/v1/jobs/{job.id}/cancel")
        return (bench.get(job).started_at or 0.0) - job.created_at


def timed(request: Callable[[], httpx.Response]) -> float:
    began = time.monotonic()
    request().raise_for_status()
    return time.monotonic() - began


def register(client: httpx.Client) -> httpx.Response:
    data = {"consent": json.dumps(consent("ada"))}
    return client.post("/v1/identities", files={"image": PHOTO}, data=data)
