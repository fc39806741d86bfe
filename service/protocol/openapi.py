"""What the OpenAPI document says beyond what the routes' signatures do: problems, headers, bodies
read by hand.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from service.protocol.catalogue import CODES, type_of
from service.protocol.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

# Codes that come together, for `problems(*JSON_BODY, *MEDIA, ...)`.
JSON_BODY = ("invalid_json", "body_too_large", "unsupported_media_type", "invalid_request")
MEDIA = (
    "body_too_large",
    "media_too_large",
    "unsupported_media_type",
    "invalid_request",
    "undecodable",
    "quota_exceeded",
    "storage_quota",
    "media_unavailable",
    "inspection_unavailable",
    "disk_full",
)
FETCH = ("fetch_refused", "fetch_failed")
IDEMPOTENT = ("idempotency_mismatch", "idempotency_in_progress", "gone")
# What any authenticated route may answer, so that no route can forget them.
_EVERYWHERE = ("unauthorized", "forbidden", "invalid_parameter", "store_unavailable", "internal")
REF = "#/components/schemas/"
BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
HEADERS: dict[str, dict[str, Any]] = {
    "Location": {"description": "Where the created resource is.", "schema": {"type": "string"}},
    "Retry-After": {
        "description": "Seconds to wait.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "ETag": {"description": "The entity tag of this state.", "schema": {"type": "string"}},
    "Link": {
        "description": "`rel=next`: the next page, where there is one.",
        "schema": {"type": "string"},
    },
    "Preference-Applied": {
        "description": "The `wait` that was honoured.",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": 'How many jobs the tenant may have in flight: `"jobs";q=200`.',
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": 'How many more it may have now: `"jobs";r=199`.',
        "schema": {"type": "string"},
    },
    "X-Job-Id": {
        "description": "The job, where the answer is its result.",
        "schema": {"type": "string"},
    },
    "Tus-Resumable": {"description": "`1.0.0`.", "schema": {"type": "string"}},
    "Upload-Offset": {
        "description": "How many bytes are there.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "Upload-Expires": {
        "description": "When the upload ends unless it goes on.",
        "schema": {"type": "string"},
    },
    "Accept-Ranges": {"description": "`bytes`.", "schema": {"type": "string"}},
    "Content-Range": {"description": "The part that is sent.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "`true` when this answers a repeated key.",
        "schema": {"type": "string"},
    },
}


def problems(*codes: str, anonymous: bool = False) -> Responses:
    """Return the responses of the failures `codes`, grouped by status, each code with an
    example.
    """
    grouped: dict[int, list[str]] = {}
    for code in dict.fromkeys((*codes, *(("internal",) if anonymous else _EVERYWHERE))):
        grouped.setdefault(CODES[code][0], []).append(code)

    return {status: _problem_response(status, names) for status, names in sorted(grouped.items())}


def _problem_response(status: int, codes: list[str]) -> dict[str, Any]:
    # One example for each code, because clients branch on codes and not on statuses.
    examples = {code: {"value": _example(code)} for code in codes}
    described: dict[str, Any] = {
        "description": "; ".join(f"`{code}`: {CODES[code][1]}" for code in codes),
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"{REF}Problem"}, "examples": examples}},
    }

    # The two for which waiting helps; `problem_response` sends the header with both.
    if status in (429, 503):
        described["headers"] = {"Retry-After": HEADERS["Retry-After"]}

    return described


def _example(code: str) -> dict[str, Any]:
    status, title = CODES[code]
    return {
        "type": type_of(code),
        "title": title,
        "status": status,
        "detail": title,
        "instance": "urn:likeness:request:req_5f0c9a1be2d3847a",
        "code": code,
        "request_id": "req_5f0c9a1be2d3847a",
    }


def success(description: str, *headers: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - OpenAPI's own keys
    """Return a response with `headers` of the table above; its model comes from the route."""
    return {
        "description": description,
        "headers": {name: HEADERS[name] for name in headers},
        **more,
    }


# Bodies that routes read themselves, as they are declared when the routes are imported.
_BODIES: dict[str, type[BaseModel]] = {}


def declared_bodies() -> tuple[type[BaseModel], ...]:
    """Return the models of all bodies that `json_body` has described."""
    return tuple(_BODIES.values())


def json_body(model: type[BaseModel], **others: dict[str, Any]) -> dict[str, Any]:
    """Return the `openapi_extra` of a route that reads its body itself: JSON of `model`, and
    multipart where given.
    """
    _BODIES[model.__name__] = model
    content: dict[str, Any] = {"application/json": {"schema": {"$ref": REF + model.__name__}}}
    if "form" in others:
        content["multipart/form-data"] = {"schema": others["form"]}

    return {"requestBody": {"required": True, "content": content}}


def header(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return the description of a request header that a route reads itself."""
    return {
        "name": name,
        "in": "header",
        # All headers that routes read themselves are optional.
        "required": False,
        "description": description,
        "schema": schema,
    }


PREFER = header(
    "Prefer", "`wait=n`: hold the answer up to n (at most 60) seconds.", {"type": "string"}
)
IDEMPOTENCY_KEY = header(
    "Idempotency-Key",
    "Repeats of a request with the same key and body get the same answer for 24 hours.",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
)
