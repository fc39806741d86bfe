"""A real service on a loopback port, and the hands of a worker that tests can lend it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from redis import Redis

from service.app import create_app
from service.protocol.connections import bounded_http
from service.settings import Settings
from tests.material import CONSENT, SAMPLES
from worker.contract.jobs import JobResult, Problem, Task
from worker.failures import FailureCode
from worker.stores.connection import connect
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.identities.identity_vault import IdentityVault
from worker.stores.ids import new_id
from worker.stores.jobs.job_attempts import JobAttempts
from worker.stores.jobs.job_limits import JobLimits
from worker.stores.jobs.job_records import JobReport
from worker.stores.jobs.job_store import JobStore
from worker.stores.key_store import SCOPES, KeyStore
from worker.stores.media.media_place import open_media
from worker.stores.media.uploads import MediaFacts

JPEG = (SAMPLES / "ben_neutral.jpg").read_bytes()


@dataclass
class LiveService:
    """The app under uvicorn in a thread of the test's own process."""

    settings: Settings
    redis: Redis = field(init=False)
    url: str = field(init=False, default="")

    def __enter__(self) -> LiveService:
        self.app = create_app(self.settings)
        self.redis = connect(self.settings.store_url)
        # Several apps with directories of their own share the session's store, one after another.
        self.redis.delete("lk:installation")
        config = uvicorn.Config(
            self.app,
            host="127.0.0.1",
            port=0,
            http=bounded_http(self.settings.max_connections, self.settings.header_timeout_s),  # type: ignore[arg-type]
            log_level="warning",
            timeout_graceful_shutdown=3,
        )

        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until(lambda: self._server.started)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.jobs = JobStore(self.redis)
        self.attempts = JobAttempts(self.jobs)
        self.media = open_media(
            self.settings.media,
            self.settings.media_dir,
            self.redis,
            cache_bytes=self.settings.media_cache_bytes,
            tenant_stored_bytes=JobLimits.tenant_stored_bytes,
        )
        self.identities = IdentityStore(self.redis, IdentityVault(self.media.blobs))

        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=15)
        self.redis.close()

    def client(self, tenant: str = "acme", scopes: Sequence[str] = SCOPES) -> httpx.Client:
        """Return an HTTP client with a new key of this tenant."""
        _, token = KeyStore(self.redis).create(tenant, scopes)  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=70.0, trust_env=False)

    def identity(self, tenant: str = "acme", consent: Mapping[str, Any] | None = CONSENT) -> str:
        """Return a stored identity that no photo was needed for."""
        record = IdentityRecord(new_id("idn"), tenant, "open@test", time.time(), consent=consent)
        self.identities.put(record, b"code", b"weights")
        return record.id

    def upload(self, tenant: str = "acme") -> str:
        """Return a stored image."""
        writer = self.media.begin_write(tenant)
        writer.write(JPEG)
        return writer.commit(MediaFacts("image/jpeg", ".jpg", 800, 800, 1), 3600.0).id

    def job(self, client: httpx.Client, tenant: str = "acme", **body: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return an accepted image swap."""
        asked = {
            "input": {"upload_id": self.upload(tenant)},
            "identity_id": self.identity(tenant),
            **body,
        }

        answer = client.post("/v1/swaps/image", json=asked)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def begin(self, job_id: str) -> Task:
        """Take a job up, as a worker would."""
        task = Task(job_id, 1)
        self.attempts.begin(task, "by hand")
        return task

    def finish(
        self, job_id: str, content: bytes = b"result", task: Task | None = None
    ) -> JobResult:
        """Do a job, as a worker would."""
        task = task or self.begin(job_id)
        file = self.media.incoming / f"{job_id}.out"
        file.write_bytes(content)
        sha256 = self.media.results.publish(job_id, file, ".jpg")
        result = JobResult(sha256, len(content), "image/jpeg", ".jpg", 800, 800, 1)
        self.attempts.commit(task, result, JobReport({"faces": []}, {"total_ms": 1.0}))

        return result

    def fail(self, job_id: str, code: str = "no_face") -> None:
        """End a job as failed, as a worker would."""
        self.attempts.fail(self.begin(job_id), Problem(FailureCode(code), "No face was found."))


def until(holds: Any, timeout_s: float = 15.0) -> None:  # noqa: ANN401 - any callable without arguments
    """Wait until `holds()` is true."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def problem_of(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Return the answer's problem, after a look at what every problem must have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert {"type", "title", "detail", "instance", "request_id"} <= body.keys()
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text

    return body
