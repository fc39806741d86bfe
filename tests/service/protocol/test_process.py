"""The service's own process: light imports, figures for Prometheus, JSON logs."""

from __future__ import annotations

import json
import subprocess
import sys

import httpx

from tests.material import ROOT
from tests.service.live_service import JPEG, LiveService

HEAVY = ("cv2", "numpy", "onnxruntime", "av", "PIL", "torch")


def test_the_event_loops_process_loads_no_decoder_and_no_tensors() -> None:
    script = f"import sys, service.app; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_metrics_count_requests_jobs_and_the_backlog(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    job = live.job(client, tenant)
    waiting = client.get("/metrics").text
    live.finish(job["id"])
    text = client.get("/metrics").text
    assert 'likeness_requests_total{method="POST",route="/v1/swaps/image",status="202"}' in text
    assert 'likeness_queue_tasks{queue="image",state="queued"}' in waiting
    assert 'likeness_queue_oldest_seconds{queue="image"}' in waiting
    assert 'likeness_jobs_ended_total{kind="swap_image",status="succeeded"}' in text
    assert "likeness_weight_cache_bytes" in text
    assert 'likeness_job_stage_seconds_count{kind="swap_image",stage="total"}' in text


def test_paths_that_clients_make_up_do_not_become_labels(client: httpx.Client) -> None:
    client.get("/v1/jobs/job_that_a_client_made_up")
    client.get("/some/where/else")
    text = client.get("/metrics").text
    assert "made_up" not in text
    assert "some/where" not in text


def test_capacity_and_models_tell_what_is_there(
    enrolling: LiveService, client: httpx.Client, tenant: str
) -> None:
    enrolling.job(client, tenant)
    capacity = client.get("/v1/capacity").json()
    used = capacity["tenant"]
    assert (used["jobs"], used["bytes"], used["stored_bytes"]) == (1, len(JPEG), len(JPEG))
    assert used["max_stored_bytes"] > used["stored_bytes"]
    assert next(queue for queue in capacity["queues"] if queue["name"] == "image")["queued"] >= 1
    model = client.get("/v1/models").json()["data"][0]
    assert model["default"]
    assert model["provider"] == "CPUExecutionProvider"


def test_log_lines_are_json_and_name_request_and_tenant() -> None:
    script = """
import logging
from service.protocol.observability import _context, RequestContext, log_json
log_json()
_context.set(RequestContext("req_1", "", "acme"))
logging.getLogger("service.x").info("job accepted", extra={"job": "job_1"})
"""

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    line = json.loads(done.stderr)
    assert (line["event"], line["request_id"], line["tenant"], line["job"]) == (
        "job accepted",
        "req_1",
        "acme",
        "job_1",
    )
