"""From a request to an accepted job: input, identities, consent, one atomic admission, and the wait
asked for.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from anyio import to_thread
from fastapi import Request, Response

from service import schemas
from service.caller import Caller
from service.identities.consent import check_use
from service.intake.fetching import checked_url
from service.intake.uploads import Declared, Incoming, inline
from service.jobs.job_views import job_response, job_view, wait_asked_s
from service.protocol.bodies import (
    BodyLimits,
    MultipartReader,
    json_limits,
    media_type,
    parse_fields,
    read_json,
)
from service.protocol.idempotency import fingerprint, key_of
from service.protocol.observability import current_traceparent
from service.protocol.problems import ServiceError
from service.routes.parts import Parts
from worker.contract import (
    QUEUE_OF,
    Assignment,
    IdempotencyKey,
    JobKind,
    JobPayload,
    JobRecord,
    JobRequest,
    Priority,
)
from worker.errors import StoreError
from worker.stores.job_store import Admission
from worker.stores.media_store import MediaRecord

log = logging.getLogger(__name__)

FILM_FORMATS = frozenset({"mp4", "mov", "mkv", "webm"})
STILL_FORMATS = frozenset({"png", "jpeg"})

_MAX_FIELD_BYTES = 64 * 1024
_CANCEL_AFTER = re.compile(r"(\d{1,6})([smh]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Submission:
    """What a client asks for; the input is a body already taken in, or said in the request."""

    kind: JobKind
    assignments: tuple[Assignment, ...]
    options: schemas.RequestedOptions
    webhook: str | None
    metadata: dict[str, Any]
    priority: Priority
    source: schemas.SwapInput | Incoming

    def facts(self) -> tuple[str, ...]:
        """Return what tells this submission from another one with the same Idempotency-Key."""
        source = (
            self.source.sha256
            if isinstance(self.source, Incoming)
            else self.source.model_dump_json()
        )
        said = [assignment.model_dump_json() for assignment in self.assignments]
        return (
            source,
            *said,
            self.options.model_dump_json(),
            str(self.webhook),
            json.dumps(self.metadata),
            self.priority,
        )


async def read_swap(request: Request, caller: Caller, parts: Parts, kind: JobKind) -> Submission:
    """Return the swap that a JSON or multipart body describes."""
    if media_type(request) == "multipart/form-data":
        fields, incoming = await _read_form(request, caller, parts, kind.removeprefix("swap_"))
        try:
            form = parse_fields(fields, schemas.SwapForm, ("assignments", "options", "metadata"))
        except BaseException:
            incoming.discard()
            raise
        return _submission(kind, form, incoming)
    body = await read_json(request, schemas.SwapRequest, json_limits(parts.settings))
    return _submission(kind, body, body.input)


async def read_analysis(request: Request, parts: Parts) -> Submission:
    """Return the analysis that a JSON body describes."""
    body = await read_json(request, schemas.AnalysisRequest, json_limits(parts.settings))
    options = schemas.RequestedOptions()
    return Submission(
        "analysis", (), options, body.webhook, dict(body.metadata), body.priority, body.input
    )


async def submit(parts: Parts, request: Request, caller: Caller, wanted: Submission) -> Response:
    """Admit the job and return its 202, or its 200 when it ends within the wait that was asked
    for.
    """
    incoming = wanted.source if isinstance(wanted.source, Incoming) else None
    try:
        key, deadline_s = key_of(request), _cancel_after_s(request)
        if parts.events.draining:
            raise ServiceError("draining")
        _check_format(wanted)
        if wanted.webhook is not None:
            checked_url(wanted.webhook)
        if incoming is None:
            incoming = await _brought_along(parts, caller, wanted)
        idempotency = IdempotencyKey(key, fingerprint(request, *wanted.facts())) if key else None
        # One visit to a thread for all of it: each costs about as much as what is done there.
        admission = await to_thread.run_sync(
            _admit, parts, caller, wanted, incoming, deadline_s, idempotency
        )
    finally:
        if incoming is not None:
            incoming.discard()
    return await _answer(parts, request, admission)


def _submission(
    kind: JobKind, form: schemas.SwapForm, source: schemas.SwapInput | Incoming
) -> Submission:
    return Submission(
        kind,
        form.assigned(),
        form.options,
        form.webhook,
        dict(form.metadata),
        form.priority,
        source,
    )


async def _read_form(
    request: Request, caller: Caller, parts: Parts, file_name: str
) -> tuple[dict[str, str], Incoming]:
    settings = parts.settings
    limits = BodyLimits(
        settings.max_upload_bytes + _MAX_FIELD_BYTES,
        settings.body_idle_timeout_s,
        settings.body_timeout_s,
    )
    fields: dict[str, str] = {}
    incoming: Incoming | None = None
    try:
        async for part in MultipartReader(request, limits).parts():
            if part.filename is None:
                fields[part.name] = await part.text(_MAX_FIELD_BYTES)
            elif part.name in (file_name, "input") and incoming is None:
                declared = Declared(part.content_type)
                incoming = await parts.intake.take(
                    caller.tenant, part.chunks(), declared, settings.max_upload_bytes
                )
            else:
                raise ServiceError("invalid_request", f"Send one file, as {file_name}")
        if incoming is None:
            raise ServiceError("invalid_request", f"The form has no file {file_name}")
    except BaseException:
        if incoming is not None:
            incoming.discard()
        raise
    return fields, incoming


def _check_format(wanted: Submission) -> None:
    asked = wanted.options.output.format
    impossible = {"swap_image": FILM_FORMATS, "swap_video": STILL_FORMATS}.get(
        wanted.kind, frozenset()
    )
    if asked in impossible:
        raise ServiceError("invalid_request", f"This kind of input cannot become {asked}")


def _check_identities(parts: Parts, caller: Caller, wanted: Submission) -> None:
    for identity_id in JobPayload(
        kind=wanted.kind, tenant=caller.tenant, assignments=wanted.assignments
    ).identities():
        check_use(
            parts.identities.get(identity_id, caller.tenant),
            wanted.kind,
            parts.settings.require_consent,
        )


async def _brought_along(parts: Parts, caller: Caller, wanted: Submission) -> Incoming | None:
    """The file that the JSON body holds or points to; None when it names an upload."""
    source, settings = wanted.source, parts.settings
    if isinstance(source, Incoming) or source.upload_id is not None:
        return None
    await to_thread.run_sync(
        _check_identities, parts, caller, wanted
    )  # before anything is fetched for a stranger
    chunks: AsyncIterator[bytes]
    if source.url is not None:
        chunks, bound = parts.fetcher.fetch(source.url), settings.max_upload_bytes
    else:
        chunks, bound = (
            inline(source.base64 or "", settings.max_inline_bytes),
            settings.max_inline_bytes,
        )
    return await parts.intake.take(caller.tenant, chunks, Declared(), bound)


def _admit(
    parts: Parts,
    caller: Caller,
    wanted: Submission,
    incoming: Incoming | None,
    deadline_s: float | None,
    idempotency: IdempotencyKey | None,
) -> Admission:
    _check_identities(parts, caller, wanted)
    record = parts.intake.keep(incoming) if incoming else _named_upload(parts, caller, wanted)
    try:
        _check_kind(wanted.kind, record)
        admission = parts.jobs.admit(_job_request(caller, wanted, record, deadline_s), idempotency)
    except BaseException:
        if incoming:
            parts.media.delete_unless_held(
                record.id
            )  # a store too slow to say so may have accepted the job
        raise
    if not admission.replayed:
        _hand_over(parts, caller, admission.job)
    elif incoming:
        parts.media.delete(record.id)  # the first request's upload is the one that the job uses
    return admission


def _named_upload(parts: Parts, caller: Caller, wanted: Submission) -> MediaRecord:
    upload_id = wanted.source.upload_id if isinstance(wanted.source, schemas.SwapInput) else None
    return parts.media.stat(upload_id or "", caller.tenant)


def _check_kind(kind: JobKind, record: MediaRecord) -> None:
    is_image = record.facts.media_type.startswith("image/")
    moves = not is_image or (record.facts.frames or 1) > 1
    if kind == "swap_image" and not is_image:
        raise ServiceError("unsupported_media_type", "The input is a film; use /v1/swaps/video")
    if kind == "swap_video" and not moves:
        raise ServiceError("unsupported_media_type", "The input is a still; use /v1/swaps/image")


def _job_request(
    caller: Caller, wanted: Submission, record: MediaRecord, deadline_s: float | None
) -> JobRequest:
    payload = JobPayload(
        kind=wanted.kind,
        tenant=caller.tenant,
        input_id=record.id,
        assignments=wanted.assignments,
        options=wanted.options.for_workers(),
        trace={"traceparent": current_traceparent()},
    )
    return JobRequest(
        payload, wanted.priority, deadline_s, record.bytes, wanted.webhook, wanted.metadata
    )


def _hand_over(parts: Parts, caller: Caller, job: JobRecord) -> None:
    """Deliver the job and note whom it uses; a failure here must not look like a refusal: the job
    is accepted.
    """
    try:
        parts.queue.deliver(QUEUE_OF[job.kind])
        for identity_id in sorted(job.payload.identities()):
            parts.audit.append(
                "identity.used", caller.tenant, caller.key_id, identity_id, job=job.id
            )
    except StoreError as error:
        log.error("store failed after admission", extra={"job": job.id, "code": error.code})


async def _answer(parts: Parts, request: Request, admission: Admission) -> Response:
    job, wait_s = admission.job, wait_asked_s(request)
    headers = {"Location": f"/v1/jobs/{job.id}"}
    if admission.replayed:
        headers["Idempotency-Replayed"] = "true"
    try:
        if wait_s is not None:
            job = await _wait(parts, job, wait_s)
            headers["Preference-Applied"] = f"wait={wait_s}"
        view = await view_of(parts, job)
    except (ServiceError, StoreError) as error:
        log.warning("accepted without the wait", extra={"job": job.id, "code": error.code})
        view = job_view(job, parts.settings.public_url)
    return job_response(view, job, 200 if job.final and wait_s is not None else 202, **headers)


async def view_of(parts: Parts, job: JobRecord) -> schemas.Job:
    """Return a job's body, with its place in the queue while it waits."""
    position = (
        await to_thread.run_sync(parts.jobs.queue_position, job) if job.status == "queued" else None
    )
    return job_view(job, parts.settings.public_url, position)


async def _wait(parts: Parts, job: JobRecord, wait_s: int) -> JobRecord:
    with parts.events.waiter(job.tenant):
        await parts.events.until_completed(job.id, wait_s)
    return await to_thread.run_sync(parts.jobs.get, job.id)


def _cancel_after_s(request: Request) -> float | None:
    text = request.headers.get("cancel-after")
    if text is None:
        return None
    found = _CANCEL_AFTER.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        raise ServiceError(
            "invalid_parameter", "Cancel-After must be seconds, or a number with s, m or h"
        )
    return float(int(found[1]) * _SECONDS[found[2]])
