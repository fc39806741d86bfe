"""What the synchronous client does in several requests: large files, many files, results."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from likeness_client import calls
from likeness_client.connection import CHUNK_BYTES, Connection, checked
from likeness_client.errors import LikenessError
from likeness_client.models import Batch, BatchItem, PartialUpload, Upload

PathLike = str | os.PathLike[str]

# Above it a lost connection costs more than the requests that parts take.
WHOLE_BYTES: Final = 32 << 20
PART_BYTES: Final = 8 << 20
POLL_S: Final = 1.0  # a batch takes many times as long


class Sending(Connection):
    """Uploads, batches and downloads."""

    def upload(self, file: PathLike) -> Upload:
        """Store an image or video, to be named by jobs for a day; raises LikenessError.

        A large file is sent in parts, so that a lost connection costs one of them.
        """
        path = Path(file)
        size = path.stat().st_size
        if size <= WHOLE_BYTES:
            return self.send(calls.create_upload(path))

        partial = self.send(calls.begin_upload(size))
        with path.open("rb") as stream:
            while partial.received < size:
                stream.seek(partial.received)
                partial = self._append(partial, stream.read(PART_BYTES))

        return self.send(calls.get_upload(partial.id))

    def swap_all(
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
        uploads = {self.upload(path).id: path for path in paths}
        body = batch_body(list(uploads), identity_id, faces, options)
        batch = self.send(calls.create_batch(body))

        while batch.status != "finished":
            time.sleep(POLL_S)
            batch = self.send(calls.get_batch(batch.id))
            if on_progress is not None:
                on_progress(batch)

        out = Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        for item in batch.items:
            if item.status == "succeeded":
                name = uploads[item.upload_id or ""].name
                self.fetch(f"/v1/jobs/{item.job_id}/result", out / name)

        return {uploads[item.upload_id or ""]: item for item in batch.items}

    def fetch(self, path: str, out: PathLike) -> Path:
        """Write what the service has at `path` to `out`, which appears whole or not at all."""
        target = Path(out)
        part = target.with_name(f".{target.name}.part")
        try:
            with self.http.stream("GET", path) as answer:
                if not answer.is_success:
                    answer.read()
                checked(answer)
                with part.open("wb") as file:
                    for chunk in answer.iter_bytes(CHUNK_BYTES):
                        file.write(chunk)

            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

        return target

    def _append(self, partial: PartialUpload, part: bytes) -> PartialUpload:
        try:
            self.send(calls.append_part(partial, part))
        except LikenessError as error:
            # The part had arrived, or a piece of it, and only the answer was lost.
            if error.code != "upload_offset":
                raise

        return self.send(calls.get_partial(partial.id))


def checked_names(targets: Sequence[PathLike]) -> Sequence[Path]:
    """Return the targets as paths; raises ValueError where two have one name."""
    paths = [Path(target) for target in targets]
    if len({path.name for path in paths}) < len(paths):
        raise ValueError("two targets have one name, and results are named as their targets")
    return paths


def batch_body(
    upload_ids: Sequence[str],
    identity_id: str,
    faces: Any,  # noqa: ANN401 - a selector of the API
    options: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the body of a batch of one identity."""
    return {
        "upload_ids": list(upload_ids),
        "identity_ids": [identity_id],
        "options": {"faces": faces, **(options or {})},
    }
