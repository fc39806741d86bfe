"""What a client asks for with POST /v1/swaps and /v1/analyses, in JSON or as a form."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from service import schemas
from service.intake.forms import FormRules, read_form
from service.intake.incoming import Incoming
from service.protocol.bodies import BodyReader, media_type, parse_fields
from service.protocol.idempotency import fingerprint, key_of
from service.protocol.problems import ServiceError
from worker.contract.options import Assignment, ExportOptions
from worker.contract.requests import IdempotencyKey, JobKind, JobPayload, Priority

JSON_FIELDS = ("assignments", "options", "metadata")
# Six digits are eleven days in seconds, beyond any deadline that is granted.
_CANCEL_AFTER = re.compile(r"(\d{1,6})([smh]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Submission:
    """A job that a client asks for.

    `source` is None when the input came with the request and is in its `Incoming`.
    """

    kind: JobKind
    assignments: tuple[Assignment, ...]
    options: schemas.RequestedOptions
    webhook: str | None
    metadata: dict[str, Any]
    priority: Priority
    source: schemas.SwapInput | None
    deadline_s: float | None
    idempotency: IdempotencyKey | None
    export: ExportOptions | None = None
    temporary_identity: str | None = None
    batch: str | None = None

    def payload(self, tenant: str, input_id: str | None, traceparent: str) -> JobPayload:
        """Return what a worker is to read."""
        return JobPayload(
            kind=self.kind,
            tenant=tenant,
            input_id=input_id,
            assignments=self.assignments,
            options=self.options.for_workers(),
            export=self.export,
            # W3C's name, so that a worker's spans continue the request's trace.
            trace={"traceparent": traceparent},
        )


async def read_swap(
    request: Request, kind: JobKind, bodies: BodyReader, rules: FormRules, incoming: Incoming
) -> Submission:
    """Return the swap that the request describes; a form's file is received into `incoming`."""
    if media_type(request) == "multipart/form-data":
        fields = await read_form(request, bodies, (rules, incoming))
        return swap_of_form(request, kind, fields, incoming)

    body = await bodies.json(request, schemas.SwapRequest)
    return _submission(request, kind, body, body.input, body.input.model_dump_json())


def swap_of_form(
    request: Request, kind: JobKind, fields: Mapping[str, str], incoming: Incoming
) -> Submission:
    """Return the swap that a form's fields describe; its input is in `incoming`."""
    form = parse_fields(fields, schemas.SwapForm, JSON_FIELDS)
    return _submission(request, kind, form, None, incoming.files[0].sha256)


async def read_analysis(request: Request, bodies: BodyReader) -> Submission:
    """Return the analysis that the JSON body describes."""
    body = await bodies.json(request, schemas.AnalysisRequest)
    return _submission(request, "analysis", body, body.input, body.input.model_dump_json())


async def read_export(
    request: Request, identity_id: str, consent_ends_at: float, bodies: BodyReader
) -> Submission:
    """Return the export of an identity that the JSON body describes.

    It can be used until `consent_ends_at`, in seconds since the epoch, at the latest.
    """
    body = await bodies.json(request, schemas.ExportRequest)
    key = key_of(request)
    mark = fingerprint(request, identity_id, body.model_dump_json())

    return Submission(
        kind="export",
        assignments=(Assignment(identity_id=identity_id),),
        options=schemas.RequestedOptions(),
        webhook=body.webhook,
        metadata=dict(body.metadata),
        priority="normal",
        source=None,
        deadline_s=cancel_after_s(request),
        idempotency=IdempotencyKey(key, mark) if key else None,
        export=ExportOptions(
            form=body.form, expires_at=min(time.time() + body.expires_in_s, consent_ends_at)
        ),
    )


def _submission(
    request: Request,
    kind: JobKind,
    body: schemas.SwapForm | schemas.AnalysisRequest,
    source: schemas.SwapInput | None,
    source_facts: str,
) -> Submission:
    swap = body if isinstance(body, schemas.SwapForm) else None
    assignments = swap.assigned() if swap else ()
    options = swap.options if swap else schemas.RequestedOptions()
    # Everything that changes the result or who hears of it; not the deadline, which a retry
    # shortens.
    facts = (
        source_facts,
        *(assignment.model_dump_json() for assignment in assignments),
        options.model_dump_json(),
        str(body.webhook),
        json.dumps(body.metadata),
        body.priority,
    )

    key = key_of(request)
    return Submission(
        kind=kind,
        assignments=assignments,
        options=options,
        webhook=body.webhook,
        metadata=dict(body.metadata),
        priority=body.priority,
        source=source,
        deadline_s=cancel_after_s(request),
        idempotency=IdempotencyKey(key, fingerprint(request, *facts)) if key else None,
    )


def cancel_after_s(request: Request) -> float | None:
    """Return the seconds of the header Cancel-After, None without it; raises invalid_parameter."""
    text = request.headers.get("cancel-after")
    if text is None:
        return None

    match = _CANCEL_AFTER.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise ServiceError(
            "invalid_parameter", "Cancel-After must be seconds, or a number with s, m or h"
        )

    return float(int(match[1]) * _SECONDS[match[2]])
