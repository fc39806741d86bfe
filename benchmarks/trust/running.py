"""A whole service for the trust bars: store, API, workers, and what is asked of them over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.stack import Stack, running_stack
from tests.material import SAMPLES
from tests.worker.workers import eventually
from worker.contract.requests import QueueName
from worker.provenance.audit.archive import AuditArchive
from worker.provenance.trust_store import TrustStore

READY_WITHIN_S = 90.0
JOB_WITHIN_S = 180.0
ENDED = ("succeeded", "failed", "canceled", "expired")


@dataclass(frozen=True)
class Service:
    """A running service, and a client of one tenant that may do everything."""

    stack: Stack
    client: httpx.Client

    @property
    def data_dir(self) -> Path:
        return self.stack.bench.data_dir

    @property
    def trust(self) -> TrustStore:
        """The installation's keys."""
        return TrustStore(self.data_dir / "trust")

    @property
    def archive(self) -> AuditArchive:
        """The installation's audit trail."""
        return AuditArchive(self.data_dir / "audit", self.trust.audit_key())

    def register(self, name: str, subject: str = "ada", label: str = "") -> httpx.Response:
        """Register the person of a sample photo."""
        consent = {
            "subject": subject,
            "basis": "consent",
            "scope": ["image", "video"],
            "granted_at": "2026-01-05T10:00:00Z",
        }
        photo = (f"{name}.jpg", (SAMPLES / f"{name}.jpg").read_bytes(), "image/jpeg")
        fields = {"consent": json.dumps(consent), **({"name": label} if label else {})}
        return self.client.post("/v1/identities", files={"image": photo}, data=fields)

    def swap(
        self, kind: str, identity: str, content: bytes, name: str = "x", **options: object
    ) -> dict[str, Any]:
        """Return a job that has ended."""
        fields = {"identity_id": identity, "options": json.dumps(options)}
        files = {kind: (name, content, "application/octet-stream")}
        job = self.client.post(f"/v1/swaps/{kind}", files=files, data=fields).raise_for_status()
        return self.ended(job.json()["id"])

    def ended(self, job_id: str) -> dict[str, Any]:
        """Wait for a job."""
        deadline = time.monotonic() + JOB_WITHIN_S
        while time.monotonic() < deadline:
            headers = {"Prefer": "wait=20"}
            job: dict[str, Any] = self.client.get(f"/v1/jobs/{job_id}", headers=headers).json()
            if job["status"] in ENDED:
                return job

        raise TimeoutError(job_id)

    def fetch(self, job: Mapping[str, Any], what: str = "result") -> bytes:
        """Return what a job offers."""
        return self.client.get(job["urls"][what]).raise_for_status().content

    def verify(self, content: bytes, network: int = 0) -> httpx.Response:
        """Ask without a key; each `network` of loopback has limits of its own."""
        with self.visitor(network) as anybody:
            return anybody.post("/v1/verify", content=content)

    def visitor(self, network: int = 0) -> httpx.Client:
        """Return a client without a key, in one of 65,536 networks of loopback."""
        # Limits go by networks of 256 addresses, and all of 127 is this machine.
        address = f"127.{1 + network // 256}.{network % 256}.1"
        transport = httpx.HTTPTransport(local_address=address)
        return httpx.Client(
            base_url=self.stack.url, transport=transport, timeout=60.0, trust_env=False
        )

    def archived(self) -> list[dict[str, str]]:
        """Return the audit entries on disk, once nothing is pending in the store."""
        log_key = "lk:audit"
        redis = self.stack.bench.stores.jobs.redis
        # The leading worker moves entries to disk about once a second.
        eventually(lambda: redis.xlen(log_key) == 0, 20, "an archived trail")
        return [dict(line.entry.body) for line in self.archive.files.lines()]


@contextmanager
def service(*queues: QueueName, **environment: str) -> Iterator[Service]:
    """Yield a service whose workers are ready, with workers on these queues."""
    with running_stack() as here:
        here.add_api(**environment)
        for queue in queues:
            here.add_worker(queue, queue, small=False, **environment)

        here.await_api()
        here.await_workers(len(queues))

        with here.client("acme", timeout_s=90) as client:
            ready = "a ready API"
            eventually(lambda: client.get("/readyz").status_code == 200, READY_WITHIN_S, ready)
            yield Service(here, client)
