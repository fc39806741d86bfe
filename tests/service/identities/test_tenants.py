"""S-2: another tenant's id answers exactly as an unknown one, on every route."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.service.live_service import JPEG, LiveService

UNKNOWN = {
    "job": "job_00000000000000000000000000",
    "identity": "idn_00000000000000000000000000",
    "upload": "upl_00000000000000000000000000",
    "endpoint": "whe_00000000000000000000000000",
    "key": "0123456789abcdef",
}
SAME_REQUEST = {"X-Request-Id": "fixed"}


@dataclass(frozen=True)
class Foreign:
    """Ids of things that belong to somebody else."""

    ids: dict[str, str]


@pytest.fixture(scope="module")
def foreign(live: LiveService) -> Foreign:
    with live.client("owner") as owner:
        job = live.job(owner, "owner")
        live.finish(job["id"])
        endpoint = owner.post(
            "/v1/webhook-endpoints", json={"url": "http://127.0.0.1:9/hook"}
        ).json()
        key = owner.get("/v1/keys").json()["data"][0]

        return Foreign(
            {
                "job": job["id"],
                "identity": job["assignments"][0]["identity_id"],
                "upload": job["input"]["upload_id"],
                "endpoint": endpoint["id"],
                "key": key["id"],
            }
        )


@pytest.fixture(scope="module")
def outsider(live: LiveService) -> Iterator[httpx.Client]:
    with live.client("outsider") as client:
        yield client


ROUTES = [
    ("GET", "/v1/jobs/{job}", None),
    ("GET", "/v1/jobs/{job}/events", None),
    ("GET", "/v1/jobs/{job}/result", None),
    ("POST", "/v1/jobs/{job}/cancel", None),
    ("POST", "/v1/jobs/{job}/requeue", None),
    ("DELETE", "/v1/jobs/{job}", None),
    ("GET", "/v1/identities/{identity}", None),
    ("GET", "/v1/identities/{identity}/erasure", None),
    ("DELETE", "/v1/identities/{identity}", None),
    ("DELETE", "/v1/identities/{identity}/consent", None),
    ("GET", "/v1/uploads/{upload}", None),
    ("DELETE", "/v1/uploads/{upload}", None),
    ("GET", "/v1/webhook-endpoints/{endpoint}", None),
    ("POST", "/v1/webhook-endpoints/{endpoint}/rotate", None),
    ("DELETE", "/v1/webhook-endpoints/{endpoint}", None),
    ("GET", "/v1/keys/{key}", None),
    ("POST", "/v1/keys/{key}/rotate", None),
    ("DELETE", "/v1/keys/{key}", None),
    (
        "POST",
        "/v1/swaps/image",
        {"input": {"upload_id": "{own_upload}"}, "identity_id": "{identity}"},
    ),
    (
        "POST",
        "/v1/swaps/image",
        {
            "input": {"upload_id": "{own_upload}"},
            "assignments": [{"identity_id": "{own_identity}", "face": {"reference": "{identity}"}}],
        },
    ),
    (
        "POST",
        "/v1/swaps/image",
        {"input": {"upload_id": "{upload}"}, "identity_id": "{own_identity}"},
    ),
    (
        "POST",
        "/v1/swaps/video",
        {"input": {"upload_id": "{upload}"}, "identity_id": "{own_identity}"},
    ),
    ("POST", "/v1/analyses", {"input": {"upload_id": "{upload}"}}),
    ("POST", "/v1/identities", {"upload_ids": ["{upload}"], "consent": "{consent}"}),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_a_foreign_id_answers_as_an_unknown_one(
    live: LiveService,
    foreign: Foreign,
    outsider: httpx.Client,
    method: str,
    path: str,
    body: object,
) -> None:
    own = {"own_upload": live.upload("outsider"), "own_identity": live.identity("outsider")}
    answers = []

    for ids in (foreign.ids, UNKNOWN):
        target = path.format(**ids)
        filled = fill(body, {**ids, **own})
        answers.append(outsider.request(method, target, json=filled, headers=SAME_REQUEST))

    assert answers[0].status_code == answers[1].status_code == 404, answers[0].text
    assert answers[0].content == answers[1].content
    names = [set(answer.headers) for answer in answers]
    assert names[0] == names[1]


def fill(body: object, ids: dict[str, str]) -> object:
    if isinstance(body, dict):
        return {name: fill(value, ids) for name, value in body.items()}
    if isinstance(body, list):
        return [fill(value, ids) for value in body]
    if body == "{consent}":
        return {
            "subject": "x",
            "basis": "self",
            "scope": ["image"],
            "granted_at": "2026-01-01T00:00:00Z",
        }

    return body.format(**ids) if isinstance(body, str) else body


def test_the_owner_still_has_everything(
    live: LiveService, foreign: Foreign, outsider: httpx.Client
) -> None:
    with live.client("owner") as owner:
        for path in (
            "/v1/jobs/{job}",
            "/v1/identities/{identity}",
            "/v1/webhook-endpoints/{endpoint}",
            "/v1/keys/{key}",
        ):
            assert owner.get(path.format(**foreign.ids)).status_code == 200


def test_listings_show_only_what_is_ones_own(foreign: Foreign, outsider: httpx.Client) -> None:
    for path in ("/v1/jobs", "/v1/identities", "/v1/webhook-endpoints", "/v1/keys"):
        text = outsider.get(path).text
        assert not any(each in text for each in foreign.ids.values())


def test_a_foreign_cursor_pages_through_ones_own_things(
    foreign: Foreign, outsider: httpx.Client
) -> None:
    answer = outsider.get(f"/v1/jobs?cursor={foreign.ids['job']}")
    assert foreign.ids["job"] not in answer.text


def test_idempotency_keys_of_two_tenants_do_not_meet(
    live: LiveService, outsider: httpx.Client
) -> None:
    headers = {"Idempotency-Key": "the same", "Content-Type": "image/jpeg"}
    with live.client("owner") as owner:
        first = owner.post("/v1/uploads", content=JPEG, headers=headers)

    second = outsider.post("/v1/uploads", content=JPEG, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]
