"""Swaps and analyses: check who and what, admit the job in one atomic step, answer with its
record.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from service import schemas
from service.caller import Caller
from service.jobs.submission import read_analysis, read_swap, submit
from service.protocol.openapi import IDEMPOTENCY_KEY, PREFER, header, json_body, problems, success
from service.routes.auth import caller_with
from service.routes.parts import Parts, parts_of

router = APIRouter(prefix="/v1", tags=["swaps"])

Writer = Annotated[Caller, Depends(caller_with("jobs:write"))]
InParts = Annotated[Parts, Depends(parts_of)]

_CANCEL_AFTER = header(
    "Cancel-After",
    "Seconds (or a number with s, m or h) after which the job ends as `expired`.",
    {"type": "string", "pattern": "^[1-9][0-9]{0,5}[smh]?$"},
)
_PRIORITY = {"type": "string", "enum": ["high", "normal", "low"]}


def _form(name: str) -> dict[str, Any]:
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


_FAILURES = (
    "invalid_json",
    "consent_expired",
    "consent_scope",
    "not_found",
    "idempotency_in_progress",
    "identity_erased",
    "body_too_large",
    "media_too_large",
    "unsupported_media_type",
    "invalid_request",
    "undecodable",
    "idempotency_mismatch",
    "fetch_refused",
    "fetch_failed",
    "quota_exceeded",
    "queue_full",
    "draining",
    "disk_full",
)
_RESPONSES = {
    200: success(
        "The job ended within the `wait`.",
        "Location",
        "ETag",
        "Preference-Applied",
        model=schemas.Job,
    ),
    202: success(
        "The job is accepted and will not be lost.",
        "Location",
        "Retry-After",
        "ETag",
        "Preference-Applied",
    ),
    **problems(*_FAILURES),
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
async def swap_image(request: Request, caller: Writer, parts: InParts) -> Response:
    """Swap faces in a picture."""
    return await submit(
        parts, request, caller, await read_swap(request, caller, parts, "swap_image")
    )


@router.post(
    "/swaps/video",
    status_code=202,
    response_model=schemas.Job,
    responses=_RESPONSES,
    openapi_extra=_documented(schemas.SwapRequest, "video"),
)
async def swap_video(request: Request, caller: Writer, parts: InParts) -> Response:
    """Swap faces in a film or an animation."""
    return await submit(
        parts, request, caller, await read_swap(request, caller, parts, "swap_video")
    )


@router.post(
    "/analyses",
    status_code=202,
    response_model=schemas.Job,
    responses=_RESPONSES,
    openapi_extra=_documented(schemas.AnalysisRequest, None),
)
async def analyse(request: Request, caller: Writer, parts: InParts) -> Response:
    """Find the people of a picture or film; the result is JSON."""
    return await submit(parts, request, caller, await read_analysis(request, parts))
