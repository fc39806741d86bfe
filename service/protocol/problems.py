"""Failures as RFC 9457 problems, with the statuses and titles of `service.protocol.catalogue`.

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

from service.protocol.catalogue import CODES, type_of
from service.protocol.observability import current_request_id

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

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
