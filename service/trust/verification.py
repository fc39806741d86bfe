"""Asks the verification child about a file, and judges what it saw. Nothing of the file is kept."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from anyio import to_thread

from service.protocol.problems import ServiceError
from service.sandbox.child import ChildError, SandboxedChild
from service.schemas.trust import Verification
from service.trust.verdict import NOTHING_SEEN, judge, seen_by_child
from worker.provenance.provenance_store import ProvenanceStore
from worker.sandbox.confinement import Protection

log = logging.getLogger(__name__)

# As long as the child's processor time: a file that takes longer is answered as unreadable.
ASK_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class TrustAnchors:
    """What recognises this installation's outputs: mark keys, authorities and certificates.

    Keys are read for each request: a key that was rotated in a minute ago marks results already.
    """

    mark_keys: Callable[[], Sequence[bytes]]
    roots: Sequence[str]
    signers: Sequence[str]
    public_sync: bool = False


class Verifier:
    """Verifies files in a confined child; a file that kills the child counts as unreadable."""

    def __init__(
        self,
        child: SandboxedChild,
        records: ProvenanceStore,
        anchors: TrustAnchors,
        public_url: str,
    ) -> None:
        self._child = child
        self._records = records
        self._anchors = anchors
        self._public_url = public_url

    async def verify(self, chunks: AsyncIterator[bytes]) -> Verification:
        """Return what can be said about the bytes; raises the problems of reading a body."""
        # Unlinked from the start: whatever happens here, nothing is left on the disk.
        with tempfile.TemporaryFile() as file:
            async for chunk in chunks:
                await to_thread.run_sync(file.write, chunk)

            # A child could not tell an empty file from an unreadable one.
            if not file.tell():
                raise ServiceError("invalid_request", "The body is empty")

            file.flush()
            return await self._ask(file)

    def look_up(self, sha256: str) -> Verification:
        """Return what is known about a file with this hash, without seeing it."""
        return judge(NOTHING_SEEN, sha256, self._records, self._public_url)

    def manifest(self, mark_id: str) -> bytes:
        """Return the manifest of an output; raises not_found."""
        found = self._records.manifest(mark_id)
        if found is None:
            raise ServiceError("not_found")
        return found

    @property
    def protection(self) -> Protection | None:
        """What the kernel enforces on the child; None until its first use."""
        return self._child.protection

    async def start(self) -> None:
        """Start the child; raises ChildStartError."""
        await self._child.start()

    async def stop(self) -> None:
        """End the child."""
        await self._child.stop()

    async def _ask(self, file: BinaryIO) -> Verification:
        request = {
            "keys": [key.hex() for key in self._anchors.mark_keys()],
            "anchors": list(self._anchors.roots),
            "signers": list(self._anchors.signers),
            "public_sync": self._anchors.public_sync,
        }

        try:
            # Keys go with every request, because the child has no files of ours to read them from.
            header = (await self._child.ask(request, [file], ASK_TIMEOUT_S)).header
            seen = seen_by_child(dict(header))
            sha256 = str(header["sha256"])
        # Whatever a file does to the child, the answer is the same: it cannot be examined.
        except (ChildError, KeyError, ValueError, TypeError) as error:
            log.warning("verification child failed", extra={"error": type(error).__name__})
            raise ServiceError("undecodable", "The file cannot be examined") from error

        return await to_thread.run_sync(judge, seen, sha256, self._records, self._public_url)
