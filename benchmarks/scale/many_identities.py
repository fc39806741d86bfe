"""X-7: what an idle identity costs the store, and what its first swap pays for that."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from redis import Redis

from benchmarks.bar import Figure, bar
from benchmarks.stack import percentile, stopwatch
from tests.store_server import StoreServer
from worker.composition import Stores, open_stores
from worker.settings import WorkerSettings
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.ids import new_id

IDENTITIES = 20_000
STEPS = 4  # the growth is looked at in as many pieces
TENANTS = 200
CODE = bytes(88_600)  # as large as the encoder's
WEIGHTS = bytes(823_000)
REFINED_EVERY = 2000  # of them are refined too, which used to cost 823 KB of memory each
WHOLE_EVERY = 100  # has a code of its real size
BAR_BYTES = 1500
BAR_COLD_MS = 50.0
COLD = 50
PHOTO = {
    "sha256": "0" * 64,
    "width": 1600,
    "height": 1200,
    "face": {"box": [402, 310, 811, 902], "yaw": -4.1, "pitch": 2.2, "roll": 0.4, "size_px": 409},
    "quality": {"sharpness": 0.82, "light": 0.71, "verdict": "good"},
}
CONSENT = {
    "subject": "4711",
    "basis": "consent",
    "granted_at": "2026-01-01T00:00:00Z",
    "purposes": ["face_swap"],
    "expires_at": "2027-01-01T00:00:00Z",
}


@bar("X-7")
def an_idle_identity_is_small() -> Figure:
    """20,000 identities with the code's real size, ten of them refined: bytes of the store each,
    beside its bounded cache, in four steps; and the time of what a cold identity adds to its swap,
    reading and unsealing the code, or refined weights.
    """
    # In memory where that can be: syncing a disk would take minutes, and is not what is measured.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - private below it
    with stopwatch(400), tempfile.TemporaryDirectory(prefix="lk-", dir=memory) as directory:
        server = StoreServer(Path(directory), {"appendonly": "no"})
        server.start()
        try:
            settings = WorkerSettings(redis_url=server.url, data_dir=Path(directory) / "data")
            stores = open_stores(settings)
            known: list[str] = []
            growth = [_grow(stores, known, IDENTITIES // STEPS) for _ in range(STEPS)]
            cold_ms = _cold_ms(stores, known)
        finally:
            server.kill()

    # The largest step: an average would hide a cost that grows with the number.
    each = max(growth)
    print(f"bytes each, by steps of {IDENTITIES // STEPS:,}: {[round(step) for step in growth]}")
    print(f"a cold code takes {cold_ms[0]:.1f} ms, cold refined weights {cold_ms[1]:.1f} ms (p95)")
    holds = each <= BAR_BYTES and max(cold_ms) <= BAR_COLD_MS

    return Figure(each, "bytes an identity", f"<= {BAR_BYTES}, cold <= {BAR_COLD_MS:.0f} ms", holds)


def _grow(stores: Stores, known: list[str], more: int) -> float:
    """Register identities; the bytes that each of them added."""
    before = _used_bytes(stores)
    for _ in range(more):
        identity_id = new_id("idn")
        record = IdentityRecord(
            id=identity_id,
            tenant=f"tenant{len(known) % TENANTS}",
            pack="open@0123456789ab",
            created_at=time.time(),
            name=f"Person {len(known)}",
            photos=[PHOTO],
            photo_sha256=["0" * 64],
            consent=CONSENT,
            consent_receipt="0" * 64,
            receipt_salt="0" * 32,
        )
        # What is sealed is not in the store, so that most may be short: 1.8 GB would wear a disk.
        whole = len(known) % WHOLE_EVERY == 0
        stores.identities.put(record, CODE if whole else CODE[:1000], b"")
        if len(known) % REFINED_EVERY == 0:
            stores.identities.put_refined(
                identity_id, record.pack, WEIGHTS, {"status": "succeeded"}
            )
        known.append(identity_id)

    return (_used_bytes(stores) - before) / more


def _used_bytes(stores: Stores) -> int:
    """Return the store's bytes without its cache of weights, which is bounded by itself."""
    redis: Redis = stores.jobs.redis
    return int(redis.info("memory")["used_memory_dataset"]) - stores.identities.cached_bytes()


def _cold_ms(stores: Stores, known: list[str]) -> tuple[float, float]:
    """Return the 95th percentiles of reading a code, and refined weights, that are in no cache."""
    codes = [
        _timed_ms(partial(stores.identities.code, i))
        for i in known[: COLD * WHOLE_EVERY : WHOLE_EVERY]
    ]
    refined = []
    # Thrown out of the cache first, as an idle one would be by others.
    for identity_id in known[::REFINED_EVERY]:
        stores.jobs.redis.delete(f"lk:weights:{identity_id}:open@0123456789ab")
        read = partial(stores.identities.weights, identity_id, "open@0123456789ab")
        refined.append(_timed_ms(read))

    return percentile(codes, 0.95), percentile(refined, 0.95)


def _timed_ms(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return (time.perf_counter() - began) * 1000
