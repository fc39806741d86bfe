"""Runs in a container beside the service: fills the store and asks what still works.

Prints one JSON object: the answers to reads and writes before, when full, and the store's figures.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import httpx
from redis import Redis
from redis.exceptions import OutOfMemoryError

SAMPLES = Path("/samples")
BLOCK_BYTES = 64 << 10
REWRITE_TIMEOUT_S = 240.0
CONSENT = {
    "subject": "ada, a composite who is no one",
    "basis": "consent",
    "scope": ["image"],
    "granted_at": "2026-01-01T00:00:00Z",
}


def main() -> None:
    """Register, fill, ask again, and have the store rewrite its log while it is full."""
    store = Redis(host="valkey", socket_timeout=60)
    key = {"Authorization": f"Bearer {os.environ['KEY']}"}

    with httpx.Client(base_url=os.environ["API"], headers=key, timeout=60.0) as client:
        before = register(client)
        identity = before.json()["id"]
        blocks = fill(store)
        when_full = {
            "registration": code(register(client)),
            "swap": code(swap(client, identity)),
            "identity": code(client.get(f"/v1/identities/{identity}")),
            "identities": code(client.get("/v1/identities")),
            "ready": code(client.get("/readyz")),
        }

    rewrite(store)
    used = store.info("memory")
    print(
        json.dumps(
            {
                "before": code(before),
                "identity": identity,
                "blocks": blocks,
                "when_full": when_full,
                "used_mib": used["used_memory"] >> 20,
                "limit_mib": used["maxmemory"] >> 20,
                "rewrite": store.info("persistence")["aof_last_bgrewrite_status"],
            }
        )
    )


def register(client: httpx.Client) -> httpx.Response:
    photo = {"image": ("ada.jpg", (SAMPLES / "ada_neutral.jpg").read_bytes(), "image/jpeg")}
    return client.post("/v1/identities", files=photo, data={"consent": json.dumps(CONSENT)})


def swap(client: httpx.Client, identity: str) -> httpx.Response:
    target = {"image": ("ben.jpg", (SAMPLES / "ben_neutral.jpg").read_bytes(), "image/jpeg")}
    return client.post("/v1/swaps/image", files=target, data={"identity_id": identity})


def code(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.json().get('code', '')}".strip()


def fill(store: Redis) -> int:
    """Write until nothing fits, in ever smaller blocks; return how many were written."""
    written = 0
    size = BLOCK_BYTES

    while size:
        try:
            store.set(f"fill:{written}", os.urandom(size))
            written += 1
        except OutOfMemoryError:
            size //= 4

    return written


def rewrite(store: Redis) -> None:
    store.bgrewriteaof()
    deadline = time.monotonic() + REWRITE_TIMEOUT_S

    while time.monotonic() < deadline:
        time.sleep(0.5)
        told = store.info("persistence")

        if not (told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"]):
            return


if __name__ == "__main__":
    main()
