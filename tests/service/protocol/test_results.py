"""Results: bytes with a strong ETag, ranges and HEAD, by RFC 9110."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import pytest

from tests.service.live_service import LiveService, problem_of

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def job(live: LiveService, client: httpx.Client, tenant: str) -> dict[str, Any]:
    job = live.job(client, tenant)
    live.finish(job["id"], CONTENT)
    return client.get(job["urls"]["self"]).json()


def test_the_whole_result_names_its_content(client: httpx.Client, job: dict[str, Any]) -> None:
    answer = client.get(job["result"]["url"])
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert (
        answer.headers["etag"]
        == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
        == f'"{job["result"]["sha256"]}"'
    )

    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"].startswith("private")
    assert "filename=" in answer.headers["content-disposition"]


def test_head_has_the_headers_and_no_body(client: httpx.Client, job: dict[str, Any]) -> None:
    answer = client.head(job["result"]["url"])
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["etag"] == f'"{job["result"]["sha256"]}"'


def test_a_matching_if_none_match_is_304(client: httpx.Client, job: dict[str, Any]) -> None:
    etag = f'"{job["result"]["sha256"]}"'
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        answer = client.get(job["result"]["url"], headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
    assert client.get(job["result"]["url"], headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=1000-", 1000, len(CONTENT)),
        ("bytes=-5", len(CONTENT) - 5, len(CONTENT)),
        ("bytes=500000-99999999", 500_000, len(CONTENT)),
        ("bytes=1000-" + "9" * 4300, 1000, len(CONTENT)),
        ("bytes=" + "0" * 4300 + "7-9", 7, 10),
    ],
)
def test_a_range_is_sent_alone(
    client: httpx.Client, job: dict[str, Any], asked: str, start: int, end: int
) -> None:
    answer = client.get(job["result"]["url"], headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
    assert answer.content == CONTENT[start:end]


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=5-2",
        "bytes=",
        "bytes=-",
        "items=0-1",
        "bytes=0-1,5-6",
        "bytes=a-b",
        f"bytes=-{'9' * 5000}",
    ],
)
def test_a_range_that_makes_no_sense_is_ignored(
    client: httpx.Client, job: dict[str, Any], asked: str
) -> None:
    answer = client.get(job["result"]["url"], headers={"Range": asked})
    assert (answer.status_code, len(answer.content)) == (200, len(CONTENT))


@pytest.mark.parametrize("start", ["99999999", "9" * 4300, "1" + "0" * 20])
def test_a_range_beyond_the_end_is_416(
    client: httpx.Client, job: dict[str, Any], start: str
) -> None:
    answer = client.get(job["result"]["url"], headers={"Range": f"bytes={start}-"})
    problem_of(answer, 416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"


def test_if_range_sends_the_part_only_of_the_same_bytes(
    client: httpx.Client, job: dict[str, Any]
) -> None:
    for known, status in ((f'"{job["result"]["sha256"]}"', 206), ('"other"', 200)):
        answer = client.get(job["result"]["url"], headers={"Range": "bytes=0-9", "If-Range": known})
        assert answer.status_code == status


def test_a_result_is_not_there_before_its_job_ends(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    problem_of(client.get(job["urls"]["result"]), 409, "job_not_final")


def test_an_expired_result_is_gone(
    live: LiveService, client: httpx.Client, job: dict[str, Any]
) -> None:
    live.redis.hset(f"lk:job:{job['id']}", "expires_at", "1000.0")
    problem_of(client.get(job["result"]["url"]), 410, "result_expired")
