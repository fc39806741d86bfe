"""`python -m worker`: run a worker, show the state of queues and jobs, requeue a dead letter, or
set a tenant's bounds.

python -m worker --queue image|video|refine [--store URL] [--data DIR] [--use-cases MODULE]
                 [--name NAME]
python -m worker status [--store URL] [--data DIR] [--json]
python -m worker requeue JOB_ID [JOB_ID ...] [--store URL] [--data DIR]
python -m worker bounds TENANT [--max-jobs N] [--max-bytes N] ... [--store URL] [--data DIR]
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from worker.composition import Stores, open_screening, open_stores
from worker.contract.jobs import Task
from worker.contract.requests import QueueName
from worker.errors import WorkerError
from worker.process.attempts.task_runner import TaskRunner
from worker.process.child_process import WarmChild
from worker.process.logs import log_as_json
from worker.process.provenance_issuer import ProvenanceIssuer
from worker.process.staging import Staging
from worker.process.status import as_json, as_text, take_stock
from worker.process.upkeep.audit_keeper import AuditKeeper
from worker.process.upkeep.housekeeping import Housekeeping
from worker.process.warm_worker import WarmWorker
from worker.provenance.audit.archive import AuditArchive
from worker.provenance.provenance_store import ProvenanceStore
from worker.provenance.trust_store import TrustStore
from worker.sandbox.confinement import require_complete
from worker.settings import WorkerSettings
from worker.stores.audit_log import AuditLog
from worker.stores.connection import require_suitable
from worker.stores.jobs.deliveries import QUEUES
from worker.stores.tenants import BOUNDS, Bound, TenantStore

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    options = _parse(arguments)
    given = {"redis_url": options.store, "data_dir": options.data, "use_cases": options.use_cases}
    settings = _absolute(
        WorkerSettings(**{name: value for name, value in given.items() if value is not None})
    )

    try:
        if options.command == "status":
            stock = take_stock(open_stores(settings))
            print(as_json(stock) if options.json else as_text(stock))
        elif options.command == "requeue":
            _requeue(open_stores(settings), options.jobs)
        elif options.command == "bounds":
            _set_bounds(open_stores(settings), options)
        else:
            run(options.queue, options.name, settings)
    except WorkerError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 1

    return 0


def _absolute(settings: WorkerSettings) -> WorkerSettings:
    """Return settings with absolute paths: the child has another working directory."""
    return settings.model_copy(
        update={"data_dir": settings.data_dir.resolve(), "packs_dir": settings.packs_root.resolve()}
    )


def run(queue: QueueName, name: str | None, settings: WorkerSettings) -> None:
    """Work on a queue until told to stop.

    Raises:
        StoreError, ChildFailed, SandboxUnavailable: the worker could not start.
    """
    log_as_json()
    stores = open_stores(settings)
    require_suitable(stores.jobs.redis)
    # Unique over restarts: RQ refuses a name whose earlier owner it has not forgotten.
    name = name or f"{queue}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    stores.media.installation.join()
    # On the file system of the media, so that files are handed over by links.
    staging = Staging(stores.media.scratch)
    issuer = ProvenanceIssuer.open(settings, ProvenanceStore(stores.media.blobs))

    AuditLog(stores.jobs.redis).note_policy("worker", settings.policy())
    _warn(settings)

    screening = open_screening(settings, stores.jobs.redis) if settings.blocklist == "on" else None
    child = WarmChild(queue, settings, staging)
    worker = WarmWorker(
        name,
        queue,
        stores.jobs.redis,
        settings,
        child=child,
        run_task=TaskRunner(name, stores, staging, child.perform, issuer, screening).run_task,
        on_lost=lambda task, handed_back: _lost(stores, queue, task, handed_back),
    )

    child.start()
    child.await_ready()  # before RQ hears of this worker: a job must not wait for models

    if settings.require_sandbox:
        # Before the first job: what the kernel does not confine must see no untrusted byte.
        require_complete(child.protection)

    # Every worker stands ready to lead; one of them does.
    housekeeping = Housekeeping(
        worker, stores, [_audit_keeper(settings, stores).run], settings.heartbeat_file
    )
    housekeeping.start()
    log.info("worker ready", extra={"worker": name, "queue": queue})

    try:
        worker.work(logging_level="ERROR")
    finally:
        housekeeping.stop()
        staging.close()

    log.info("worker ended", extra={"worker": name, "queue": queue})


def _warn(settings: WorkerSettings) -> None:
    """Say in the log what an operator has turned off."""
    if settings.provenance == "off":
        log.warning("results are neither marked nor signed: LIKENESS_PROVENANCE is off")
    for name in ("nudity_check", "age_check", "blocklist"):
        if getattr(settings, name) == "off":
            log.warning("a check of targets is off: LIKENESS_%s", name.upper())


def _audit_keeper(settings: WorkerSettings, stores: Stores) -> AuditKeeper:
    trust = TrustStore(settings.trust_dir, settings.c2pa_chain, settings.c2pa_key)
    trust.prepare()
    return AuditKeeper(
        audit=AuditLog(stores.jobs.redis),
        archive=AuditArchive(settings.audit_dir, trust.audit_key()),
        signer=trust.signer(),
        records=ProvenanceStore(stores.media.blobs),
        keep_days=settings.provenance_keep_days,
    )


def _lost(stores: Stores, queue: QueueName, task: Task, handed_back: bool) -> None:
    outcome = stores.attempts.redeliver(task, handed_back)
    log.warning("child lost", extra={"task": task.id, "attempt": task.attempt, "outcome": outcome})
    if outcome == "canceling":
        # The lost attempt can clean up no more.
        stores.media.results.delete_all(task.job_id)
    stores.queue.deliver(queue)


def _requeue(stores: Stores, jobs: Sequence[str]) -> None:
    for job_id in jobs:
        again = stores.jobs.requeue(job_id)
        stores.queue.deliver_all()
        print(f"{job_id} -> {again.id}")


def _set_bounds(stores: Stores, options: argparse.Namespace) -> None:
    given: dict[Bound, int | None] = {bound: getattr(options, bound) for bound in BOUNDS}
    TenantStore(stores.jobs.redis).set_bounds(
        options.tenant, {b: n for b, n in given.items() if n is not None}
    )
    for queue in QUEUES:
        stores.jobs.lines.take_turns(options.tenant, queue)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--store", metavar="URL", help="as in LIKENESS_REDIS_URL")
    shared.add_argument(
        "--data", type=Path, metavar="DIR", help="data directory; else LIKENESS_DATA_DIR or var"
    )
    shared.set_defaults(use_cases=None)
    parser = argparse.ArgumentParser(prog="python -m worker")
    commands = parser.add_subparsers(dest="command", required=True)
    work = commands.add_parser(
        "work", parents=[shared], help="work on a queue (the default command)"
    )
    work.add_argument("--queue", required=True, choices=QUEUES)
    work.add_argument("--name")
    work.add_argument(
        "--use-cases", metavar="MODULE", help="a module with load(queue, settings) -> UseCases"
    )
    status = commands.add_parser(
        "status", parents=[shared], help="show queues, workers, jobs and dead letters"
    )
    status.add_argument("--json", action="store_true")
    requeue = commands.add_parser(
        "requeue", parents=[shared], help="run dead letters again, as new jobs"
    )
    requeue.add_argument("jobs", nargs="+", metavar="JOB_ID")
    bounds = commands.add_parser("bounds", parents=[shared], help="give a tenant bounds of its own")
    bounds.add_argument("tenant")

    for bound in BOUNDS:
        bounds.add_argument(f"--{bound.replace('_', '-')}", type=int, metavar="N")

    with_command = (
        # `python -m worker --queue image` is the form that deployments use.
        arguments if not arguments or not arguments[0].startswith("--q") else ["work", *arguments]
    )
    return parser.parse_args(with_command)
