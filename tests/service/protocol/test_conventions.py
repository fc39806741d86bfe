"""Conventions of the API: unknown parameters, quotas in headers, listings, names that change."""

from __future__ import annotations

import httpx

from tests.service.live_service import JPEG, LiveService, problem_of


def test_a_query_parameter_that_is_not_known_is_refused(client: httpx.Client) -> None:
    refused = client.get("/v1/jobs?state=running")
    problem = problem_of(refused, 400, "invalid_parameter")
    assert "state" in problem["detail"]
    assert "status" in problem["detail"]
    problem_of(client.post("/v1/keys?dry_run=1", json={}), 400, "invalid_parameter")
    assert client.get("/v1/jobs?status=running&limit=3").status_code == 200


def test_an_accepted_job_says_how_many_more_there_may_be(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    asked = {
        "input": {"upload_id": live.upload(tenant)},
        "identity_id": live.identity(tenant),
    }
    answer = client.post("/v1/swaps/image", json=asked)
    quota = client.get("/v1/capacity").json()["tenant"]
    assert answer.headers["ratelimit-policy"] == f'"jobs";q={quota["max_jobs"]}'
    assert answer.headers["ratelimit"] == f'"jobs";r={quota["max_jobs"] - quota["jobs"]}'


def test_uploads_are_listed_by_page_until_they_are_deleted(client: httpx.Client) -> None:
    made = [
        client.post(
            "/v1/uploads", content=JPEG + bytes([number]), headers={"Content-Type": "image/jpeg"}
        ).json()
        for number in range(3)
    ]
    first = client.get("/v1/uploads?limit=2")
    assert [one["id"] for one in first.json()["data"]] == [made[2]["id"], made[1]["id"]]
    assert 'rel="next"' in first.headers["link"]

    cursor = first.json()["next_cursor"]
    rest = client.get(f"/v1/uploads?cursor={cursor}").json()
    assert (rest["data"], rest["next_cursor"]) == ([made[0]], None)

    client.delete(f"/v1/uploads/{made[0]['id']}")
    assert made[0]["id"] not in client.get("/v1/uploads").text


def test_an_identity_is_renamed(live: LiveService, client: httpx.Client, tenant: str) -> None:
    path = f"/v1/identities/{live.identity(tenant)}"
    before = client.get(path)
    after = client.patch(path, json={"name": "ada, with glasses"})
    assert after.json() == {**before.json(), "name": "ada, with glasses"}
    assert client.get(path).headers["etag"] != before.headers["etag"]
    assert client.patch(path, json={"name": None}).json()["name"] is None
    problem_of(client.patch(path, json={"consent": None}), 422, "invalid_request")
    problem_of(client.patch(f"/v1/identities/idn_{'0' * 26}", json={"name": "x"}), 404, "not_found")


def test_a_key_may_read_identities_without_changing_them(live: LiveService, tenant: str) -> None:
    path = f"/v1/identities/{live.identity(tenant)}"
    with live.client(tenant, ("identities:read",)) as reader:
        assert reader.get(path).status_code == 200
        assert reader.get("/v1/identities").status_code == 200
        problem_of(reader.patch(path, json={"name": "x"}), 403, "forbidden")
        problem_of(reader.delete(path), 403, "forbidden")


def test_jobs_are_filtered_by_identity_time_and_metadata(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    ada = live.identity(tenant)
    first = live.job(client, tenant, identity_id=ada, metadata={"order": 17})
    second = live.job(client, tenant, metadata={"order": 18})

    def ids(**filters: str) -> list[str]:
        return [job["id"] for job in client.get("/v1/jobs", params=filters).json()["data"]]

    assert ids(identity_id=ada) == [first["id"]]
    assert ids(metadata="order:18") == [second["id"]]
    assert ids(metadata="order:19") == []
    assert ids(created_from=second["created_at"]) == [second["id"]]
    assert ids(created_before=second["created_at"]) == [first["id"]]
    problem_of(client.get("/v1/jobs?metadata=order"), 400, "invalid_parameter")
    for text in ("yesterday", "0.5", "1767607200"):
        problem_of(client.get(f"/v1/jobs?created_from={text}"), 400, "invalid_parameter")


def test_head_answers_with_the_headers_of_get(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    for path in (f"/v1/identities/{live.identity(tenant)}", "/v1/jobs", "/livez", "/"):
        got = client.get(path)
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-type", "content-length", "etag"):
            assert head.headers.get(name) == got.headers.get(name), (path, name)

    assert client.head(f"/v1/jobs/job_{'0' * 26}").status_code == 404
