"""Swaps and analyses: read the request, have the job admitted, answer with its record."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from service import schemas
from service.caller import Caller
from service.intake.forms import FormRules, read_form
from service.jobs.submission_request import JSON_FIELDS, read_analysis, read_swap, swap_of_form
from service.protocol.bodies import media_type, parse_fields
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
from service.routes.identities import REGISTRATION_FAILURES
from worker.contract.requests import JobKind

router = APIRouter(prefix="/v1", tags=["swaps"])

Writer = Annotated[Caller, Depends(caller_with("jobs:write"))]

_CANCEL_AFTER = header(
    "Cancel-After",
    "Seconds (or a number with s, m or h) after which the job ends as `expired`.",
    {"type": "string", "pattern": "^[1-9][0-9]{0,5}[smh]?$"},
)
# The enum again, because a form's fields have no model that OpenAPI could take it from.
_PRIORITY = {
    "type": "string",
    "enum": ["high", "normal", "low"],
    "description": "Among the tenant's own jobs.",
}

# The parts of a form that registers and swaps in a single request.
_ONE_CALL: dict[str, Any] = {
    "source": {
        "type": "array",
        "maxItems": 8,
        "items": {"type": "string", "format": "binary"},
        "description": "In one call: photos of one person, with `target` and `consent`.",
    },
    "target": {"type": "string", "format": "binary", "description": "The same as `image`."},
    "consent": {"type": "string", "description": "JSON, as at registration."},
    "name": {"type": "string", "description": "Of the identity, where it is kept."},
    "keep_identity": {
        "type": "string",
        "enum": ["true", "false"],
        "description": "Whether the identity of `source` outlives the job.",
    },
}


def _form(name: str) -> dict[str, Any]:
    # A form has only text, so what is an object in JSON is JSON inside of a field.
    described = {"type": "string", "description": "JSON, as in the JSON body."}
    return {
        "type": "object",
        "properties": {
            name: {"type": "string", "format": "binary", "description": "The image or video."},
            "identity_id": {"type": "string", "description": "Whose face is put on."},
            "assignments": described,
            "options": described,
            "metadata": described,
            "webhook": {"type": "string", "description": "Where to tell the job's end."},
            "priority": _PRIORITY,
            **(_ONE_CALL if name == "image" else {}),
        },
    }


# Consent is checked again for each swap: it may have expired or been withdrawn since the
# registration.
_CONSENT_FAILURES = ("consent_missing", "consent_expired", "consent_scope", "identity_erased")
_QUEUE_FAILURES = ("not_found", "upload_in_use", "queue_full", "draining")
_CODES = (*JSON_BODY, *MEDIA, *FETCH, *IDEMPOTENT, *_CONSENT_FAILURES, *_QUEUE_FAILURES)
# What any accepted job's response carries; a 202 says in addition when to look again.
_HEADERS = ("Location", "ETag", "Preference-Applied", "RateLimit", "RateLimit-Policy", "X-Job-Id")
_RESPONSES = {
    200: success("The job ended within the `wait`.", *_HEADERS, model=schemas.Job),
    202: success("The job is accepted and will not be lost.", *_HEADERS, "Retry-After"),
    **problems(*_CODES),
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
    responses={**_RESPONSES, **problems(*_CODES, *REGISTRATION_FAILURES)},
    openapi_extra=_documented(schemas.SwapRequest, "image"),
)
async def swap_image(request: Request, caller: Writer, state: State) -> Response:
    """Swap faces in an image.

    In one call, a form with `source` (one to eight photos of one person), `target` and `consent`
    does without an identity: one is made for this job, and erased with it. With `Accept: image/*`
    the answer is the image.
    """
    if media_type(request) != "multipart/form-data":
        return await _swap(request, caller, state, "swap_image", "image")

    bounds = state.settings
    # Target and photos are told apart by the part's name, and bounded apart.
    targets = FormRules(("image", "target", "input"), 1, bounds.max_upload_bytes)
    sources = FormRules(("source",), bounds.max_photos, bounds.max_photo_bytes, min_files=0)

    async with (
        state.uploads.incoming(caller.tenant) as target,
        state.uploads.incoming(caller.tenant) as photos,
    ):
        fields = await read_form(request, state.bodies, (targets, target), (sources, photos))
        if photos.files:
            form = parse_fields(fields, schemas.OneCallForm, ("consent", *JSON_FIELDS))
            admission = await state.one_call.submit(request, caller, form, photos, target)
        else:
            swap = swap_of_form(request, "swap_image", fields, target)
            admission = await state.submission.submit(caller, swap, target)

    return await state.answers.accepted(request, caller, admission)


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


@router.post(
    "/previews",
    status_code=202,
    response_model=schemas.Job,
    responses=_RESPONSES,
    openapi_extra=_documented(schemas.SwapRequest, "input"),
)
async def preview(request: Request, caller: Writer, state: State) -> Response:
    """Show how a swap would look: three frames of a video side by side, or the image, as a JPEG.

    Takes what a swap takes; `options.output.max_side` is that of one frame, 640 by default. With
    `Accept: image/*` the answer is the image. Where an assignment names a `person_id` all of the
    video is looked through first, which takes longer.
    """
    return await _swap(request, caller, state, "preview", "input")


@router.post(
    "/estimates",
    status_code=202,
    response_model=schemas.Job,
    responses=_RESPONSES,
    openapi_extra=_documented(schemas.SwapRequest, "input"),
)
async def estimate(request: Request, caller: Writer, state: State) -> Response:
    """Say what a swap would take, without doing it; `report.estimate` and the result have it.

    It has the people and frames, the seconds on one worker like the one that answers, without the
    queue, `cost_units` (one for each face swapped in a frame), and the codes of `refusals`.
    """
    return await _swap(request, caller, state, "estimate", "input")


async def _swap(
    request: Request, caller: Caller, state: AppState, kind: JobKind, file_name: str
) -> Response:
    # Any usual name: the endpoint says what is done, the bytes say what it is.
    names = (file_name, "input", "image", "video", "target")
    rules = FormRules(names, 1, state.settings.max_upload_bytes)
    async with state.uploads.incoming(caller.tenant) as incoming:
        swap = await read_swap(request, kind, state.bodies, rules, incoming)
        admission = await state.submission.submit(caller, swap, incoming)

    return await state.answers.accepted(request, caller, admission)
