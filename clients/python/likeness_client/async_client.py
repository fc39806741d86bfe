"""The asynchronous client: the same methods, to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
from httpx_sse import SSEError, aconnect_sse

from likeness_client import calls
from likeness_client.async_sending import AsyncSending
from likeness_client.calls import Call
from likeness_client.client import STREAM_SILENCE_S
from likeness_client.connection import checked
from likeness_client.errors import ConnectionFailed, JobFailed
from likeness_client.following import Follower, OnProgress
from likeness_client.models import Consent, Identity, Job, Page
from likeness_client.sending import PathLike

Answer = TypeVar("Answer")


class AsyncClient(AsyncSending):
    """Speaks to one service with one API key; URL and key may come from the environment."""

    async def swap(
        self,
        source: PathLike,
        target: PathLike,
        out: PathLike,
        *,
        consent: Consent | None = None,
        faces: Any = "largest",  # noqa: ANN401 - a selector of the API
        options: Mapping[str, Any] | None = None,
        on_progress: OnProgress | None = None,
    ) -> Job:
        """Swap `source` into `target` and write `out`; return the job with its report.

        `source` is a photo, or the id of an identity. What a photo makes is erased afterwards.
        Raises LikenessError, JobFailed and ConnectionFailed.
        """
        if str(source).startswith("idn_"):
            return await self._swap(str(source), target, out, faces, options or {}, on_progress)

        identity = await self.register(source, consent=consent)
        try:
            return await self._swap(identity.id, target, out, faces, options or {}, on_progress)
        finally:
            await self.erase(identity.id)

    async def register(
        self,
        *photos: PathLike,
        consent: Consent | None = None,
        name: str | None = None,
        quality: str = "instant",
    ) -> Identity:
        """Return the identity of the one person in 1 to 8 photos; raises LikenessError."""
        paths = [Path(photo) for photo in photos]
        return await self.send(calls.create_identity(paths, consent, name, quality))

    async def submit(
        self,
        target: PathLike,
        identity_id: str,
        *,
        faces: Any = "largest",  # noqa: ANN401 - a selector of the API
        options: Mapping[str, Any] | None = None,
    ) -> Job:
        """Upload a target and submit its swap; return the job without waiting for its end."""
        upload = await self.upload(target)
        body = calls.swap_body(upload.id, identity_id, faces, options or {})
        return await self.send(calls.create_swap(upload.kind, body))

    async def preview(
        self,
        target: PathLike,
        identity_id: str,
        out: PathLike,
        *,
        faces: Any = "largest",  # noqa: ANN401 - a selector of the API
    ) -> Job:
        """Write a JPEG with the image, or three frames of the video, as a swap would make them."""
        upload = await self.upload(target)
        body = calls.swap_body(upload.id, identity_id, faces, {})
        job = await self.send(calls.create_preview(body))
        ended = await self.wait(job.id)
        await self.download(ended, out)
        return ended

    async def estimate(
        self,
        target: PathLike,
        identity_id: str,
        *,
        faces: Any = "largest",  # noqa: ANN401 - a selector of the API
    ) -> Mapping[str, Any]:
        """Return what a swap would take: people, frames, seconds, refusals."""
        upload = await self.upload(target)
        body = calls.swap_body(upload.id, identity_id, faces, {})
        job = await self.send(calls.create_estimate(body))
        return await self._json_result(await self.wait(job.id))

    async def export(self, identity_id: str, out: PathLike, form: str = "litert") -> Job:
        """Write an identity as a file for phones and browsers, for which its consent must allow."""
        job = await self.send(calls.create_export(identity_id, form))
        ended = await self.wait(job.id)
        await self.download(ended, out)
        return ended

    async def analyse(
        self, target: PathLike, on_progress: OnProgress | None = None
    ) -> Mapping[str, Any]:
        """Return the people in an image or video; raises LikenessError and JobFailed."""
        job = await self.send(calls.create_analysis((await self.upload(target)).id))
        return await self._json_result(await self.wait(job.id, on_progress))

    async def wait(self, job_id: str, on_progress: OnProgress | None = None) -> Job:
        """Follow a job to its end and return it; raises JobFailed where it has no result.

        A stream that is cut off is taken up again where it was.
        """
        follower = Follower(on_progress)
        losses = 0

        while follower.job is None:
            before = follower.last_id
            try:
                await self._follow(job_id, follower)
            except (httpx.TransportError, SSEError) as error:
                losses = 1 if follower.last_id != before else losses + 1
                pause_s = self.retries.pause_s(losses, None)
                if pause_s is None:
                    raise ConnectionFailed(self.url, str(error)) from error
                await asyncio.sleep(pause_s)

        if follower.job.result is None:
            raise JobFailed(follower.job)

        return follower.job

    async def download(self, job: Job, out: PathLike) -> Path:
        """Write a job's result to `out`, which appears whole or not at all."""
        return await self.fetch(f"/v1/jobs/{job.id}/result", out)

    async def job(self, job_id: str) -> Job:
        """Return a job as it is now."""
        return await self.send(calls.get_job(job_id))

    def jobs(self, *, status: str | None = None, kind: str | None = None) -> AsyncIterator[Job]:
        """Yield all jobs, newest first, page by page."""
        return self._pages(lambda cursor: calls.list_jobs(cursor, 100, status, kind))

    def identities(self) -> AsyncIterator[Identity]:
        """Yield all identities, newest first, page by page."""
        return self._pages(lambda cursor: calls.list_identities(cursor, 100))

    async def erase(self, identity_id: str) -> Mapping[str, Any]:
        """Erase an identity and return the receipt."""
        return await self.send(calls.delete_identity(identity_id))

    async def cancel(self, job_id: str) -> Job:
        """Ask a job to end."""
        return await self.send(calls.cancel_job(job_id))

    async def delete(self, job_id: str) -> None:
        """Delete a job that has ended, with its result."""
        await self.send(calls.delete_job(job_id))

    async def verify(self, file: PathLike) -> Mapping[str, Any]:
        """Return what the service can say about where a file comes from."""
        return await self.send(calls.verify(Path(file)))

    async def _swap(
        self,
        identity_id: str,
        target: PathLike,
        out: PathLike,
        faces: Any,  # noqa: ANN401 - a selector of the API
        options: Mapping[str, Any],
        on_progress: OnProgress | None,
    ) -> Job:
        job = await self.submit(target, identity_id, faces=faces, options=options)
        ended = await self.wait(job.id, on_progress)
        await self.download(ended, out)
        return ended

    async def _json_result(self, job: Job) -> Mapping[str, Any]:
        answer = await self.http.get(f"/v1/jobs/{job.id}/result")
        body: Mapping[str, Any] = checked(answer).json()
        return body

    async def _follow(self, job_id: str, follower: Follower) -> None:
        """Read a job's stream until it ends or the service closes it."""
        path = f"/v1/jobs/{job_id}/events"
        timeout = httpx.Timeout(10.0, read=STREAM_SILENCE_S)
        async with aconnect_sse(
            self.http, "GET", path, headers=follower.headers, timeout=timeout
        ) as source:
            answer = source.response
            if not answer.is_success:
                await answer.aread()
            if checked(answer).status_code == httpx.codes.NO_CONTENT:
                follower.job = await self.job(job_id)
                return

            async for event in source.aiter_sse():
                if follower.take(event):
                    return

    async def _pages(
        self, page: Callable[[str | None], Call[Page[Answer]]]
    ) -> AsyncIterator[Answer]:
        cursor: str | None = None
        while True:
            found = await self.send(page(cursor))
            for item in found.items:
                yield item
            cursor = found.next_cursor
            if cursor is None:
                return
