"""A job's record as a hash in the store, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from worker.contract.jobs import JobRecord, JobResult, Problem, Progress, Status
from worker.contract.requests import (
    QUEUE_OF,
    IdempotencyKey,
    JobPayload,
    JobRequest,
    Priority,
    QueueName,
)
from worker.failures import FailureCode
from worker.stores.audit_log import entry_body
from worker.stores.ids import new_id
from worker.stores.jobs.idempotency_store import idempotency_name
from worker.stores.jobs.job_limits import JobLimits

DIGITS = 6  # of a measured value; half of a record would be digits that say nothing
# Before time in the line's order; see `lua/tasks.lua`.
CLASS_OF: Mapping[Priority, int] = {"high": 0, "normal": 1, "low": 2}


@dataclass(frozen=True)
class JobReport:
    """What an attempt has to tell besides its file: per person, per reason.

    Stage times in milliseconds.
    """

    report: Mapping[str, Any]
    timings: Mapping[str, float]


@dataclass(frozen=True)
class Ending:
    """How a job ends; `dead` puts it among the dead letters.

    The entries of `audit` are written in the same step, and RQ is handed what comes next on the
    queue `deliver_on` in the same round trip.
    """

    status: Status
    result: JobResult | None = None
    report: JobReport | None = None
    error: Problem | None = None
    dead: bool = False
    audit: Sequence[str] = ()
    deliver_on: QueueName | None = None


def admission_arguments(
    request: JobRequest, idempotency: IdempotencyKey | None, limits: JobLimits, now_s: float
) -> dict[str, Any]:
    """Return what `lua/admit.lua` needs to accept or refuse a job under a new id."""
    payload = request.payload
    job_id = new_id("job", now_s)
    # A client may shorten the deadline, never lengthen it.
    deadline_s = min(request.deadline_s or limits.default_deadline_s, limits.default_deadline_s)
    arguments: dict[str, Any] = {
        "id": job_id,
        "tenant": payload.tenant,
        "queue": QUEUE_OF[payload.kind],
        "class": CLASS_OF[request.priority],
        "now_ms": int(now_s * 1000),
        "deadline_ms": int((now_s + deadline_s) * 1000),
        "bytes": request.input_bytes,
        "uploads": [payload.input_id] if payload.input_id else [],
        # Sorted, so that equal jobs have equal records.
        "identities": sorted(payload.identities()),
        "fields": admitted_fields(request, job_id, now_s, deadline_s),
        "audit": _uses(request, job_id, now_s),
        "limits": {
            "jobs": limits.max_jobs,
            "bytes": limits.max_bytes,
            "tenant_jobs": limits.tenant_jobs,
            "tenant_bytes": limits.tenant_bytes,
            "tenant_stored_bytes": limits.tenant_stored_bytes,
        },
    }

    if request.batch:
        arguments["batch"] = request.batch
    if idempotency:
        arguments["idempotency"] = {
            "key": idempotency_name(payload.tenant, idempotency.key),
            "fingerprint": idempotency.fingerprint,
            "ttl_ms": int(limits.idempotency_ttl_s * 1000),
        }

    return arguments


def _uses(request: JobRequest, job_id: str, now_s: float) -> list[str]:
    """Return the audit entries about a job's use of its identities."""
    if request.actor is None:
        return []

    payload = request.payload
    event = "identity.exported" if payload.kind == "export" else "identity.used"
    return [
        entry_body(now_s, event, payload.tenant, request.actor, identity_id, job=job_id)
        for identity_id in sorted(payload.identities())
    ]


def admitted_fields(
    request: JobRequest, job_id: str, now_s: float, deadline_s: float
) -> dict[str, str]:
    """Return the hash of a job that has just been admitted."""
    payload = request.payload
    fields = {
        "id": job_id,
        "tenant": payload.tenant,
        "kind": payload.kind,
        "queue": QUEUE_OF[payload.kind],
        "status": "queued",
        "priority": request.priority,
        # Without defaults: records are kept for days by the thousand.
        "payload": payload.model_dump_json(exclude_defaults=True, exclude_unset=False),
        "uploads": json.dumps([payload.input_id] if payload.input_id else []),
        "identities": json.dumps(sorted(payload.identities())),
        "input_bytes": str(request.input_bytes),
        # repr keeps every digit of a float, str of some Pythons does not.
        "created_at": repr(now_s),
        "deadline_at": repr(now_s + deadline_s),
        "metadata": json.dumps(dict(request.metadata)),
        "attempt": "1",
        "version": "1",
    }

    if request.temporary_identity:
        fields["temporary_identity"] = request.temporary_identity
    if request.batch:
        fields["batch"] = request.batch
    if request.webhook:
        fields["webhook"] = request.webhook
    if request.requeued_from:
        fields["requeued_from"] = request.requeued_from

    return fields


def settled_fields(now_s: float, result_ttl_s: float, ending: Ending) -> dict[str, str]:
    """Return the fields that a job gains when it ends."""
    fields = {"finished_at": repr(now_s), "expires_at": repr(now_s + result_ttl_s)}
    if ending.result:
        fields["result"] = json.dumps(asdict(ending.result))
    if ending.report:
        fields["report"] = json.dumps(_rounded(dict(ending.report.report)))
        fields["timings"] = json.dumps(_rounded(dict(ending.report.timings)))

    if ending.error:
        fields["error"] = json.dumps(asdict(ending.error))

    return fields


def _rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return JSON with its measured values cut to the digits that mean something."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]

    return value


def read_record(text: Mapping[str, str]) -> JobRecord:
    """Return the record in a job's hash."""
    payload = JobPayload.model_validate_json(text["payload"])
    return JobRecord(
        id=text["id"],
        tenant=text["tenant"],
        kind=payload.kind,
        status=cast(Status, text["status"]),
        priority=cast(Priority, text["priority"]),
        payload=payload,
        attempt=int(text["attempt"]),
        progress=_progress(text),
        created_at=float(text["created_at"]),
        deadline_at=float(text["deadline_at"]),
        started_at=_time(text, "started_at"),
        finished_at=_time(text, "finished_at"),
        expires_at=_time(text, "expires_at"),
        result=JobResult(**json.loads(text["result"])) if "result" in text else None,
        report=json.loads(text.get("report", "{}")),
        timings=json.loads(text.get("timings", "{}")),
        error=_problem(json.loads(text["error"])) if "error" in text else None,
        metadata=json.loads(text["metadata"]),
        webhook=text.get("webhook"),
        requeued_from=text.get("requeued_from"),
        batch=text.get("batch"),
        version=int(text["version"]),
    )


def _progress(text: Mapping[str, str]) -> Progress:
    return Progress.reported(
        done=int(text.get("progress_done", 0)),
        total=int(text.get("progress_total", 0)),
        unit=text.get("progress_unit", "step"),
        started_at=_time(text, "started_at"),
        at=_time(text, "progress_at"),
    )


def _time(text: Mapping[str, str], name: str) -> float | None:
    return float(text[name]) if name in text else None


def _problem(stored: Mapping[str, str]) -> Problem:
    return Problem(code=FailureCode(stored["code"]), detail=stored["detail"])


def uploads_of(job: JobRecord) -> list[str]:
    """Return the uploads that a job uses: its input, where it has one."""
    return [job.payload.input_id] if job.payload.input_id else []
