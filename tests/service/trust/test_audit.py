"""The audit trail over HTTP: a tenant reads its own, filtered and page by page."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.service.live_service import LiveService, problem_of
from worker.provenance.audit.archive import AuditArchive
from worker.provenance.trust_store import TrustStore
from worker.stores.audit_log import AuditLog
from worker.stores.key_store import TENANT_SCOPES


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


@pytest.mark.usefixtures("trail")
def test_an_operator_sees_other_tenants_and_others_do_not(
    client: httpx.Client, live: LiveService, tenant: str
) -> None:
    everybody = client.get("/v1/audit", params={"tenant": "*", "limit": 1000}).json()["items"]
    assert {tenant, "somebody-else"} <= {item["tenant"] for item in everybody}
    assert len(client.get("/v1/audit/export", params={"tenant": "*"}).text.splitlines()) > 4

    with live.client(tenant, TENANT_SCOPES) as own:
        assert len(own.get("/v1/audit").json()["items"]) == 3
        problem_of(own.get("/v1/audit", params={"tenant": "*"}), 403, "forbidden")
        problem_of(own.get("/v1/audit", params={"tenant": "somebody-else"}), 403, "forbidden")


@pytest.mark.usefixtures("trail")
def test_newest_entries_come_first_where_that_is_asked(client: httpx.Client) -> None:
    first = client.get("/v1/audit", params={"order": "newest", "limit": 2}).json()
    cursor = {"order": "newest", "cursor": first["next_cursor"]}
    rest = client.get("/v1/audit", params=cursor).json()
    subjects = [item["subject"] for item in first["items"] + rest["items"]]
    assert subjects == ["idn_2", "idn_1", "idn_0"]
    assert rest["next_cursor"] is None


def test_one_question_finds_what_names_an_identity(
    client: httpx.Client, live: LiveService, tenant: str, trail: AuditArchive
) -> None:
    log = AuditLog(live.redis)
    log.append("output.marked", tenant, "worker", "job_9", identities="idn_7,idn_8")
    log.append("identity.erased", tenant, "key-1", "idn_8")
    trail.take(log)

    found = client.get("/v1/audit", params={"about": "idn_8"}).json()["items"]
    assert [item["event"] for item in found] == ["output.marked", "identity.erased"]


def test_the_trail_is_checked_for_whoever_asks(
    client: httpx.Client, live: LiveService, trail: AuditArchive
) -> None:
    check = live.app.state.service.chain_check
    check._state = None  # an earlier test's answer may be a minute old
    answer = client.get("/v1/audit/check").json()
    assert (answer["intact"], answer["problem"]) == (True, "")
    assert answer["entries"] == trail.files.last().entry.seq

    day = next(live.settings.audit_dir.glob("*.jsonl"))
    written = day.read_text()
    day.write_text(written.replace("identity.used", "identity.lost", 1))
    check._state = None
    try:
        broken = client.get("/v1/audit/check").json()
    finally:
        day.write_text(written)
        check._state = None

    assert not broken["intact"]
    assert "not as it was written" in broken["problem"]


def test_the_page_loads_nothing_from_elsewhere(live: LiveService) -> None:
    with httpx.Client(base_url=live.url, trust_env=False) as anybody:
        page = anybody.get("/audit")
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "http" not in page.text
        assert anybody.get("/audit.js").headers["content-type"].startswith("text/javascript")
