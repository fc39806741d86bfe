"""What can go wrong: a refusal, a job that failed, a service that does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from likeness_client.models import Job


class LikenessError(Exception):
    """A refusal: `code` is stable, `detail` is a sentence, `request_id` finds the service's log."""

    def __init__(self, status: int, code: str, detail: str, request_id: str = "") -> None:
        super().__init__(f"{detail} ({code})")
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id

    @classmethod
    def of(cls, answer: httpx.Response) -> LikenessError:
        """Return the problem that an answer carries, or what can be said of another answer."""
        try:
            body = answer.json()
            return cls(answer.status_code, body["code"], body["detail"], body["request_id"])
        except (ValueError, KeyError, TypeError):
            words = f"the server answered {answer.status_code}"
            return cls(answer.status_code, "unexpected_answer", words)


class JobFailed(LikenessError):
    """A job that ended without a result; `job` has its report."""

    def __init__(self, job: Job) -> None:
        error = job.error or {}
        detail = str(error.get("detail", f"The job is {job.status}"))
        super().__init__(422, str(error.get("code", job.status)), detail)
        self.job = job


class ConnectionFailed(LikenessError):
    """The service does not answer, also after several tries."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(0, "not_reachable", f"{url} does not answer: {reason}")
