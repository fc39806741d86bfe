"""The audit trail over HTTP: a tenant reads its own, filtered and page by page."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.service.live_service import LiveService, problem_of
from worker.provenance.audit_archive import AuditArchive
from worker.provenance.trust_store import TrustStore
from worker.stores.audit_log import AuditLog


@pytest.fixture
def trail(live: LiveService, tenant: str) -> AuditArchive:
    """An archive into which three events of this tenant and one of another were moved."""
    log = AuditLog(live.redis)
    for number in range(3):
        log.append("identity.used", tenant, "key-1", f"idn_{number}", job=f"job_{number}")

    log.append("identity.erased", "somebody-else", "key-2", "idn_1")
    trust = TrustStore(live.settings.trust_dir)
    archive = AuditArchive(live.settings.audit_dir, trust.audit_key())

    while archive.take(log):
        pass

    archive.sign_head(trust.signer().sign, 0.0, force=True)
    return archive


@pytest.mark.usefixtures("trail")
def test_a_tenant_sees_its_own_entries_only(client: httpx.Client) -> None:
    items = client.get("/v1/audit").json()["items"]
    assert [item["subject"] for item in items] == ["idn_0", "idn_1", "idn_2"]
    assert items[0]["details"] == {"job": "job_0"}


@pytest.mark.usefixtures("trail")
def test_pages_follow_each_other(client: httpx.Client) -> None:
    first = client.get("/v1/audit", params={"limit": 2}).json()
    second = client.get("/v1/audit", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [len(first["items"]), len(second["items"])] == [2, 1]
    assert second["next_cursor"] is None


@pytest.mark.usefixtures("trail")
def test_filters_narrow_the_trail(client: httpx.Client) -> None:
    assert len(client.get("/v1/audit", params={"subject": "idn_1"}).json()["items"]) == 1
    assert client.get("/v1/audit", params={"event": "identity.erased"}).json()["items"] == []
    assert client.get("/v1/audit", params={"until": 1}).json()["items"] == []


@pytest.mark.usefixtures("trail")
def test_the_head_and_the_export_can_be_kept_elsewhere(client: httpx.Client) -> None:
    head = client.get("/v1/audit/head").json()
    assert head["pending"] == 0
    assert head["signed_seq"] == head["seq"]

    lines = client.get("/v1/audit/export").text.splitlines()
    assert len(lines) == 4
    assert json.loads(lines[-1])["head"]["signature"] == head["signature"]


def test_a_key_needs_the_scope(live: LiveService, tenant: str) -> None:
    with live.client(tenant, ["jobs:read"]) as client:
        problem_of(client.get("/v1/audit"), 403, "forbidden")
