"""Bars S-10 and S-12: what is erased or has expired is in no file and no key."""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path

import httpx

from benchmarks.bar import Figure, bar
from benchmarks.stack import Stack, running_stack, stopwatch
from tests.material import CONSENT, SAMPLES
from tests.service.live_service import JPEG, until
from worker.stores.media.uploads import MediaFacts


@bar("S-10")
def an_erased_face_is_nowhere() -> Figure:
    """A face registered, swapped and erased over HTTP: seconds until its bytes are in no file and
    no key.
    """
    with stopwatch(150), running_stack() as here:
        here.add_api()
        here.add_worker("image", "image", small=False)
        here.await_api()
        here.await_workers(1)

        with here.client(timeout_s=70) as client:
            identity_id, marker = _used_identity(here, client)
            found = _files_with(here.directory, marker)
            began = time.monotonic()
            client.delete(f"/v1/identities/{identity_id}").raise_for_status()
            # Asked of the API, as a client would: a receipt that lies is found below.
            place = f"/v1/identities/{identity_id}"
            until(
                lambda: client.get(f"{place}/erasure").json()["log_rewritten_at"] is not None,
                timeout_s=60,
            )
            took_s = time.monotonic() - began
            # In any file below the directory: the store's log, the media store, logs.
            left = _files_with(here.directory, marker)
            later = client.get(place).status_code
            # Over HTTP: the leading worker may have archived the entries by now.
            told = client.get("/v1/audit", params={"event": "identity.erased"}).json()["items"]

        redis = here.bench.stores.jobs.redis
        # Each key as it is stored, whatever its type.
        keys = [key for key in redis.scan_iter(count=1000) if marker in (redis.dump(key) or b"")]

    print(
        f"before: {len(found)} files; after: {len(left)} files, {len(keys)} keys; later use"
        f" {later}; {len(told)} audit entry"
    )
    holds = (
        bool(found) and not left and not keys and later == 410 and len(told) == 1 and took_s <= 60
    )
    return Figure(took_s, "s until no file holds it", "<= 60 s", holds)


def _used_identity(here: Stack, client: httpx.Client) -> tuple[str, bytes]:
    """Return an identity that a worker holds in its cache, and bytes of its stored weights."""
    photo = (SAMPLES / "ada_neutral.jpg").read_bytes()
    data = {"consent": json.dumps(CONSENT)}
    made = client.post(
        "/v1/identities", files={"image": ("a.jpg", photo, "image/jpeg")}, data=data
    ).json()
    swap = {"files": {"image": ("b.jpg", JPEG, "image/jpeg")}, "data": {"identity_id": made["id"]}}
    client.post("/v1/swaps/image", headers={"Prefer": "wait=60"}, **swap).raise_for_status()  # type: ignore[arg-type]
    # Where the cache has let go of the weights, random bytes cannot be found: the bar falls short.
    weights = here.bench.stores.identities.weights(made["id"], made["pack"]) or secrets.token_bytes(
        64
    )
    # From the middle, since a file's beginning is the same for everyone.
    middle = len(weights) // 2
    return made["id"], weights[middle : middle + 64]


def _files_with(directory: Path, marker: bytes) -> list[str]:
    return [
        path.name for path in directory.rglob("*") if path.is_file() and marker in path.read_bytes()
    ]


@bar("S-12")
def what_expires_is_gone_also_after_a_restart() -> Figure:
    """An upload that lives 5 s; store and worker are killed and started before it ends: seconds
    past its time.
    """
    with stopwatch(120), running_stack() as here:
        here.add_worker("worker")
        here.await_workers(1)
        writer = here.bench.stores.media.begin_write("acme")
        writer.write(JPEG)
        record = writer.commit(MediaFacts("image/jpeg", ".jpg"), ttl_s=5.0)
        media = here.bench.stores.media
        # Both die before the time is up: expiry must not depend on anyone's memory.
        here.store.kill()
        here.keeper.running["worker"].kill()
        here.store.start()
        until(lambda: not media.blobs.exists(media.name(record)), timeout_s=70)
        late_s = time.time() - record.expires_at
        keys = here.bench.stores.jobs.redis.exists(f"lk:media:{record.id}")

    return Figure(
        late_s, "s past its time", "<= 60 s, no record left", 0 <= late_s <= 60 and not keys
    )
