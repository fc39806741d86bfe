"""Bars of the HTTP service: what it adds to the work, how it does under clients, and how many
people it holds.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx

from benchmarks.bar import Figure, bar
from benchmarks.stack import Stack, percentile, running_stack, stopwatch
from models.inference.engine import FaceSwapEngine
from models.inference.frames.image_frame import ImageFrame
from models.inference.options import FaceSelector, SwapOptions
from models.inference.painting.face_painter import Identity
from models.inference.swapping.selection import Assignment
from models.packs.store import load_pack
from tests.material import CONSENT, PACKS, SAMPLES
from tests.service.live_service import JPEG
from worker.media.images import decode_image, encode_image
from worker.settings import MediaLimits
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.identities.identity_store import IdentityLimits
from worker.stores.ids import new_id
from worker.use_cases.target_examiner import TargetExaminer

ADA = SAMPLES / "ada_neutral.jpg"
# The median of forty: single requests differ by the scheduler's moods.
ROUNDS = 40
MOST_ADDED_MS = 12.0
# Two cores give 2 at most; API and store take their share of both.
LEAST_GAIN = 1.8


@bar("P-6")
def http_adds_little_to_the_work_itself() -> Figure:
    """What HTTP, queue, mark and signature add to an image swap with a cached identity (POST with
    Prefer: wait), p50, beside the same work in this process, alternating; then register and swap
    under 1, 2, 4 and 8 clients, on two workers.
    """
    with stopwatch(400), running_stack() as here:
        _open_for_business(here)
        with here.client(timeout_s=70) as client:
            identity_id = register(client)
            added_ms = _added_ms(partial(swap, client, identity_id))

        # The second worker comes after the ratio is measured, which is of one request at a time.
        here.add_worker("second", "image", small=False)
        here.await_workers(2)
        rates = {count: _under_clients(here, count, identity_id) for count in (1, 2, 4, 8)}

    gain = rates[2] / rates[1]
    print(f"two clients on two workers get {gain:.2f}x the swaps of one client")
    return Figure(
        f"{added_ms:.1f} ms, {gain:.2f}x",
        "added to the work itself, and two clients' gain",
        f"<= {MOST_ADDED_MS:.0f} ms, >= {LEAST_GAIN}x",
        added_ms <= MOST_ADDED_MS and gain >= LEAST_GAIN,
    )


def register(client: httpx.Client) -> str:
    """Register ada; returns the identity's id."""
    with ADA.open("rb") as photo:
        answer = client.post(
            "/v1/identities", files={"image": photo}, data={"consent": json.dumps(CONSENT)}
        )

    return str(answer.raise_for_status().json()["id"])


def swap(client: httpx.Client, identity_id: str) -> None:
    """Swap ada into ben's portrait and wait for the end."""
    files = {"image": ("ben.jpg", JPEG, "image/jpeg")}
    data = {"identity_id": identity_id}
    # Held open until the job is done: polling would measure the polling.
    answer = client.post("/v1/swaps/image", files=files, data=data, headers={"Prefer": "wait=60"})

    if answer.raise_for_status().json()["status"] != "succeeded":
        raise RuntimeError(answer.text)


def _open_for_business(here: Stack) -> None:
    here.add_api()
    here.add_worker("first", "image", small=False)
    here.await_api()
    here.await_workers(1)
    deadline = time.monotonic() + 60

    # Ready means models loaded: the first request must not pay for that.
    while httpx.get(f"{here.url}/readyz").status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.1)


def _added_ms(over_http: Callable[[], None]) -> float:
    # With the checks that a worker makes: they are part of the work.
    engine = FaceSwapEngine.load(
        load_pack("open", PACKS), device="cpu", nudity_check=True, age_check=True
    )
    code = engine.register([decode_image(ADA, MediaLimits()).bgr]).code
    identity = engine.identity("ada", code, engine.specialise(code))

    with tempfile.TemporaryDirectory() as directory:
        in_process = partial(_work, engine, identity, Path(directory))
        # Once each, so that neither way pays for opening files and sessions.
        for warm_up in (over_http, in_process):
            warm_up()

        # In turns, so that a busy machine slows both.
        pairs = [(_timed(over_http), _timed(in_process)) for _ in range(ROUNDS)]

    http_ms, own_ms = (statistics.median(times) * 1e3 for times in zip(*pairs, strict=True))
    print(f"image swap, p50 of {ROUNDS}: {http_ms:.1f} ms over HTTP, {own_ms:.1f} ms in process")
    return float(http_ms - own_ms)


def _work(engine: FaceSwapEngine, identity: Identity, directory: Path) -> None:
    # Written to disk and read from it, as the service does.
    source = directory / "in.jpg"
    source.write_bytes(JPEG)
    decoded = decode_image(source, MediaLimits())
    found = engine.detect(decoded.bgr, largest_only=True)
    examiner = TargetExaminer(engine)
    examiner.look(ImageFrame(decoded.bgr), list(enumerate(found)))
    examiner.require_allowed()

    assignments = [Assignment(FaceSelector("largest"), identity)]
    options = SwapOptions(measure_similarity=True)
    swapped = engine.swap_found(decoded.bgr, found, assignments, options)
    (directory / "out.jpg").write_bytes(encode_image(swapped.frame, file_format="jpeg"))


def _under_clients(here: Stack, count: int, identity_id: str) -> float:
    """Print p50 and p95 of both calls with so many clients at once; returns swaps a second."""
    clients = [here.client(timeout_s=70) for _ in range(count)]
    # Fewer registrations than swaps: each takes as long as several of them.
    registered, _ = _at_once([partial(register, client) for client in clients], 6)
    swapped, rate = _at_once([partial(swap, client, identity_id) for client in clients], 10)
    shown = "  ".join(
        f"{name} p50 {statistics.median(times) * 1e3:.0f} ms,"
        f" p95 {percentile(times, 0.95) * 1e3:.0f} ms"
        for name, times in (("register", registered), ("swap", swapped))
    )
    print(f"{count} clients: {shown}, {rate:.1f} swaps/s", flush=True)
    return rate


def _at_once(calls: list[Callable[[], object]], rounds: int) -> tuple[list[float], float]:
    # Threads are enough: they wait for answers.
    began = time.perf_counter()
    with ThreadPoolExecutor(len(calls)) as pool:
        times = [
            time
            for line in pool.map(lambda call: [_timed(call) for _ in range(rounds)], calls)
            for time in line
        ]

    return times, len(times) / (time.perf_counter() - began)


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


@bar("P-10")
def ten_thousand_people_fit() -> Figure:
    """10,000 identities put from the encoder's code: the store's memory, its weight cache, a cold
    one's first swap.
    """
    # Fewer for a quick look; the figure of the page is of ten thousand.
    people = int(os.environ.get("PEOPLE", "10000"))
    with stopwatch(600), running_stack() as here:
        ids = _populate(here, people)
        held = int(here.bench.stores.jobs.redis.get("lk:weights:bytes") or 0)
        _open_for_business(here)

        with here.client(timeout_s=70) as client:
            # The one that was used last is warm; those at the beginning have left the cache.
            swap(client, ids[-1])
            warm = [_timed(partial(swap, client, ids[-1])) for _ in range(8)]
            cold = [_timed(partial(swap, client, identity_id)) for identity_id in ids[:8]]

    print(
        f"first swap: cold {statistics.median(cold) * 1e3:.0f} ms, warm"
        f" {statistics.median(warm) * 1e3:.0f} ms"
    )
    bound = IdentityLimits().weights_bytes
    return Figure(held / 2**20, "MiB of cached weights", f"<= {bound >> 20}", held <= bound)


def _populate(here: Stack, people: int) -> list[str]:
    engine = FaceSwapEngine.load(load_pack("open", PACKS), device="cpu")
    # One face for all: what is measured is their number.
    code = engine.register([decode_image(ADA, MediaLimits()).bgr]).code
    code_bytes = code.to_bytes()
    weights_bytes = engine.specialise(code).to_bytes()
    print(f"each: code {len(code_bytes) >> 10} KiB, weights {len(weights_bytes) >> 10} KiB")
    redis = here.bench.stores.jobs.redis
    ids = [new_id("idn") for _ in range(people)]

    for number, identity_id in enumerate(ids, 1):
        record = IdentityRecord(identity_id, "acme", code.pack, time.time(), consent=CONSENT)
        here.bench.stores.identities.put(record, code_bytes, weights_bytes)

        # Printed on the way: the growth per identity is what an operator plans with.
        if number in (10, people // 10, people):
            print(
                f"{number} identities: the store uses"
                f" {redis.info('memory')['used_memory'] >> 20} MiB",
                flush=True,
            )

    return ids
