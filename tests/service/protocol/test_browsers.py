"""Browsers: signed URLs of results, tokens for one origin, and what a page may read."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from service.browsers.cross_origin import EXPOSED
from service.browsers.signed_urls import UrlSigner
from tests.service.live_service import LiveService, problem_of

PAGE = "https://app.example.org"
OTHER = "https://evil.example.net"
ASKED = {"origin": PAGE, "scopes": ["jobs:read", "jobs:write"]}


def _finished(live: LiveService, client: httpx.Client, tenant: str) -> dict[str, Any]:
    job_id = live.job(client, tenant)["id"]
    live.finish(job_id, b"the bytes")
    return client.get(f"/v1/jobs/{job_id}").json()


def test_a_signed_url_opens_one_result_without_a_key(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = _finished(live, client, tenant)
    other = _finished(live, client, tenant)
    signed = job["urls"]["result_signed"]

    with httpx.Client(base_url=live.url, trust_env=False) as anybody:
        assert anybody.get(signed).content == b"the bytes"
        part = anybody.get(signed, headers={"Range": "bytes=4-8"})
        assert (part.status_code, part.content) == (206, b"bytes")
        assert anybody.head(signed).headers["content-length"] == "9"

        unknown = anybody.get(signed.replace(job["id"], "job_" + "0" * 26))
        elsewhere = anybody.get(signed.replace(job["id"], other["id"]))
        problem_of(elsewhere, 404, "not_found")
        assert unknown.json()["detail"] == elsewhere.json()["detail"]
        problem_of(anybody.get(signed.replace("signature=", "signature=A")), 404, "not_found")
        later = signed.replace("expires=", "expires=9")
        problem_of(anybody.get(later), 404, "not_found")
        problem_of(anybody.get(job["urls"]["result"]), 401, "unauthorized")


def test_a_signed_url_ends_after_minutes_and_with_its_job(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = _finished(live, client, tenant)
    signed = job["urls"]["result_signed"]
    expires = int(parse_qs(urlsplit(signed).query)["expires"][0])
    assert 600 <= expires - time.time() <= 900

    signer: UrlSigner = live.app.state.service.views.signer
    past = UrlSigner(signer._secret, clock=lambda: time.time() - 3600).query(job["id"])
    problem_of(client.get(f"{job['urls']['result']}?{past}"), 410, "link_expired")

    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    problem_of(client.get(signed), 404, "not_found")


def test_a_job_without_a_result_has_no_signed_url(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    assert live.job(client, tenant)["urls"]["result_signed"] is None


def test_a_browser_token_serves_pages_of_its_origin_only(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = _finished(live, client, tenant)
    made = client.post("/v1/tokens", json=ASKED)
    assert made.status_code == 201, made.text
    token = made.json()["token"]
    here = job["urls"]["self"]

    with httpx.Client(base_url=live.url, trust_env=False) as browser:
        bearer = {"Authorization": f"Bearer {token}"}
        answer = browser.get(here, headers={**bearer, "Origin": PAGE})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == PAGE
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {"Location", "ETag", "Retry-After", "X-Request-Id"} <= set(exposed)

        problem_of(browser.get(here, headers={**bearer, "Origin": OTHER}), 403, "forbidden")
        problem_of(browser.get(here, headers=bearer), 403, "forbidden")
        problem_of(
            browser.get("/v1/identities", headers={**bearer, "Origin": PAGE}), 403, "forbidden"
        )
        problem_of(
            browser.post("/v1/tokens", json=ASKED, headers={**bearer, "Origin": PAGE}),
            403,
            "forbidden",
        )

        image = {"Referer": f"{PAGE}/album?page=2"}
        result = f"{job['urls']['result']}?access_token={token}"
        assert browser.get(result, headers=image).content == b"the bytes"
        problem_of(browser.get(result, headers={"Referer": OTHER}), 403, "forbidden")
        events = browser.get(f"{job['urls']['events']}?access_token={token}", headers=image)
        assert "event: completed" in events.text


def test_a_key_for_good_is_not_taken_from_a_url(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    key = client.headers["authorization"].removeprefix("Bearer ")
    with httpx.Client(base_url=live.url, trust_env=False) as anybody:
        problem_of(anybody.get(f"/v1/jobs?access_token={key}"), 401, "unauthorized")


def test_a_token_ends_with_the_key_that_made_it(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    token = client.post("/v1/tokens", json=ASKED).json()["token"]
    headers = {"Authorization": f"Bearer {token}", "Origin": PAGE}

    with httpx.Client(base_url=live.url, headers=headers, trust_env=False) as browser:
        assert browser.get("/v1/jobs").status_code == 200
        key_id = client.headers["authorization"].split("_")[1]
        assert client.delete(f"/v1/keys/{key_id}").status_code == 204
        problem_of(browser.get("/v1/jobs"), 401, "unauthorized")


def test_a_token_has_no_more_scopes_than_its_key(live: LiveService, tenant: str) -> None:
    with live.client(tenant, ("jobs:read",)) as reader:
        problem_of(reader.post("/v1/tokens", json=ASKED), 403, "forbidden")
        admin = {"origin": PAGE, "scopes": ["admin"]}
        problem_of(reader.post("/v1/tokens", json=admin), 422, "invalid_request")
        with_path = {"origin": f"{PAGE}/path", "scopes": ["jobs:read"]}
        problem_of(reader.post("/v1/tokens", json=with_path), 422, "invalid_request")


def test_a_preflight_is_answered_for_origins_that_have_a_token(
    live: LiveService, client: httpx.Client
) -> None:
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, prefer",
    }
    page = "https://preflight.example.org"
    with httpx.Client(base_url=live.url, trust_env=False) as browser:
        refused = browser.options("/v1/uploads", headers={**asks, "Origin": page})
        assert "access-control-allow-origin" not in refused.headers

        client.post("/v1/tokens", json={"origin": page, "scopes": ["jobs:write"]})
        allowed = browser.options("/v1/uploads", headers={**asks, "Origin": page})
        assert allowed.status_code == 204
        assert allowed.headers["access-control-allow-headers"] == "authorization, prefer"


def test_every_documented_header_of_an_answer_can_be_read_by_pages(
    live: LiveService, client: httpx.Client
) -> None:
    document = client.get("/openapi.json").json()
    responses = [
        response
        for path in document["paths"].values()
        for operation in path.values()
        for response in operation["responses"].values()
    ]
    named = {name for response in responses for name in response.get("headers", {})}
    assert named
    assert named <= set(EXPOSED)
