"""The body of every error."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Problem(BaseModel):
    """An RFC 9457 problem with two members of our own: `code` is stable, `request_id` finds the log
    lines.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:likeness:problem:not_found",
                    "title": "Not found",
                    "status": 404,
                    "detail": "Not found",
                    "instance": "urn:likeness:request:req_0f3a",
                    "code": "not_found",
                    "request_id": "req_0f3a",
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
