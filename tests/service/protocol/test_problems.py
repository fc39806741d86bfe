"""S-13: whatever goes wrong, the answer is a problem, and it tells nothing about the machine."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace

from service.protocol import problems
from service.protocol.observability import Metrics, child_traceparent
from service.protocol.request_scope import RequestScope
from tests.material import ROOT
from tests.service.live_service import LiveService, problem_of
from worker.errors import WorkerError


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nope", 404, "not_found"),
        ("GET", "/v1/jobs/../../etc/passwd", 404, "not_found"),
        ("GET", "/v1/jobs/%2e%2e%2fetc", 404, "not_found"),
        ("GET", "/v1/jobs/job_%00", 404, "not_found"),
        ("PUT", "/v1/jobs", 405, "method_not_allowed"),
        ("PUT", "/v1/identities/x", 405, "method_not_allowed"),
        ("GET", "/v1/jobs?limit=x", 400, "invalid_parameter"),
        ("POST", "/v1/swaps/image", 415, "unsupported_media_type"),
    ],
)
def test_every_failure_is_a_problem(
    client: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path)
    body = problem_of(answer, status, code)
    assert str(ROOT) not in answer.text
    assert body["type"] == f"/errors/{code}"

    if status == 405:
        assert method not in answer.headers["allow"].split(", ")
        assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"[" * 100_000, 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b"null", 422, "invalid_request"),
        (b'{"input": {}}', 422, "invalid_request"),
        (b'{"surprise": 1}', 422, "invalid_request"),
        (b" " * 3_000_000, 413, "body_too_large"),
    ],
)
def test_a_bad_body_is_a_problem(client: httpx.Client, body: bytes, status: int, code: str) -> None:
    answer = client.post(
        "/v1/swaps/image", content=body, headers={"Content-Type": "application/json"}
    )
    problem_of(answer, status, code)


@pytest.mark.parametrize(
    "body",
    [
        b"no boundary at all",
        b"--b\r\n\r\n",
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1',
        b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--",
        b"--b\r\n" + b"X-Many: 1\r\n" * 100 + b"\r\n1\r\n--b--",
        b"--b\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n1\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n' * 100 + b"--b--",
    ],
)
def test_a_broken_form_is_a_problem(client: httpx.Client, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for path in ("/v1/swaps/image", "/v1/identities"):
        answer = client.post(path, content=body, headers=headers)
        assert answer.status_code in (400, 422), answer.text
        problem_of(answer, answer.status_code, answer.json()["code"])


def test_the_unexpected_is_a_500_that_is_counted_and_logged_without_its_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = FastAPI()
    problems.install(app, WorkerError)
    metrics = Metrics()
    app.add_middleware(RequestScope, metrics=metrics, failure=problems.internal_error)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("secret detail in /var/lib/somewhere")

    @app.get("/unknown-code")
    async def unknown_code() -> None:
        raise WorkerError("secret detail")

    async def get(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path)

    for path in ("/broken", "/unknown-code"):
        answer = asyncio.run(get(path))
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "internal"
        assert "secret" not in answer.text
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        labels = {"method": "GET", "route": path, "status": "500"}
        assert metrics.registry.get_sample_value("likeness_requests_total", labels) == 1

    failures = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(failures) == 4  # one line says why, one that the request was answered


def test_request_ids_are_taken_or_made_and_traces_go_on(
    live: LiveService, client: httpx.Client
) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer = client.get("/livez", headers={"X-Request-Id": "mine-1", "traceparent": trace})
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["traceparent"].split("-")[1] == trace.split("-")[1]
    assert answer.headers["traceparent"].split("-")[2] != trace.split("-")[2]
    answer = client.get(
        "/livez", headers={"X-Request-Id": "evil\nheader"[:4] + " {}", "traceparent": "junk"}
    )
    assert answer.headers["x-request-id"].startswith("req_")


def test_the_trace_travels_with_the_job(
    live: LiveService, client: httpx.Client, tenant: str
) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    body = {"input": {"upload_id": live.upload(tenant)}, "identity_id": live.identity(tenant)}
    answer = client.post("/v1/swaps/image", json=body, headers={"traceparent": trace})
    stored = live.jobs.get(answer.json()["id"]).payload.trace
    assert stored["traceparent"].split("-")[1] == trace.split("-")[1]


def test_with_opentelemetry_the_trace_names_its_span() -> None:
    span = trace.NonRecordingSpan(
        trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    )
    with trace.use_span(span):
        assert child_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") == (
            "00-00000000000000000000000000000abc-0000000000000def-01"
        )
