"""The never-swap list over HTTP: operators' entries, people's requests, refused registrations."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.material import SAMPLES
from tests.service.identities.test_registration import register
from tests.service.live_service import LiveService, problem_of
from worker.stores.audit_log import AuditLog
from worker.stores.key_store import TENANT_SCOPES

DEV = (SAMPLES / "dev_neutral.jpg").read_bytes()
DEV_AGAIN = (SAMPLES / "dev_smile.jpg").read_bytes()


def photos(*images: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("image", ("photo.jpg", image, "image/jpeg")) for image in images]


@pytest.fixture
def anybody(live: LiveService) -> httpx.Client:
    """A client without a key, whose earlier requests do not count."""
    live.app.state.service.blocklist_visitors.forget()
    return httpx.Client(base_url=live.url, timeout=60.0, trust_env=False)


@pytest.fixture
def emptied(enrolling: LiveService, client: httpx.Client) -> Iterator[None]:
    """The list is everybody's in this service: other tests must find it empty."""
    yield
    for entry in client.get("/v1/blocklist").json()["data"]:
        client.delete(f"/v1/blocklist/{entry['id']}")


@pytest.mark.usefixtures("emptied")
def test_a_listed_person_is_not_registered_until_the_entry_is_removed(
    client: httpx.Client, live: LiveService
) -> None:
    added = client.post("/v1/blocklist", files=photos(DEV), data={"label": "case 7"})
    assert added.status_code == 201, added.text
    entry = added.json()
    assert (entry["state"], entry["label"], entry["is_compared"]) == ("active", "case 7", True)
    assert "embedding" not in added.text

    problem_of(register(client, DEV_AGAIN), 403, "identity_blocked")
    events = [line.body for line in AuditLog(live.redis).pending()]
    assert {"blocklist.added", "blocklist.hit"} <= {event["event"] for event in events}

    assert client.delete(f"/v1/blocklist/{entry['id']}").status_code == 204
    problem_of(client.delete(f"/v1/blocklist/{entry['id']}"), 404, "not_found")
    assert register(client, DEV_AGAIN).status_code == 201


@pytest.mark.usefixtures("emptied")
def test_a_person_asks_an_operator_approves_and_the_person_withdraws(
    anybody: httpx.Client, client: httpx.Client
) -> None:
    asked = anybody.post("/v1/blocklist/requests", files=photos(DEV), data={"reason": "self"})
    assert asked.status_code == 202, asked.text
    ticket = asked.json()
    mine = {"Blocklist-Token": ticket["token"]}
    place = f"/v1/blocklist/requests/{ticket['id']}"
    assert register(client, DEV_AGAIN).status_code == 201

    approved = client.post(f"/v1/blocklist/{ticket['id']}/approve")
    assert approved.json()["state"] == "active"
    problem_of(register(client, DEV_AGAIN), 403, "identity_blocked")
    assert anybody.get(place, headers=mine).json()["state"] == "active"

    problem_of(anybody.delete(place, headers={"Blocklist-Token": "guess"}), 404, "not_found")
    assert anybody.delete(place, headers=mine).status_code == 204
    assert client.get("/v1/blocklist").json()["data"] == []


@pytest.mark.usefixtures("enrolling")
def test_an_entry_ends_when_it_should_and_nonsense_is_refused(client: httpx.Client) -> None:
    bad = {"label": "case 8", "keep_days": "soon"}
    problem_of(client.post("/v1/blocklist", files=photos(DEV), data=bad), 422, "invalid_request")
    problem_of(client.post("/v1/blocklist", json={"label": "x"}), 415, "unsupported_media_type")


def test_requests_without_a_key_are_bounded(anybody: httpx.Client) -> None:
    answers = [anybody.post("/v1/blocklist/requests", files=photos(b"no image")) for _ in range(6)]
    assert {answer.status_code for answer in answers[:5]} == {415}
    problem_of(answers[5], 429, "too_many_requests")


def test_the_list_is_the_operators(live: LiveService, tenant: str) -> None:
    with live.client(tenant, TENANT_SCOPES) as admin:
        problem_of(admin.get("/v1/blocklist"), 403, "forbidden")
        problem_of(admin.post("/v1/blocklist", files=photos(DEV)), 403, "forbidden")
        problem_of(admin.post("/v1/keys", json={"scopes": ["operator"]}), 422, "invalid_request")


def test_an_admin_cannot_become_operator_by_rotating_an_operators_key(
    live: LiveService, tenant: str, client: httpx.Client
) -> None:
    operators = client.get("/v1/keys").json()["data"][0]
    assert "operator" in operators["scopes"]
    with live.client(tenant, TENANT_SCOPES) as admin:
        problem_of(admin.post(f"/v1/keys/{operators['id']}/rotate"), 403, "forbidden")


def test_photos_of_a_request_do_not_stay(
    enrolling: LiveService, anybody: httpx.Client, client: httpx.Client, emptied: None
) -> None:
    marker = b"only in this photo, 91ab"
    anybody.post("/v1/blocklist/requests", files=photos(DEV + marker))
    kept = [path for path in enrolling.settings.data_dir.rglob("*") if path.is_file()]
    assert [path for path in kept if marker in path.read_bytes()] == []
