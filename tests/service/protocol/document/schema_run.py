"""schemathesis over the whole OpenAPI document, against a live service whose jobs somebody does."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.service.live_service import LiveService
from worker.errors import WorkerError

# Left out: positive_data_acceptance, because JSON Schema cannot say that a URL must be public or a
# file an image; ensure_resource_availability, because a repeated Idempotency-Key repeats its
# answer even after a DELETE.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
    "unsupported_method",
    "missing_required_header",
    "use_after_free",
)
# As schemathesis has them, and 412: a version of tus that is not ours is refused before the rest of
# the request is looked at.
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 415, 422, 428, 429, "5xx"]
"""
KEY_PATHS = (
    "/v1/keys/{key_id}",
    "/v1/keys/{key_id}/rotate",
)  # a run that revokes its own key proves little after


@dataclass(frozen=True)
class SchemaRun:
    """What a run found: number of requests, of failures, and its report."""

    requests: int
    failures: int
    report: str


def run_schemathesis(live: LiveService, max_examples: int, seed: int = 1) -> SchemaRun:
    """Call every route with generated requests.

    The routes that end keys get a run, and a key, of their own.
    """
    with doing_jobs(live, "schema"):
        runs = [
            _run(
                live,
                max_examples,
                seed,
                [part for path in KEY_PATHS for part in ("--exclude-path", path)],
            ),
            _run(live, max_examples, seed, ["--include-path-regex", "^/v1/keys/"]),
        ]

    return SchemaRun(
        sum(run.requests for run in runs),
        sum(run.failures for run in runs),
        "\n".join(run.report for run in runs),
    )


def _run(live: LiveService, max_examples: int, seed: int, paths: list[str]) -> SchemaRun:
    with live.client("schema") as client, tempfile.TemporaryDirectory() as directory:
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            "--no-color",
            "run",
            f"{live.url}/openapi.json",
        ]

        command += [
            "-H",
            f"Authorization: {client.headers['authorization']}",
            "--checks",
            ",".join(CHECKS),
            *paths,
        ]

        Path(directory, "schemathesis.toml").write_text(CONFIGURATION)
        command += [
            "--max-examples",
            str(max_examples),
            "--seed",
            str(seed),
            "--request-timeout",
            "20",
        ]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=900)

    counts = re.search(r"(\d+) generated(?:, (\d+) found)?", done.stdout)
    if counts is None:
        raise RuntimeError(f"schemathesis did not run:\n{done.stdout}\n{done.stderr}")

    return SchemaRun(int(counts[1]), int(counts[2] or 0) if done.returncode else 0, done.stdout)


@contextmanager
def doing_jobs(live: LiveService, tenant: str) -> Iterator[None]:
    """Finish the tenant's jobs as they come, so that event streams end and results are there."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            for job in live.jobs.list(tenant, status="queued").jobs:
                try:
                    live.finish(job.id)
                except WorkerError:
                    continue  # canceled or deleted in the meantime

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    yield
    stop.set()
    worker.join(10)
