"""What Prometheus is told, and where."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.service.conftest import live_on
from tests.service.live_service import LiveService
from tests.store_server import StoreServer


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def own(own_store_server: StoreServer) -> Iterator[LiveService]:
    with live_on(own_store_server, metrics_port=free_port()) as live:
        yield live


def scraped(live: LiveService) -> dict[tuple[str, ...], float]:
    """Return the samples at the metrics' own port, by name and sorted labels."""
    url = f"http://127.0.0.1:{live.settings.metrics_port}/metrics"
    text = httpx.get(url, timeout=10.0, trust_env=False).text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_have_a_port_of_their_own_where_one_is_set(own: LiveService) -> None:
    with own.client() as client:
        assert client.get("/metrics").status_code == 404
        job = own.job(client)
        own.finish(job["id"])
        assert client.get(job["urls"]["result"]).status_code == 200

    found = scraped(own)
    assert found["likeness_store_up",] == found["likeness_media_up",] == 1
    assert found["likeness_store_used_bytes",] > 0
    assert found["likeness_queue_tasks", "image", "queued"] == 0
    assert found["likeness_jobs_ended_total", "swap_image", "succeeded"] == 1
    assert found["likeness_stored_bytes",] > len(b"result")
    assert found["likeness_dead_letters",] == 0

    # One job of a millisecond: in the first bucket, and in all that are wider.
    buckets = {
        key[2]: value
        for key, value in found.items()
        if key[:2] == ("likeness_job_stage_seconds_bucket", "swap_image") and key[3] == "total"
    }
    assert set(buckets.values()) == {1.0}
    assert {"0.05", "+Inf"} < set(buckets)

    classes = {key[1] for key in found if key[0] == "likeness_request_seconds_count"}
    assert {"api", "submit", "transfer"} & classes == {"submit", "transfer"}


def test_a_store_that_is_away_is_a_figure_and_not_a_failed_scrape(
    own: LiveService, own_store_server: StoreServer
) -> None:
    own_store_server.kill()
    found = scraped(own)
    assert found["likeness_store_up",] == 0
    assert not any(key[0].startswith("likeness_queue") for key in found)
    own_store_server.start()
    deadline = time.monotonic() + 20

    while scraped(own)["likeness_store_up",] != 1:
        assert time.monotonic() < deadline
        time.sleep(0.2)
