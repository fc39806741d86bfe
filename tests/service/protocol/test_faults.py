"""E7: what fails outside of the service is never a 500, and readiness sees it."""

from __future__ import annotations

import resource
import shutil
import signal
from collections.abc import Iterator

import httpx
import pytest

from tests.service.conftest import live_on
from tests.service.live_service import JPEG, LiveService, problem_of
from tests.store_server import StoreServer

HEADERS = {"Content-Type": "image/jpeg"}


@pytest.fixture
def own(own_store_server: StoreServer) -> Iterator[LiveService]:
    """A service that this test alone uses and may break."""
    with live_on(own_store_server) as live:
        yield live


@pytest.mark.parametrize("lost", ["", "incoming", "uploads"])
def test_a_lost_media_directory_is_a_503_that_readiness_sees(own: LiveService, lost: str) -> None:
    with own.client() as client:
        job = own.job(client)
        own.finish(job["id"])
        assert client.get("/readyz").json()["checks"]["media"] is True
        shutil.rmtree(own.settings.media_dir / lost)
        assert client.get("/readyz").json()["checks"]["media"] is False
        upload = client.post("/v1/uploads", content=JPEG, headers=HEADERS)
        problem_of(upload, 503, "media_unavailable")
        assert int(upload.headers["retry-after"]) >= 1

        if not lost:
            problem_of(client.get(job["urls"]["result"]), 503, "media_unavailable")

        text = client.get("/metrics").text
        assert 'route="/v1/uploads",status="503"' in text


def test_a_lost_result_is_gone_and_not_unavailable(own: LiveService) -> None:
    with own.client() as client:
        job = own.job(client)
        own.finish(job["id"])
        shutil.rmtree(own.settings.media_dir / "jobs" / job["id"])
        problem_of(client.get(job["urls"]["result"]), 410, "result_expired")


def test_a_store_whose_disk_is_full_is_a_503_for_every_way_of_writing(
    own: LiveService, own_store_server: StoreServer
) -> None:
    with own.client() as client:
        identity_id = own.identity()
        own_store_server.kill()
        inherited = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write then fails instead
        own_store_server.start()
        signal.signal(signal.SIGXFSZ, inherited)
        aof = sum(path.stat().st_size for path in own_store_server.directory.rglob("*.aof"))
        resource.prlimit(own.redis.info("server")["process_id"], resource.RLIMIT_FSIZE, (aof, aof))
        answers = [
            client.post("/v1/webhook-endpoints", json={"url": "https://example.org/"}, headers=key)
            for key in ({}, {"Idempotency-Key": "k"})
            for _ in range(20)
        ]

        answers += [
            client.post("/v1/uploads", content=JPEG, headers=HEADERS),
            client.delete(f"/v1/identities/{identity_id}"),
        ]
        refused = [answer for answer in answers if answer.status_code >= 400]
        assert len(refused) > 30  # the first ones may pass: the log is written once a second

        for answer in refused:
            problem_of(answer, 503, "store_unavailable")


@pytest.mark.parametrize(
    "url",
    [
        "http://xn--/",
        "http://.../",
        "http://xn--a-ecp.ru/",
        "http://a..b/",
        "http://-/",
        "http://xn--0/x",
    ],
)
def test_a_url_that_names_no_host_is_refused_everywhere(
    live: LiveService, client: httpx.Client, tenant: str, url: str
) -> None:
    swap = {
        "input": {"upload_id": live.upload(tenant)},
        "identity_id": live.identity(tenant),
    }
    requests = [
        ("/v1/webhook-endpoints", {"url": url}),
        ("/v1/swaps/image", {**swap, "input": {"url": url}}),
        ("/v1/swaps/image", {**swap, "webhook": url}),
    ]

    for path, body in requests:
        answer = client.post(path, json=body)
        assert answer.status_code in (201, 202, 422), answer.text
        assert answer.status_code != 422 or answer.json()["code"].startswith("fetch_")


@pytest.mark.parametrize(
    "headers",
    [
        {"Last-Event-ID": "99999999999999999999-0"},
        {"Last-Event-ID": "0-18446744073709551616"},
        {"Prefer": "wait=" + "9" * 4300},
        {"If-None-Match": "*" * 5000},
    ],
    ids=str,
)
def test_headers_of_strange_sizes_are_no_server_errors(
    live: LiveService, client: httpx.Client, tenant: str, headers: dict[str, str]
) -> None:
    job = live.job(client, tenant)
    client.post(job["urls"]["cancel"])

    for url in (job["urls"]["self"], job["urls"]["events"]):
        assert client.get(url, headers=headers).status_code < 500
