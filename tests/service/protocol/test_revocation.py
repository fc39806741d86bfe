"""D5: the open streams of a revoked key end within 5 seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import httpx
import pytest

from tests.service.live_service import LiveService
from worker.stores.key_store import KeyStore

MIB = 1024 * 1024


def events(client: httpx.Client, job_id: str) -> None:
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
        for _ in stream.iter_lines():
            continue


def long_poll(client: httpx.Client, job_id: str) -> None:
    answer = client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=30"})
    assert answer.status_code == 401


@pytest.mark.parametrize("stream", [events, long_poll])
@pytest.mark.parametrize("end", ["revoked", "rotated", "expired"])
def test_an_open_stream_ends_with_its_key(
    live: LiveService,
    client: httpx.Client,
    tenant: str,
    stream: Callable[[httpx.Client, str], None],
    end: str,
) -> None:
    job_id = live.job(client, tenant)["id"]
    keys = KeyStore(live.redis)
    expires_at = time.time() + 1.5 if end == "expired" else None
    key, token = keys.create(tenant, ["jobs:read"], expires_at=expires_at)
    headers = {"Authorization": f"Bearer {token}"}

    with httpx.Client(base_url=live.url, headers=headers, timeout=70, trust_env=False) as reader:
        thread = threading.Thread(target=stream, args=(reader, job_id))
        thread.start()
        time.sleep(1.5)
        assert thread.is_alive() or end == "expired"

        if end == "revoked":
            keys.revoke(key.id)
        elif end == "rotated":
            keys.rotate(key.id)

        thread.join(5.0)
        assert not thread.is_alive()

    client.post(f"/v1/jobs/{job_id}/cancel")


def test_a_slow_download_ends_with_its_key(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    live.finish(job["id"], bytes(64 * MIB))
    keys = KeyStore(live.redis)
    key, token = keys.create(tenant, ["jobs:read"])
    headers = {"Authorization": f"Bearer {token}"}

    with (
        httpx.Client(base_url=live.url, headers=headers, timeout=30, trust_env=False) as reader,
        reader.stream("GET", job["urls"]["result"]) as answer,
    ):
        chunks = answer.iter_bytes(MIB)
        next(chunks)
        keys.revoke(key.id)
        time.sleep(2.5)

        with pytest.raises(httpx.RemoteProtocolError):
            list(chunks)
