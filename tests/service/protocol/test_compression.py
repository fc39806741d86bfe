"""Compressed answers and requests: for whom, for what, and within which bounds."""

from __future__ import annotations

import gzip
import json
import time

import httpx
import pytest

from tests.service.live_service import LiveService, problem_of

IDENTITY = {"Accept-Encoding": "identity"}


def test_json_and_pages_are_packed_for_clients_that_take_it(client: httpx.Client) -> None:
    for path in ("/openapi.json", "/verify"):
        packed = client.get(path, headers={"Accept-Encoding": "gzip, br"})
        plain = client.get(path, headers=IDENTITY)
        assert packed.headers["content-encoding"] == "gzip", path
        assert "content-encoding" not in plain.headers
        # The client unpacks, so that the two must be the same.
        assert packed.content == plain.content
        assert int(packed.headers["content-length"]) < len(plain.content) / 2
        assert "accept-encoding" in packed.headers["vary"].lower()


@pytest.mark.parametrize("accepted", ["br", "gzip;q=0", "gzip; q=0.0", "identity", ""])
def test_other_clients_get_plain_answers(client: httpx.Client, accepted: str) -> None:
    answer = client.get("/openapi.json", headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in answer.headers
    assert answer.json()["info"]["title"] == "Likeness"


def test_small_answers_stay_as_they_are(client: httpx.Client) -> None:
    answer = client.get("/livez", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


def test_a_request_s_json_may_be_packed(live: LiveService, client: httpx.Client) -> None:
    body = gzip.compress(json.dumps({"name": "packed", "scopes": ["jobs:read"]}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    made = client.post("/v1/keys", content=body, headers=headers)
    assert made.status_code == 201, made.text
    assert made.json()["name"] == "packed"

    bomb = gzip.compress(b" " * (64 << 20))
    problem_of(client.post("/v1/keys", content=bomb, headers=headers), 413, "body_too_large")
    for broken in (body[:-4], body + b"x", b"plain"):
        refused = client.post("/v1/keys", content=broken, headers=headers)
        problem_of(refused, 400, "bad_request")


def test_other_codings_and_packed_media_are_refused(client: httpx.Client) -> None:
    asked = {"Content-Type": "application/json", "Content-Encoding": "br"}
    refused = client.post("/v1/keys", content=b"{}", headers=asked)
    problem_of(refused, 415, "unsupported_media_type")
    assert refused.headers["accept-encoding"] == "gzip"

    packed = {"Content-Type": "image/jpeg", "Content-Encoding": "gzip"}
    refused = client.post("/v1/uploads", content=gzip.compress(b"x"), headers=packed)
    problem_of(refused, 415, "unsupported_media_type")


def test_a_stream_s_headers_do_not_wait_for_its_first_event(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    path = job["urls"]["events"]

    # From its last event on nothing comes before the keep-alive, 15 seconds later.
    with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as first:
        line = next(text for text in first.iter_lines() if text.startswith("id:"))

    headers = {"Accept-Encoding": "gzip", "Last-Event-ID": line.removeprefix("id:").strip()}
    began = time.monotonic()
    with client.stream("GET", path, headers=headers) as later:
        assert later.status_code == 200
        assert time.monotonic() - began < 5
