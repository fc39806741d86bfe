"""Exports: an identity as one file for a phone or a browser."""

from __future__ import annotations

import math
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response

from service import schemas
from service.caller import Caller
from service.identities.consent import consent_of
from service.jobs.submission_request import read_export
from service.protocol.openapi import (
    IDEMPOTENCY_KEY,
    IDEMPOTENT,
    JSON_BODY,
    PREFER,
    json_body,
    problems,
    success,
)
from service.routes.app_state import State
from service.routes.auth import caller_with

router = APIRouter(prefix="/v1/identities", tags=["identities"])

Writer = Annotated[Caller, Depends(caller_with("identities:write"))]

_FAILURES = ("fetch_refused", "not_found", "identity_erased", "queue_full", "draining")
# An export leaves the service, so consent is asked for by a scope of its own.
_CONSENT_FAILURES = ("consent_missing", "consent_expired", "consent_scope")
_HEADERS = ("Location", "ETag", "Preference-Applied")


@router.post(
    "/{identity_id}/exports",
    status_code=202,
    response_model=schemas.Job,
    responses={
        200: success("The job ended within the `wait`.", *_HEADERS, model=schemas.Job),
        202: success("The job is accepted and will not be lost.", *_HEADERS, "Retry-After"),
        **problems(*JSON_BODY, *IDEMPOTENT, *_CONSENT_FAILURES, *_FAILURES),
    },
    openapi_extra={
        **json_body(schemas.ExportRequest),
        "parameters": [PREFER, IDEMPOTENCY_KEY],
    },
)
async def create_export(
    identity_id: str, request: Request, caller: Writer, state: State
) -> Response:
    """Write an identity as one file that swaps on a device, without this service.

    The person's consent must name the scope `export`. The result is a zip archive
    (docs/on_device.md); what was fetched cannot be called back, so it carries an expiry.
    """
    record = await to_thread.run_sync(state.identities.get, identity_id, caller.tenant)
    consent = consent_of(record)
    # Never longer than the consent: what was fetched cannot be called back.
    ends = consent.expires_at.timestamp() if consent and consent.expires_at else math.inf

    async with state.uploads.incoming(caller.tenant) as incoming:
        export = await read_export(request, identity_id, ends, state.bodies)
        admission = await state.submission.submit(caller, export, incoming)

    return await state.answers.accepted(request, caller, admission)
