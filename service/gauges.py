"""Metrics of the whole installation for Prometheus: read from the store when it asks.

Every API process tells the same of these, so that any one of them suffices; rules and dashboards
take `max` over the processes. What a process counts for itself is in `protocol/observability.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from worker.errors import StoreError
from worker.sandbox.confinement import PROTECTIONS, Protection
from worker.stores.connection import StoreHealth, health_of
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.jobs.deliveries import QUEUES
from worker.stores.jobs.job_queue import JobQueue, WorkerState
from worker.stores.jobs.job_store import JobStore
from worker.stores.jobs.statistics import BUCKETS_MS, StageTime, Statistics
from worker.stores.media.media_store import MediaStore
from worker.stores.outbox import Outbox

ENDS = ("succeeded", "failed", "canceled", "expired")


class Confined(Protocol):
    """A child process, and what the kernel enforces on it; None before it has started."""

    @property
    def protection(self) -> Protection | None:
        """What is enforced."""


def protections_of(workers: Sequence[WorkerState]) -> dict[str, Protection]:
    """Return what confines the workers' children, by "worker-" and the queue.

    Of several workers on one queue the least protected one counts.
    """
    ordered = sorted(workers, key=lambda worker: len(worker.protection.missing), reverse=True)
    found: dict[str, Protection] = {}

    for worker in ordered:
        # The least protected one is the one to be alarmed about.
        found.setdefault(f"worker-{worker.queue}", worker.protection)

    return found


def serve_metrics(registry: CollectorRegistry, host: str, port: int) -> Callable[[], None]:
    """Answer GET /metrics on a port of its own, in a thread; return what ends that."""
    server, thread = start_http_server(port, addr=host, registry=registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5.0)

    return stop


@dataclass(frozen=True, eq=False)  # a registry keeps collectors by identity
class Collector:
    """A Prometheus collector over the stores.

    `children` are the API's own decoding children, of which the store knows nothing.
    """

    jobs: JobStore
    queue: JobQueue
    media: MediaStore
    identities: IdentityStore
    outbox: Outbox
    children: Mapping[str, Confined]

    def describe(self) -> list[Metric]:
        """Return nothing: registering must not read the store."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; of a store that is away only that it is."""
        own = {name: child.protection for name, child in self.children.items()}
        known = {name: protection for name, protection in own.items() if protection is not None}
        yield _gauge(
            "likeness_media_up",
            "Whether the media can be used.",
            self.media.installation.is_usable(),
        )
        # Of the directory that files pass through on their way, also where media lie in a bucket.
        free_bytes = _free_bytes(self.media.scratch)
        yield _gauge("likeness_media_free_bytes", "Room on this machine's disk.", free_bytes)

        try:
            health = health_of(self.jobs.redis)
            workers = self.queue.workers()
            # All of it before the first is yielded: half of a scrape would look like jobs that
            # vanished.
            found = [*_store(health), *self._backlog(), *_workers(workers), *self._counted()]
        except StoreError:
            yield _gauge("likeness_store_up", "Whether the store answers.", 0)
            yield _sandbox(known)
            return

        yield from found
        yield _sandbox({**known, **protections_of(workers)})

    def _backlog(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily(
            "likeness_queue_tasks", "Tasks in a queue.", labels=("queue", "state")
        )
        age = GaugeMetricFamily(
            "likeness_queue_oldest_seconds", "Age of the oldest waiting task.", labels=("queue",)
        )

        for name in QUEUES:
            backlog = self.jobs.lines.backlog(name)
            depth.add_metric((name, "queued"), backlog.queued)
            depth.add_metric((name, "running"), backlog.running)
            age.add_metric((name,), backlog.oldest_age_s)

        upkeep = self.jobs.upkeep
        yield from (depth, age)
        yield _gauge("likeness_dead_letters", "Jobs that nobody could end.", upkeep.count_dead())
        yield _gauge(
            "likeness_expiry_lag_seconds",
            "For how long something has been due to be deleted.",
            upkeep.expiry_lag_s(),
        )
        yield _gauge(
            "likeness_outbox_messages",
            "Webhook messages that wait, of a thousand tenants at most.",
            self.outbox.waiting(),
        )
        yield _gauge(
            "likeness_stored_bytes",
            "Uploads and results of all tenants.",
            self.media.storage.of_all(),
        )

    def _counted(self) -> Iterator[Metric]:
        statistics = Statistics(self.jobs.redis)
        ends = CounterMetricFamily(
            "likeness_jobs_ended", "Jobs by how they ended.", labels=("status", "kind")
        )
        others = CounterMetricFamily(
            "likeness_store_events", "Events counted by the store.", labels=("event",)
        )

        for name, count in statistics.counters().items():
            # One hash holds all counters; ends of jobs are known by their status.
            status, _, kind = name.partition(":")
            if status in ENDS:
                ends.add_metric((status, kind), float(count))
            else:
                others.add_metric((name,), float(count))

        yield from (ends, others, _stage_times(statistics.stage_times()))
        yield _gauge(
            "likeness_weight_cache_bytes",
            "Specialised weights in the store.",
            self.identities.cached_bytes(),
        )


def _free_bytes(place: Path) -> int:
    try:
        return shutil.disk_usage(place).free
    except OSError:  # the directory is lost, so that nothing can be written there
        return 0


def _gauge(name: str, help_text: str, value: float) -> Metric:
    gauge = GaugeMetricFamily(name, help_text)
    gauge.add_metric((), float(value))
    return gauge


def _store(health: StoreHealth) -> Iterator[Metric]:
    yield _gauge("likeness_store_up", "Whether the store answers.", 1)
    yield _gauge("likeness_store_used_bytes", "Memory in use.", health.used_bytes)
    yield _gauge("likeness_store_max_bytes", "Memory it may use; 0: no bound.", health.max_bytes)
    yield _gauge("likeness_store_replicas", "Replicas connected to it.", health.replicas)
    yield _gauge(
        "likeness_store_log_ok",
        "Whether it has an append-only file that could be written the last time.",
        health.log_enabled and health.log_ok,
    )


def _workers(workers: Sequence[WorkerState]) -> Iterator[Metric]:
    alive = GaugeMetricFamily("likeness_workers", "Workers alive.", labels=("queue",))
    busy = GaugeMetricFamily("likeness_workers_busy", "Workers with a task.", labels=("queue",))

    for name in QUEUES:
        here = [worker for worker in workers if worker.queue == name]
        alive.add_metric((name,), len(here))
        busy.add_metric((name,), sum(worker.state == "busy" for worker in here))

    yield from (alive, busy)


def _sandbox(protections: Mapping[str, Protection]) -> Metric:
    sandbox = GaugeMetricFamily(
        "likeness_sandbox",
        "Whether the kernel enforces a protection on a process that decodes: 1 or 0.",
        labels=("process", "protection"),
    )

    for process, protection in sorted(protections.items()):
        for name in PROTECTIONS:
            sandbox.add_metric((process, name), float(name not in protection.missing))

    return sandbox


def _stage_times(stages: Sequence[StageTime]) -> Metric:
    times = HistogramMetricFamily(
        "likeness_job_stage_seconds", "Time of jobs by stage.", labels=("kind", "stage")
    )
    for time in stages:
        bounds = [str(bound / 1000) for bound in BUCKETS_MS]
        buckets = [*zip(bounds, time.within, strict=True), ("+Inf", time.count)]
        # Prometheus counts in seconds; the name of the metric says the unit.
        labels = (time.kind, time.stage.removesuffix("_ms"))
        times.add_metric(labels, buckets=buckets, sum_value=time.total_ms / 1000)

    return times
