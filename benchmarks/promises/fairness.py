"""Bar G-3: a tenant that floods the service does not keep another one waiting."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from benchmarks.bar import Figure, bar
from benchmarks.promises.beside_flood import BOUNDS_S, Neighbour, receiver, register
from benchmarks.promises.flood import hostile_video
from benchmarks.stack import Stack, percentile, running_stack, stopwatch
from tests.material import ROOT
from tests.service.jobs.ended_job import ended_job
from tests.worker.workers import eventually
from worker.stores.outbox import Outbox

# The plan: phases of fixed length, so that the bar ends whatever the flood does to its requests.
# Two cores take 50 s to start everything; the rest of the bound is for the slowest answers.
BOUND_S = 230
FLOOD_BEFORE_S = 10  # until all of its clients are at it, and every queue they fill is full
MEASURED_S = 110  # twenty-two tries of each request: the 95th percentile is the second largest
WAITING_WEBHOOKS = 200  # more than may be on their way at once


@bar("G-3")
def a_flood_keeps_nobody_else_waiting() -> Figure:
    """One tenant floods registration (32 clients), URL inputs that hang (64), webhooks into a tar
    pit (200), image swaps (16 clients), JPEGs of endless scans (4), has an hour of video with one
    key frame swapped on the only video worker, and holds 5,000 idle connections, all at once.

    Another tenant's 95th percentiles beside it; a request that fails, or has no answer when the
    measured time is over, counts as one that never ends.
    """
    took: dict[str, list[float]] = {name: [] for name in BOUNDS_S}
    with stopwatch(BOUND_S), ExitStack() as stack:
        here = stack.enter_context(running_stack())
        pit_url = stack.enter_context(tar_pit())
        received = stack.enter_context(receiver())

        with phase("set-up"):
            video = hostile_video(here.directory / "hostile.mp4")
            print(f"hostile video: {video.stat().st_size / 1e6:.1f} MB, one hour, one key frame")
            start(here)
            neighbour = Neighbour(here, received, took)

        with flood(here, pit_url, video):
            with phase("flood alone"):
                time.sleep(FLOOD_BEFORE_S)
            with phase("measured"), processor_shares(here):
                neighbour.ask_for(MEASURED_S)

        # Its own phase: what the flood has left behind must not keep the service from ending.
        with phase("tear-down"):
            stack.close()

    return worst_of(took)


def worst_of(took: Mapping[str, Sequence[float]]) -> Figure:
    """Print the percentiles; return the worst 95th one, each as a share of its own bound."""
    shares = []
    for name, bound in BOUNDS_S.items():
        values = list(took[name])
        median = percentile(values, 0.5)
        late = percentile(values, 0.95)
        print(
            f"{name}: {len(values)} tries, p50 {median:.2f} s, p95 {late:.2f} s (bound {bound} s)"
        )
        shares.append(late / bound)

    # Each by its own bound, so that one figure speaks for all.
    worst = max(shares)
    return Figure(worst, "of the bound, the worst p95", "<= 1", worst <= 1)


def start(here: Stack) -> None:
    """Start an API and two workers; the flood comes only when all of them are ready."""
    here.add_api(trusted_networks='["127.0.0.1/32"]')
    here.add_worker("image", "image", small=False)
    here.add_worker("video", "video", small=False)
    here.await_api()
    here.await_workers(2)

    with here.client("acme") as client:
        eventually(lambda: client.get("/readyz").status_code == 200, 90, "a ready API", poll_s=0.5)


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Print how long the block took, also when it fails."""
    began = time.monotonic()
    try:
        yield
    finally:
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


@contextmanager
def processor_shares(here: Stack) -> Iterator[None]:
    """Print which of the stack's processes used the processors during the block."""
    began = time.monotonic()
    before = {process: cpu_s(process) for process in processes(here)}
    yield
    elapsed_s = time.monotonic() - began

    for process, spent in before.items():
        share = (cpu_s(process) - spent) / elapsed_s
        # Less than a hundredth of a core says nothing about who holds whom up.
        if share > 0.01:
            print(f"processors: {title(process)} {share:.2f}")


def processes(here: Stack) -> Sequence[psutil.Process]:
    """Return the stack's processes and their children."""
    parents = [psutil.Process(process.pid) for process in here.keeper.running.values()]
    children = [child for parent in parents for child in parent.children(recursive=True)]
    return [*parents, *children]


def cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def title(process: psutil.Process) -> str:
    try:
        # The module and what follows it; the rest is the same for all.
        return " ".join(process.cmdline()[2:5])
    except psutil.NoSuchProcess:
        return "ended"


@contextmanager
def flood(here: Stack, pit_url: str, video: Path) -> Iterator[None]:
    """Do all at once what one tenant may do, until the block ends.

    From a process of its own, which gives way to the others: clients have machines of their own,
    and here they share two cores with the service, and with whoever measures.
    """
    stores = here.bench.stores
    Outbox(stores.jobs.redis).endpoints.add("flood", pit_url)

    for _ in range(WAITING_WEBHOOKS):
        ended_job(stores.jobs, time.time, "flood")

    with here.client("flood", timeout_s=60) as client:
        identity_id = register(client).raise_for_status().json()["id"]

    order = (here.url, here.token("flood"), pit_url, identity_id, str(video))
    command = [sys.executable, "-m", "benchmarks.promises.flood", *order]
    # A session of its own, without which its giving way would be ours as well.
    flooding = subprocess.Popen(command, cwd=ROOT, start_new_session=True)

    try:
        yield
        assert flooding.poll() is None, "the flood has ended by itself"
    finally:
        # It never ends by itself.
        flooding.kill()
        flooding.wait()


@contextmanager
def tar_pit() -> Iterator[str]:
    """Yield a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/pit"
