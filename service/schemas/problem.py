"""The body of every error."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from worker.failures import FailureCode


class Problem(BaseModel):
    """An RFC 9457 problem with two members of our own: `code` is stable, `request_id` finds the log
    lines.
    """

    model_config = ConfigDict(
        # Members of a single code, such as `errors`, stand beside the common ones.
        extra="allow",
        json_schema_serialization_defaults_required=True,
        json_schema_extra={
            "examples": [
                {
                    "type": "/errors/not_found",
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

    type: str = Field(description="The page about this code, relative to the service.")
    title: str = Field(description="The code in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened, and where it helps what to do.")
    instance: str = Field(description="This one occurrence.")
    code: str = Field(description="Stable name of the failure.")
    request_id: str = Field(description="What finds the operator's log lines.")


class JobError(Problem):
    """Why a job failed, in the form of a problem."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "/errors/no_face",
                    "title": "The job failed",
                    "status": 422,
                    "detail": "No face was found.",
                    "instance": "urn:likeness:job:job_06avht5b1h7s4d9f2q6tjw3e8r",
                    "code": "no_face",
                    "request_id": "req_0f3a",
                }
            ]
        }
    )

    code: FailureCode = Field(
        description="Stable reason. Trying again gives the same, but for `attempts_exhausted` and"
        " `out_of_memory`."
    )
