"""Metrics that the store keeps for all processes: backlog of the queues, ends of jobs, hits of the
weight cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from worker.contract import QueueName
from worker.sandbox.confinement import PROTECTIONS, Protection
from worker.stores.identity_store import IdentityStore
from worker.stores.jobs.job_queue import QUEUES, JobQueue, WorkerState
from worker.stores.jobs.job_store import JobStore
from worker.stores.jobs.statistics import StageTime, Statistics
from worker.stores.jobs.task_lines import TaskLines


@dataclass(frozen=True)
class Backlog:
    """One queue's tasks: how many wait, how many run, and for how long the oldest has been
    waiting.
    """

    queued: int
    running: int
    oldest_age_s: float | None


def read_backlog(lines: TaskLines, now_s: float | None = None) -> dict[str, Backlog]:
    """Return the backlog of every queue."""
    queued: dict[str, list[float]] = {name: [] for name in QUEUES}
    running = dict.fromkeys(QUEUES, 0)

    for task in lines.active(now_s):
        if task.state == "running":
            running[cast(QueueName, task.queue)] += 1
        else:
            queued[task.queue].append(task.age_s)

    return {
        name: Backlog(len(queued[name]), running[name], max(queued[name], default=None))
        for name in QUEUES
    }


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


class StoreCollector:
    """A Prometheus collector over the store; reads it when scraped.

    `children` are the API's own decoding children, which the store knows nothing of.
    """

    def __init__(
        self,
        jobs: JobStore,
        queue: JobQueue,
        identities: IdentityStore,
        children: Mapping[str, Protection],
    ) -> None:
        self._jobs = jobs
        self._queue = queue
        self._identities = identities
        self._children = children

    def text(self) -> bytes:
        """Return the figures in Prometheus' text format; raises StoreUnavailable."""
        # A registry for each scrape: the store may be away, and the process's own metrics must not
        # fail with it.
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def describe(self) -> list[Metric]:
        """Return nothing: registering must not read the store."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        depth = GaugeMetricFamily(
            "likeness_queue_tasks", "Tasks in a queue.", labels=("queue", "state")
        )
        age = GaugeMetricFamily(
            "likeness_queue_oldest_seconds", "Age of the oldest waiting task.", labels=("queue",)
        )

        for name, backlog in read_backlog(self._jobs.lines).items():
            depth.add_metric((name, "queued"), backlog.queued)
            depth.add_metric((name, "running"), backlog.running)
            # A gap in the series would read as a scrape that failed.
            age.add_metric((name,), backlog.oldest_age_s or 0.0)

        workers = GaugeMetricFamily("likeness_workers", "Workers alive.", labels=("queue",))
        alive = self._queue.workers()

        for name in QUEUES:
            workers.add_metric((name,), sum(worker.queue == name for worker in alive))

        sandbox = _sandbox({**self._children, **protections_of(alive)})
        yield from (depth, age, workers, sandbox, *self._counted())

    def _counted(self) -> Iterator[Metric]:
        statistics = Statistics(self._jobs.redis)
        ends = CounterMetricFamily(
            "likeness_jobs_ended", "Jobs by how they ended.", labels=("status", "kind")
        )
        others = CounterMetricFamily(
            "likeness_store_events", "Events counted by the store.", labels=("event",)
        )

        for name, count in statistics.counters().items():
            # One hash holds all counters; ends of jobs are told by their status.
            status, _, kind = name.partition(":")
            if status in ("succeeded", "failed", "canceled", "expired"):
                ends.add_metric((status, kind), float(count))
            else:
                others.add_metric((name,), float(count))

        held = GaugeMetricFamily(
            "likeness_weight_cache_bytes", "Bytes of specialised weights in the store."
        )
        held.add_metric((), float(self._identities.cached_bytes()))
        yield from (ends, others, held, _stage_times(statistics.stage_times()))


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
    times = SummaryMetricFamily(
        "likeness_job_stage_seconds", "Time of jobs by stage.", labels=("kind", "stage")
    )
    for time in stages:
        labels = (time.kind, time.stage.removesuffix("_ms"))
        # Prometheus counts in seconds.
        times.add_metric(labels, time.count, time.total_ms / 1000)

    return times
