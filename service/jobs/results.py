"""The bytes of a job's result as a response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from anyio import to_thread
from fastapi import Request, Response

from service.protocol.delivery import Content, deliver
from service.protocol.key_watch import KeyWatch
from service.protocol.problems import ServiceError
from worker.contract.jobs import JobRecord
from worker.stores.media.media_store import MediaStore


class Results:
    """Opens results and delivers them."""

    def __init__(self, media: MediaStore, watch: KeyWatch) -> None:
        self._media = media
        self._watch = watch

    async def response(self, request: Request, job: JobRecord, key_id: str | None) -> Response:
        """Return the response for a job's result, or the part of it that Range names.

        It breaks off when the key ends; None stands for a URL that was signed, whose time is
        checked when it is asked for. Raises job_not_final, no_result, ResultExpired.
        """
        if not job.final:
            raise ServiceError("job_not_final", headers={"Retry-After": "1"})
        if job.result is None:
            raise ServiceError("no_result", f"The job ended as {job.status}")

        content = Content(
            # Opened before the headers are sent: what expires now is still delivered whole.
            file=await to_thread.run_sync(self._media.results.open, job),
            size=job.result.bytes,
            media_type=job.result.media_type,
            sha256=job.result.sha256,
            # Ours: the name of the upload is never kept.
            filename=f"{job.id}{job.result.suffix}",
        )
        is_allowed: Callable[[], Awaitable[bool]] = self._watch.of(key_id) if key_id else _yes
        return deliver(request, content, is_allowed)


async def _yes() -> bool:
    return True
