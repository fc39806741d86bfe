"""Swaps and analyses: read the request, have the job admitted, answer with its record."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from service import schemas
from service.caller import Caller
from service.intake.forms import FormRules
from service.jobs.submission_request import read_analysis, read_swap
from service.protocol.openapi import (
    FETCH,
    IDEMPOTENCY_KEY,
    IDEMPOTENT,
    JSON_BODY,
    MEDIA,
    PREFER,
    header,
    json_body,
    problems,
    success,
)
from service.routes.app_state import AppState, State
from service.routes.auth import caller_with
from worker.contract import JobKind

router = APIRouter(prefix="/v1", tags=["swaps"])

Writer = Annotated[Caller, Depends(caller_with("jobs:write"))]

_CANCEL_AFTER = header(
    "Cancel-After",
    "Seconds (or a number with s, m or h) after which the job ends as `expired`.",
    {"type": "string", "pattern": "^[1-9][0-9]{0,5}[smh]?$"},
)
# The enum again, because a form's fields have no model that OpenAPI could take it from.
_PRIORITY = {"type": "string", "enum": ["high", "normal", "low"]}


def _form(name: str) -> dict[str, Any]:
    # A form has only text, so what is an object in JSON is JSON inside of a field.
    described = {"type": "string", "description": "JSON, as in the JSON body."}
    return {
        "type": "object",
        "required": [name],
        "properties": {
            name: {"type": "string", "format": "binary"},
            "identity_id": {"type": "string"},
            "assignments": described,
            "options": described,
            "metadata": described,
            "webhook": {"type": "string"},
            "priority": _PRIORITY,
        },
    }


# Consent is checked again for each swap: it may have expired or been withdrawn since the
# registration.
_CONSENT_FAILURES = ("consent_missing", "consent_expired", "consent_scope", "identity_erased")
_QUEUE_FAILURES = ("not_found", "upload_in_use", "queue_full", "draining")
# What any accepted job's response carries; a 202 says in addition when to look again.
_HEADERS = ("Location", "ETag", "Preference-Applied")
_RESPONSES = {
    200: success("The job ended within the `wait`.", *_HEADERS, model=schemas.Job),
    202: success("The job is accepted and will not be lost.", *_HEADERS, "Retry-After"),
    **problems(*JSON_BODY, *MEDIA, *FETCH, *IDEMPOTENT, *_CONSENT_FAILURES, *_QUEUE_FAILURES),
}


def _documented(
    model: type[schemas.SwapRequest] | type[schemas.AnalysisRequest], part: str | None
) -> dict[str, Any]:
    body = json_body(model, form=_form(part)) if part else json_body(model)
    return {**body, "parameters": [PREFER, IDEMPOTENCY_KEY, _CANCEL_AFTER]}


@router.post(
    "/swaps/image",
    status_code=202,
    response_model=schemas.Job,
    responses=_RESPONSES,
    openapi_extra=_documented(schemas.SwapRequest, "image"),
)
async def swap_image(request: Request, caller: Writer, state: State) -> Response:
    """Swap faces in an image."""
    return await _swap(request, caller, state, "swap_image", "image")


@router.post(
    "/swaps/video",
    status_code=202,
    response_model=schemas.Job,
    responses=_RESPONSES,
    openapi_extra=_documented(schemas.SwapRequest, "video"),
)
async def swap_video(request: Request, caller: Writer, state: State) -> Response:
    """Swap faces in a video or an animation."""
    return await _swap(request, caller, state, "swap_video", "video")


@router.post(
    "/analyses",
    status_code=202,
    response_model=schemas.Job,
    responses=_RESPONSES,
    openapi_extra=_documented(schemas.AnalysisRequest, None),
)
async def analyse(request: Request, caller: Writer, state: State) -> Response:
    """Find the people in an image or video; the result is JSON."""
    # Whatever was received is deleted when the block ends without an admission, also by a
    # disconnect.
    async with state.uploads.incoming(caller.tenant) as incoming:
        analysis = await read_analysis(request, state.bodies)
        admission = await state.submission.submit(caller, analysis, incoming)
    return await state.answers.accepted(request, caller, admission)


async def _swap(
    request: Request, caller: Caller, state: AppState, kind: JobKind, file_name: str
) -> Response:
    # The part may be called `input`, as in JSON, or by what it is.
    rules = FormRules((file_name, "input"), 1, state.settings.max_upload_bytes)
    async with state.uploads.incoming(caller.tenant) as incoming:
        swap = await read_swap(request, kind, state.bodies, rules, incoming)
        admission = await state.submission.submit(caller, swap, incoming)

    return await state.answers.accepted(request, caller, admission)
