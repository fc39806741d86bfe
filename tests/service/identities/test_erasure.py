"""S-10 and S-11: erasure reaches the store's disk, and the audit log tells what was done."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import httpx
import pytest

from tests.material import CONSENT
from tests.service.live_service import LiveService, until
from worker.stores.audit_log import AuditLog
from worker.stores.erasure import LogRewriter
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.ids import new_id


def store_files_with(live: LiveService, marker: bytes) -> list[Path]:
    """Every file of the store and of the data directory that holds the marker."""
    root = Path(live.settings.store_url.removeprefix("unix://")).parent
    return [path for path in root.rglob("*") if path.is_file() and marker in path.read_bytes()]


def test_an_erased_face_is_in_no_file_and_in_no_key(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    marker = secrets.token_bytes(64)
    record = IdentityRecord(new_id("idn"), tenant, "open@test", time.time(), consent=CONSENT)
    live.identities.put(record, b"code" + marker, b"weights" + marker)
    until(lambda: store_files_with(live, marker))
    place = f"/v1/identities/{record.id}"
    assert client.delete(place).json()["log_rewritten_at"] is None
    rewriter = LogRewriter(live.redis)

    def is_through() -> bool:
        rewriter.run()
        return client.get(f"{place}/erasure").json()["log_rewritten_at"] is not None

    until(is_through, timeout_s=60)
    assert store_files_with(live, marker) == []

    for key in live.redis.scan_iter(count=1000):
        assert marker not in (live.redis.dump(key) or b"")


@pytest.mark.parametrize("path", ["", "/consent"])
def test_a_job_whose_identity_is_erased_says_so(
    live: LiveService, client: httpx.Client, tenant: str, path: str
) -> None:
    job = live.job(client, tenant)
    identity_id = job["assignments"][0]["identity_id"]
    assert client.delete(f"/v1/identities/{identity_id}{path}").json()["jobs_canceled"] == 1

    ended = client.get(job["urls"]["self"]).json()
    assert (ended["status"], ended["error"]["code"]) == ("canceled", "identity_erased")


def test_the_audit_log_says_what_was_done(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    identity_id = job["assignments"][0]["identity_id"]
    client.delete(f"/v1/identities/{identity_id}")
    made = client.post("/v1/keys", json={"scopes": ["jobs:read"]}).json()
    client.delete(f"/v1/keys/{made['id']}")
    entries = [entry for entry in AuditLog(live.redis).pending() if entry.body["tenant"] == tenant]
    told = [(entry.body["event"], entry.body["subject"]) for entry in entries]
    assert told == [
        ("identity.used", identity_id),
        ("identity.erased", identity_id),
        ("key.created", made["id"]),
        ("key.revoked", made["id"]),
    ]

    allowed = {
        "event",
        "tenant",
        "actor",
        "subject",
        "at",
        "job",
        "jobs_canceled",
        "results_deleted",
    }
    assert all(entry.body.keys() <= allowed for entry in entries)
