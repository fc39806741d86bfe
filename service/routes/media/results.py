"""Results of jobs: the file, and its credentials as a file of their own."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response

from service.caller import Caller
from service.protocol.openapi import BINARY, REF, header, problems, success
from service.protocol.problems import ServiceError
from service.routes.app_state import AppState, State
from service.routes.auth import AccessToken, Credentials, caller_with, key_of, require_scope
from worker.contract.jobs import JobRecord
from worker.errors import UnknownJob
from worker.provenance.names import MANIFEST_TYPE, mark_name

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

Reader = Annotated[Caller, Depends(caller_with("jobs:read"))]
Expires = Annotated[
    int | None,
    Query(ge=0, lt=1 << 40, description="Of a signed URL: when it ends, in Unix seconds."),
]
Signature = Annotated[
    str | None, Query(max_length=100, description="Of a signed URL: its HMAC-SHA256.")
]

_RESULT = {
    # Bytes first, for generators take the first type they know; the header says the real one.
    **dict.fromkeys(("application/octet-stream", "image/*", "video/*"), BINARY),
    "application/json": {"schema": {"$ref": f"{REF}AnalysisResult"}},
}
_EXTRA = {
    "parameters": [
        header(
            "Range", "One range of bytes; several are answered with the whole.", {"type": "string"}
        ),
        header("If-Range", "The ETag for which the range is meant.", {"type": "string"}),
        header("If-None-Match", "An ETag seen before.", {"type": "string"}),
    ]
}
_RESPONSES = {
    200: success(
        "The result's bytes; the ETag is their SHA-256.",
        "ETag",
        "Accept-Ranges",
        content=_RESULT,
    ),
    206: success("The part that `Range` names.", "ETag", "Content-Range"),
    304: success("The bytes are those of `If-None-Match`.", "ETag"),
    **problems(
        *("not_found", "job_not_final", "no_result", "result_expired", "link_expired"),
        "range_not_satisfiable",
    ),
}


@router.head(
    "/{job_id}/result", response_class=Response, responses=_RESPONSES, openapi_extra=_EXTRA
)
@router.get("/{job_id}/result", response_class=Response, responses=_RESPONSES, openapi_extra=_EXTRA)
async def job_result(
    job_id: str,
    request: Request,
    state: State,
    credentials: Credentials,
    access_token: AccessToken = None,
    expires: Expires = None,
    signature: Signature = None,
) -> Response:
    """Return the file that a job made, or the part of it that Range names.

    Needs a key, a browser token, or a URL that was signed: `urls.result_signed` of the job.
    """
    # A signed URL is checked alone: a page that has one need not have a key as well.
    if expires is not None and signature is not None:
        job = await _opened_by_signature(state, job_id, expires, signature)
        return await state.results.response(request, job, None)

    # Here and not as a dependency, which would ask for a key before the signature is looked at.
    key = await key_of(request, state, credentials, access_token)
    require_scope(key, "jobs:read")
    job = await to_thread.run_sync(state.jobs.get, job_id, key.tenant)
    return await state.results.response(request, job, key.id)


@router.get(
    "/{job_id}/manifest",
    response_class=Response,
    responses={
        200: success(
            "The signed C2PA manifest; also of results that carry it themselves.",
            content=dict.fromkeys(("application/octet-stream", MANIFEST_TYPE), BINARY),
        ),
        **problems("not_found", "job_not_final", "no_result"),
    },
)
async def job_manifest(job_id: str, caller: Reader, state: State) -> Response:
    """Return the content credentials of the job's result, as a file of their own."""
    job = await to_thread.run_sync(state.jobs.get, job_id, caller.tenant)
    if not job.final:
        raise ServiceError("job_not_final", headers={"Retry-After": "1"})
    if job.result is None or job.payload.mark_id is None:
        raise ServiceError("no_result", "The job has no result with credentials")

    name = mark_name(job.payload.mark_id)
    manifest = await to_thread.run_sync(state.verifier.manifest, name)
    return Response(manifest, media_type=MANIFEST_TYPE)


async def _opened_by_signature(
    state: AppState, job_id: str, expires: int, signature: str
) -> JobRecord:
    """Return the job of a signed URL.

    One that we did not sign answers as an unknown job, and so does one whose job was deleted.
    """
    # The signature first: without it, not even whether the job exists may be told.
    if not state.views.signer.is_signed(job_id, expires, signature):
        raise UnknownJob
    job = await to_thread.run_sync(state.jobs.get, job_id)
    if state.views.signer.has_ended(expires):
        raise ServiceError("link_expired")

    return job
