"""What the asynchronous client does in several requests; as `sending`, to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from likeness_client import calls
from likeness_client.async_connection import AsyncConnection
from likeness_client.connection import CHUNK_BYTES, checked
from likeness_client.errors import LikenessError
from likeness_client.models import Batch, BatchItem, PartialUpload, Upload
from likeness_client.sending import (
    PART_BYTES,
    POLL_S,
    WHOLE_BYTES,
    PathLike,
    batch_body,
    checked_names,
)


class AsyncSending(AsyncConnection):
    """Uploads, batches and downloads."""

    async def upload(self, file: PathLike) -> Upload:
        """Store an image or video, to be named by jobs for a day; raises LikenessError.

        A large file is sent in parts, so that a lost connection costs one of them.
        """
        path = Path(file)
        size = path.stat().st_size
        if size <= WHOLE_BYTES:
            return await self.send(calls.create_upload(path))

        partial = await self.send(calls.begin_upload(size))
        with path.open("rb") as stream:
            while partial.received < size:
                stream.seek(partial.received)
                part = await asyncio.to_thread(stream.read, PART_BYTES)
                partial = await self._append(partial, part)

        return await self.send(calls.get_upload(partial.id))

    async def swap_all(
        self,
        identity_id: str,
        targets: Sequence[PathLike],
        folder: PathLike,
        *,
        faces: Any = "largest",  # noqa: ANN401 - a selector of the API
        options: Mapping[str, Any] | None = None,
        on_progress: Callable[[Batch], None] | None = None,
    ) -> Mapping[Path, BatchItem]:
        """Swap an identity into up to 200 files by one batch, and write results into `folder`.

        Results have the names of their targets. Returns what became of each target; one that
        failed has its `error` and no file. Raises LikenessError, ConnectionFailed.
        """
        paths = checked_names(targets)
        uploads = {(await self.upload(path)).id: path for path in paths}
        body = batch_body(list(uploads), identity_id, faces, options)
        batch = await self.send(calls.create_batch(body))

        while batch.status != "finished":
            await asyncio.sleep(POLL_S)
            batch = await self.send(calls.get_batch(batch.id))
            if on_progress is not None:
                on_progress(batch)

        out = Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        for item in batch.items:
            if item.status == "succeeded":
                name = uploads[item.upload_id or ""].name
                await self.fetch(f"/v1/jobs/{item.job_id}/result", out / name)

        return {uploads[item.upload_id or ""]: item for item in batch.items}

    async def fetch(self, path: str, out: PathLike) -> Path:
        """Write what the service has at `path` to `out`, which appears whole or not at all."""
        target = Path(out)
        part = target.with_name(f".{target.name}.part")
        try:
            async with self.http.stream("GET", path) as answer:
                if not answer.is_success:
                    await answer.aread()
                checked(answer)
                with part.open("wb") as file:
                    async for chunk in answer.aiter_bytes(CHUNK_BYTES):
                        await asyncio.to_thread(file.write, chunk)

            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

        return target

    async def _append(self, partial: PartialUpload, part: bytes) -> PartialUpload:
        try:
            await self.send(calls.append_part(partial, part))
        except LikenessError as error:
            # The part had arrived, or a piece of it, and only the answer was lost.
            if error.code != "upload_offset":
                raise

        return await self.send(calls.get_partial(partial.id))
