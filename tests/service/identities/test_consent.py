"""D4 and D5: dates of consent, people found by subject, receipts; a bad record breaks no list."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.material import CONSENT
from tests.service.live_service import JPEG, LiveService, problem_of

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()
SOON = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()


@pytest.mark.parametrize(
    "dates",
    [
        {"granted_at": TOMORROW},
        {"granted_at": "9999-12-31T23:59:59Z"},
        {"granted_at": "0001-01-01T00:00:00+14:00"},
        {"granted_at": "1700-01-01T00:00:00Z"},
        {"granted_at": "2026-01-01T00:00:00"},
        {"expires_at": "9999-12-31T23:59:59-14:00"},
        {"expires_at": "9999-12-31T23:59:59Z"},
        {"expires_at": 1e300},
        {"granted_at": -1},
        {"granted_at": "1767225600"},
        {"expires_at": 4e9},
        {"expires_at": "2025-01-01T00:00:00Z"},
        {"expires_at": "+275760-09-13T00:00:00Z"},
    ],
    ids=str,
)
def test_dates_that_cannot_be_are_refused_and_nothing_is_kept(
    live: LiveService, client: httpx.Client, dates: dict[str, Any]
) -> None:
    consent = {**CONSENT, **dates}
    as_form = client.post(
        "/v1/identities",
        files={"image": ("a.jpg", JPEG, "image/jpeg")},
        data={"consent": json.dumps(consent)},
    )

    body = {"upload_ids": ["upl_00000000000000000000000000"], "consent": consent}
    for answer in (as_form, client.post("/v1/identities", json=body)):
        problem = problem_of(answer, 422, "invalid_request")
        assert "consent" in problem["errors"][0]["field"]

    assert client.get("/v1/identities").json()["data"] == []


@pytest.mark.parametrize(
    "text", ["ada\0", "ada\x1b[2J", "\u202egro.elpmaxe@ada", "\u2067ada", "\u061cada"]
)
def test_names_that_show_as_something_else_are_refused(
    live: LiveService, client: httpx.Client, text: str
) -> None:
    """A subject is what a person's data are found by, and names are read in lists."""
    for more in ({"consent": {**CONSENT, "subject": text}}, {"name": text}):
        body = {"upload_ids": ["upl_00000000000000000000000000"], "consent": CONSENT, **more}
        problem_of(client.post("/v1/identities", json=body), 422, "invalid_request")


@pytest.mark.parametrize(
    "dates",
    [
        {"granted_at": SOON},  # a clock that is a minute ahead
        {"granted_at": "2026-01-01T12:00:00+14:00"},
        {"expires_at": "8999-12-31T00:00:00-12:00"},
    ],
    ids=str,
)
def test_dates_at_the_edge_are_shown_in_lists(
    enrolling: LiveService, client: httpx.Client, dates: dict[str, Any]
) -> None:
    made = client.post(
        "/v1/identities",
        files={"image": ("a.jpg", JPEG, "image/jpeg")},
        data={"consent": json.dumps({**CONSENT, **dates})},
    )

    assert made.status_code == 201, made.text
    assert client.get("/v1/identities").json()["data"] == [made.json()]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("consent", json.dumps({**CONSENT, "granted_at": "9999-12-31T23:59:59Z"})),
        ("consent", json.dumps({"subject": 1})),
        ("expires_at", "1e300"),
        ("created_at", "1e300"),
        ("photos", '[{"face_px": "wide"}]'),
        ("refinement", '{"job_id": null}'),
    ],
)
def test_a_bad_record_is_shown_in_part_and_can_be_erased(
    live: LiveService, client: httpx.Client, tenant: str, field: str, value: str
) -> None:
    good = live.identity(tenant)
    bad = live.identity(tenant)
    live.redis.hset(f"lk:identity:{bad}", field, value)
    assert {entry["id"] for entry in client.get("/v1/identities").json()["data"]} == {good, bad}
    assert client.get(f"/v1/identities/{bad}").status_code == 200
    swap = {"input": {"upload_id": live.upload(tenant)}, "identity_id": bad}
    assert client.post("/v1/swaps/image", json=swap).status_code in (202, 422)
    assert client.delete(f"/v1/identities/{bad}").status_code == 200


@pytest.mark.parametrize("field", ["consent", "photos", "version", "created_at"])
def test_an_unreadable_record_is_left_out_of_lists(
    live: LiveService, client: httpx.Client, tenant: str, field: str
) -> None:
    good = live.identity(tenant)
    bad = live.identity(tenant)
    live.redis.hset(f"lk:identity:{bad}", field, "}")
    assert [entry["id"] for entry in client.get("/v1/identities").json()["data"]] == [good]


@pytest.mark.parametrize("field", ["payload", "result", "created_at", "version"])
def test_a_bad_job_breaks_no_list(
    live: LiveService, client: httpx.Client, tenant: str, field: str
) -> None:
    good, bad = (live.job(client, tenant)["id"] for _ in range(2))
    live.redis.hset(f"lk:job:{bad}", field, "}")
    assert [entry["id"] for entry in client.get("/v1/jobs").json()["data"]] == [good]


def test_identities_are_found_by_subject(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    subject = "zoë+1@example.org"
    theirs = [live.identity(tenant, {**CONSENT, "subject": subject}) for _ in range(3)]

    for index in range(12):
        live.identity(tenant, {**CONSENT, "subject": f"other {index}"})

    live.identity(tenant, None)
    found: list[str] = []
    query: dict[str, Any] = {"subject": subject, "limit": 2}

    while True:
        page = client.get("/v1/identities", params=query).json()
        found += [entry["id"] for entry in page["data"]]

        if page["next_cursor"] is None:
            break

        query["cursor"] = page["next_cursor"]

    assert sorted(found) == sorted(theirs)
    nobody = client.get("/v1/identities", params={"subject": "zoë"}).json()
    assert nobody == {"data": [], "next_cursor": None}


@pytest.mark.parametrize("withdrawn", [False, True])
def test_a_receipt_keeps_its_counts(
    live: LiveService, client: httpx.Client, tenant: str, withdrawn: bool
) -> None:
    identity_id = live.identity(tenant)
    done = [live.job(client, tenant, identity_id=identity_id)["id"] for _ in range(2)]

    for job_id in done:
        live.finish(job_id)

    live.job(client, tenant, identity_id=identity_id)
    place = f"/v1/identities/{identity_id}"
    receipt = client.delete(f"{place}/consent" if withdrawn else place).json()
    assert (receipt["jobs_canceled"], receipt["results_deleted"]) == (1, 2 if withdrawn else 0)
    again = client.get(f"{place}/erasure").json()
    assert {**again, "log_rewritten_at": None} == {**receipt, "log_rewritten_at": None}
