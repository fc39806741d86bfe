"""Swaps that are refused at once, each with what is wrong with it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.service.live_service import LiveService, problem_of

FORMS = "Give 'largest', 'all', or an object with one of person_id, index, box, reference"


@pytest.mark.parametrize(
    ("faces", "reason"),
    [
        ({"index": -1}, "Input should be greater than or equal to 0"),
        ({"index": "first"}, "Input should be a valid integer"),
        ({"person_id": ""}, "String should have at least 1 character"),
        ({"reference": "ada"}, "String should match pattern"),
        ({"box": [0, 0, 5]}, "Field required"),
        ({"box": [0, 0, 5, -1]}, "Input should be greater than 0"),
        ({"box": [0, 0, 0, 5]}, "Input should be greater than 0"),
        ({"index": 0, "box": [0, 0, 5, 5]}, "Extra inputs are not permitted"),
        ("everybody", "Input should be 'largest' or 'all'"),
        ({"face": 1}, FORMS),
        ({}, FORMS),
        (None, FORMS),
        (3, FORMS),
    ],
)
@pytest.mark.parametrize("place", ["options", "assignments"])
def test_a_selector_is_refused_for_its_own_mistake(
    live: LiveService, client: httpx.Client, tenant: str, place: str, faces: object, reason: str
) -> None:
    identity = live.identity(tenant)
    chosen: dict[str, Any] = {"identity_id": identity, "options": {"faces": faces}}
    if place == "assignments":
        chosen = {"assignments": [{"identity_id": identity, "face": faces}]}

    body = {"input": {"upload_id": live.upload(tenant)}, **chosen}
    problem = problem_of(client.post("/v1/swaps/image", json=body), 422, "invalid_request")
    found = [one["message"] for one in problem["errors"] if ".face" in one["field"]]
    assert [message[: len(reason)] for message in found] == [reason]


def test_a_box_without_end_is_refused_for_that(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    text = (
        f'{{"input": {{"upload_id": "{live.upload(tenant)}"}},'
        f' "identity_id": "{live.identity(tenant)}",'
        ' "options": {"faces": {"box": [0, 0, 1e999, 5]}}}'
    )
    headers = {"Content-Type": "application/json"}
    answer = client.post("/v1/swaps/image", content=text, headers=headers)
    problem = problem_of(answer, 422, "invalid_request")
    assert [one["message"] for one in problem["errors"]] == ["Input should be a finite number"]


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/hook",
        "http://127.0.0.2:8080/",
        "http://169.254.169.254/latest",
        "http://2130706434/",
        "http://0x7f.0.0.2/",
        "https://1.1.1.1:22/",
    ],
)
def test_a_webhook_to_a_refused_address_is_refused_with_its_job(
    live: LiveService, client: httpx.Client, tenant: str, url: str
) -> None:
    upload = live.upload(tenant)
    identity = live.identity(tenant)
    swap = {"input": {"upload_id": upload}, "identity_id": identity, "webhook": url}
    problem_of(client.post("/v1/swaps/image", json=swap), 422, "fetch_refused")

    batch = {"upload_ids": [upload], "identity_ids": [identity], "webhook": url}
    problem_of(client.post("/v1/batches", json=batch), 422, "fetch_refused")
    assert not live.jobs.list(tenant).jobs


def test_a_webhook_to_a_name_is_taken_without_resolving_it(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    assert live.job(client, tenant, webhook="https://nobody.invalid/hook")["status"] == "queued"


def test_faces_beside_assignments_are_refused_and_other_options_are_not(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    body = {
        "input": {"upload_id": live.upload(tenant)},
        "assignments": [{"identity_id": live.identity(tenant)}],
    }
    answer = client.post("/v1/swaps/image", json=body | {"options": {"faces": "largest"}})
    assert "options.faces" in problem_of(answer, 422, "invalid_request")["detail"]
    assert not live.jobs.list(tenant).jobs

    options = {"preset": "faithful", "blend": 0.5}
    assert client.post("/v1/swaps/image", json=body | {"options": options}).status_code == 202
