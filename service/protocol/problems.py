"""Failures as RFC 9457 problems: the only module that maps failure codes to HTTP statuses.

ServiceError: a request that cannot be served; it has a stable `code` and a message that is safe to
show. Errors of the worker and of inference have a `code` too, and are answered in the same way.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service.protocol.catalogue import type_of
from service.protocol.observability import current_request_id

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

# The contract with clients: codes are stable, titles and details may be reworded.
CODES: dict[str, tuple[int, str]] = {
    "invalid_json": (400, "The body is not valid JSON"),
    "invalid_parameter": (400, "A query parameter or header is not valid"),
    "invalid_cursor": (400, "The cursor is not one of this listing"),
    "bad_request": (400, "The request is malformed"),
    "unauthorized": (401, "A valid API key is needed"),
    "forbidden": (403, "The key lacks the scope for this call"),
    "consent_expired": (403, "The person's consent has expired"),
    "consent_scope": (403, "The person's consent does not cover this use"),
    "identity_blocked": (403, "This person must not be swapped here"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "The resource does not support this method"),
    "idempotency_in_progress": (409, "A request with this Idempotency-Key is still running"),
    "identity_review": (
        409,
        "The person resembles somebody who must not be swapped here; an operator decides",
    ),
    "job_not_final": (409, "The job has not ended yet"),
    "upload_in_use": (409, "A job in flight or a registration needs the upload"),
    "upload_offset": (409, "The part does not begin where the upload ends"),
    "upload_incomplete": (409, "Bytes of the upload are missing"),
    "presigned_unavailable": (409, "Media are in no bucket here; uploads go to the service"),
    "no_result": (409, "The job ended without a result"),
    "identity_erased": (410, "The identity was erased"),
    "result_expired": (410, "The result has expired and was deleted"),
    "link_expired": (410, "The signed URL has expired; read the job again for a new one"),
    "gone": (410, "What this request created has been deleted"),
    "tus_version": (412, "Another version of tus than 1.0.0"),
    "body_too_large": (413, "The body is too large"),
    "media_too_large": (413, "The image or video is too large"),
    "unsupported_media_type": (415, "The media type is not supported"),
    "range_not_satisfiable": (416, "The range lies outside the result"),
    "invalid_request": (422, "A field of the request is not valid"),
    "undecodable": (422, "The file is truncated or damaged"),
    "no_face": (422, "No face was found"),
    "several_faces": (422, "More than one face was found"),
    "photos_disagree": (422, "The photos seem to show different people"),
    "sexual_content": (422, "The file seems to show sexual content"),
    "apparent_minor": (422, "The person seems to be under 18"),
    "age_unsure": (
        422,
        "The person looks younger than 25; send a consent with adult and evidence_sha256",
    ),
    "low_quality": (422, "The photos are not good enough"),
    "consent_missing": (422, "A consent record is needed to register a face"),
    "digest_mismatch": (422, "The body does not match its Content-Digest"),
    "idempotency_mismatch": (422, "The Idempotency-Key was used for another request"),
    "refinement_unavailable": (422, "Refinement is not installed here"),
    "fetch_refused": (422, "The URL may not be fetched"),
    "fetch_failed": (422, "The URL could not be fetched"),
    "too_many_requests": (429, "Too many requests from this address"),
    "quota_exceeded": (429, "The tenant's quota is used up"),
    "blocklist_full": (429, "The never-swap list has no room"),
    "storage_quota": (429, "The tenant has too many bytes stored"),
    "internal": (500, "Internal error"),
    "too_many_waiters": (503, "Too many clients are waiting"),
    "queue_full": (503, "The queue is full"),
    "draining": (503, "The service is shutting down"),
    "store_unavailable": (503, "The store cannot be reached"),
    "store_full": (503, "The store is out of memory"),
    "media_unavailable": (503, "The media cannot be read or written"),
    "inspection_unavailable": (503, "Videos cannot be inspected right now"),
    "enrolment_busy": (503, "Too many registrations are waiting"),
    "enrolment_unavailable": (503, "Registration is not available right now"),
    "trust_key_broken": (503, "A key of this installation cannot be used"),
    "disk_full": (507, "The disk is full"),
}

# Failures that the framework raises by itself.
_BY_STATUS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
}
_RETRY_AFTER_S = {429: 5, 503: 2}  # a quota frees up when a job ends; a restart takes seconds
MAX_FINDINGS = 20  # of a body with many mistakes


class ServiceError(Exception):
    """A request that cannot be served, with a stable `code` and a `detail` that is safe to show."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **extra: object,
    ) -> None:
        super().__init__(detail or CODES[code][1])
        self.code = code
        self.detail = str(self)
        # A copy: a raised error may be answered later than the mapping it was given lives.
        self.headers = dict(headers or {})
        self.extra = extra


class Refused(ServiceError):
    """A request that is refused for what its files show.

    `check` names what refused it and `band` how surely, for the audit trail and nobody else.
    """

    def __init__(self, code: str, check: str, band: str, detail: str = "", **extra: object) -> None:
        super().__init__(code, detail)
        self.extra = extra
        self.check = check
        self.band = band


def problem(code: str, detail: str = "", **extra: object) -> dict[str, Any]:
    """Return the members of the problem `code`, the current request's id included."""
    status, title = CODES[code]
    request_id = current_request_id()
    return {
        "type": type_of(code),
        "title": title,
        "status": status,
        "detail": detail or title,
        "instance": f"urn:likeness:request:{request_id}",
        "code": code,
        "request_id": request_id,
        **extra,
    }


def problem_response(
    code: str, detail: str = "", *, headers: Mapping[str, str] | None = None, **extra: object
) -> JSONResponse:
    """Return the response for a failure code, with Retry-After where waiting helps."""
    body = problem(code, detail, **extra)
    sent = dict(headers or {})

    # Whoever raised it may know better how long it takes.
    if (wait_s := _RETRY_AFTER_S.get(body["status"])) and "Retry-After" not in sent:
        sent["Retry-After"] = str(wait_s)

    return JSONResponse(body, status_code=body["status"], headers=sent, media_type=MEDIA_TYPE)


def internal_error(error: Exception) -> JSONResponse:
    """Log an unexpected error with the request's id, and return the 500, which does not name it."""
    log.error("request failed unexpectedly", exc_info=error)
    return problem_response("internal")


def install(app: FastAPI, *trees: type[Exception]) -> None:
    """Make every failure of `app` answer as a problem.

    `trees` are other packages' errors, known by their `code`.
    """
    for kind in (
        ServiceError,
        RequestValidationError,
        HTTPException,
        ClientDisconnect,
        *trees,
        Exception,
    ):
        app.add_exception_handler(kind, answer)


async def answer(request: Request, error: Exception) -> JSONResponse:
    """Return the problem for `error`; an unexpected one is logged and becomes a bare 500."""
    match error:
        case ServiceError():
            return problem_response(error.code, error.detail, headers=error.headers, **error.extra)
        case RequestValidationError():
            return validation_problem(error.errors())
        case HTTPException():
            return _http_problem(request, error)
        case ClientDisconnect():
            return problem_response(
                "bad_request", "The client disconnected before its request body was complete"
            )

    code = getattr(error, "code", "internal")
    # An error of another package whose code has no status must not reach a client unnamed.
    if code == "internal" or code not in CODES:
        return internal_error(error)

    wait_s = getattr(error, "retry_after_s", None)
    return problem_response(
        code, str(error), headers={"Retry-After": str(max(1, round(wait_s)))} if wait_s else None
    )


def validation_problem(errors: Sequence[Any]) -> JSONResponse:
    """Return the problem for pydantic's findings: 400 for query and headers, 404 for a path id, 422
    for the body.
    """
    places = {str(finding["loc"][0]) for finding in errors if finding.get("loc")}
    # A malformed id names nothing that exists, which is all a client needs to know.
    if "path" in places:
        return problem_response("not_found")
    if any(finding["type"] == "json_invalid" for finding in errors):
        return problem_response("invalid_json")
    if any(tuple(finding["loc"]) == ("query", "cursor") for finding in errors):
        return problem_response("invalid_cursor")

    code = "invalid_parameter" if places & {"query", "header"} else "invalid_request"
    fields = [
        {"field": ".".join(map(str, finding["loc"])), "message": finding["msg"]}
        for finding in errors[:MAX_FINDINGS]
    ]
    return problem_response(
        code, "; ".join(f"{f['field']}: {f['message']}" for f in fields[:3]), errors=fields
    )


def _http_problem(request: Request, error: HTTPException) -> JSONResponse:
    if error.status_code == 405:
        # The framework names the methods of one route; a path may have several.
        paths = request.app.openapi()["paths"]
        methods = paths.get(getattr(request.scope.get("route"), "path_format", ""), {})
        allowed = ", ".join(sorted(method.upper() for method in methods)) or (
            error.headers or {}
        ).get("Allow", "")

        return problem_response("method_not_allowed", headers={"Allow": allowed})

    if code := _BY_STATUS.get(error.status_code):
        return problem_response(code, headers=error.headers)

    phrase = HTTPStatus(error.status_code).phrase
    body = problem("bad_request", phrase) | {
        "type": "about:blank",
        "title": phrase,
        "status": error.status_code,
        "code": phrase.lower().replace(" ", "_"),
    }
    return JSONResponse(body, error.status_code, headers=error.headers, media_type=MEDIA_TYPE)
