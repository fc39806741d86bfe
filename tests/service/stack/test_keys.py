"""S-8: keys are random, stored as hashes, shown once, gone at once when revoked, and in no log."""

from __future__ import annotations

import logging
from pathlib import Path

import httpx
import pytest

from tests.service.live_service import LiveService, problem_of


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer lk_0123456789abcdef_" + "0" * 64, "Bearer nonsense", "Basic YTpi"],
)
def test_without_a_valid_key_nothing_is_answered(live: LiveService, header: str | None) -> None:
    headers = {"Authorization": header} if header is not None else {}
    for path in ("/v1/jobs", "/v1/identities", "/v1/capacity", "/v1/keys", "/v1/jobs/job_x/events"):
        answer = httpx.get(live.url + path, headers=headers)
        problem_of(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_health_and_the_document_are_open(live: LiveService) -> None:
    for path in ("/livez", "/metrics", "/openapi.json", "/docs"):
        assert httpx.get(live.url + path).status_code == 200


@pytest.mark.parametrize(
    ("scope", "allowed", "refused"),
    [
        ("jobs:read", "/v1/jobs", "/v1/identities"),
        ("identities:write", "/v1/identities", "/v1/jobs"),
        ("admin", "/v1/keys", "/v1/jobs"),
        ("jobs:write", "/v1/webhook-endpoints", "/v1/keys"),
    ],
)
def test_a_key_does_what_its_scopes_say(
    live: LiveService, tenant: str, scope: str, allowed: str, refused: str
) -> None:
    with live.client(tenant, [scope]) as client:
        assert client.get(allowed).status_code == 200
        problem_of(client.get(refused), 403, "forbidden")


def test_a_key_is_shown_once_and_its_revocation_holds_at_once(
    live: LiveService, client: httpx.Client
) -> None:
    made = client.post("/v1/keys", json={"name": "app", "scopes": ["jobs:read"]}).json()
    assert made["token"].startswith(f"lk_{made['id']}_")
    assert len(bytes.fromhex(made["token"].split("_")[2])) == 32
    assert client.get(f"/v1/keys/{made['id']}").json()["token"] is None
    assert made["token"] not in client.get("/v1/keys").text
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert httpx.get(f"{live.url}/v1/jobs", headers=headers).status_code == 200
    assert client.delete(f"/v1/keys/{made['id']}").status_code == 204
    problem_of(httpx.get(f"{live.url}/v1/jobs", headers=headers), 401, "unauthorized")


def test_a_rotated_key_lives_on_for_its_overlap(live: LiveService, client: httpx.Client) -> None:
    old = client.post("/v1/keys", json={"scopes": ["jobs:read"]}).json()
    new = client.post(f"/v1/keys/{old['id']}/rotate?overlap_s=60").json()

    for key in (old, new):
        headers = {"Authorization": f"Bearer {key['token']}"}
        assert httpx.get(f"{live.url}/v1/jobs", headers=headers).status_code == 200

    last = client.post(f"/v1/keys/{new['id']}/rotate").json()
    headers = {"Authorization": f"Bearer {new['token']}"}
    problem_of(httpx.get(f"{live.url}/v1/jobs", headers=headers), 401, "unauthorized")
    assert last["token"] not in (old["token"], new["token"])


def test_secrets_are_in_no_file_of_the_store_and_in_no_log(
    live: LiveService, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        made = client.post("/v1/keys", json={"scopes": ["jobs:read"]}).json()
        httpx.get(f"{live.url}/v1/jobs", headers={"Authorization": f"Bearer {made['token']}"})
        httpx.get(f"{live.url}/v1/jobs", headers={"Authorization": f"Bearer {made['token']}x"})

    secret = made["token"].split("_")[2]
    assert caplog.records
    assert not any(secret in str(record.__dict__) for record in caplog.records)
    store = Path(live.settings.store_url.removeprefix("unix://")).parent

    for file in store.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file
            assert bytes.fromhex(secret) not in file.read_bytes(), file
