"""The photos of one registration: opened for the encoder, and removed afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import BinaryIO

from anyio import CancelScope, to_thread

from service.identities.erasing import ClaimedPhotos, PhotoRemover
from service.identities.registration_request import RegistrationRequest
from service.intake.incoming import Incoming
from service.intake.url_inputs import UrlInputs
from service.protocol.catalogue import CODES
from service.protocol.problems import ServiceError
from worker.stores.media.media_store import MediaStore


class Photos:
    """Open photo files and the SHA-256 of each."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.files: list[BinaryIO] = []
        self.digests: list[str] = []

    def add(self, file: BinaryIO, sha256: str, media_type: str) -> None:
        """Add an open photo; raises unsupported_media_type for a video."""
        # Before it is checked, so that a refused file is closed too.
        self._stack.enter_context(file)
        if not media_type.startswith("image/"):
            raise ServiceError(
                "unsupported_media_type", "A face is registered from images, not from videos"
            )

        self.files.append(file)
        self.digests.append(sha256)


class PhotoOpener:
    """Opens the photos of registrations, whichever way they came."""

    def __init__(
        self,
        media: MediaStore,
        urls: UrlInputs,
        remover: PhotoRemover,
        max_photo_bytes: int,
    ) -> None:
        self._media = media
        self._urls = urls
        self._remover = remover
        self._max_photo_bytes = max_photo_bytes

    @asynccontextmanager
    async def opened(
        self, tenant: str, request: RegistrationRequest, incoming: Incoming
    ) -> AsyncIterator[Photos]:
        """Yield the open photos; at the end of the block they are deleted.

        So are other uploads of the tenant with the same bytes, and the jobs whose results were
        made from them. Only a failure that asks for a retry, such as a busy encoder, leaves them.
        An upload that a job in flight needs is deleted when the job ends; if the request names
        it, UploadInUse is raised instead.
        """
        # One after the other: each counts against the tenant's storage before the next begins.
        for url in request.urls:
            await self._urls.receive(url, incoming, self._max_photo_bytes)

        with ExitStack() as stack:
            photos = Photos(stack)
            await to_thread.run_sync(self._open, tenant, request, incoming, photos)
            # Claimed before the encoder sees them, so that no job begins with a photo that is about
            # to go.
            claimed = await to_thread.run_sync(
                self._remover.claim, tenant, photos.digests, request.upload_ids
            )

            try:
                yield photos
            except BaseException as error:
                undo = self._remover.release if _asks_for_retry(error) else self._remover.remove
                await self._finish(undo, claimed)
                raise

            await self._finish(self._remover.remove, claimed)

    def _open(
        self, tenant: str, request: RegistrationRequest, incoming: Incoming, photos: Photos
    ) -> None:
        for upload_id in request.upload_ids:
            record = self._media.stat(upload_id, tenant)
            photos.add(self._media.open(record.id, tenant), record.sha256, record.facts.media_type)
        for file in incoming.files:
            photos.add(file.open(), file.sha256, file.facts.media_type)

    async def _finish(
        self, action: Callable[[ClaimedPhotos], None], claimed: ClaimedPhotos
    ) -> None:
        with CancelScope(shield=True):  # also when the request is being cancelled
            await to_thread.run_sync(action, claimed)


def _asks_for_retry(error: BaseException) -> bool:
    """Return whether a client is to send the same request again: any 5xx, and a cancellation."""
    # Unexpected errors become a 500, which asks for a retry as well.
    return not isinstance(error, ServiceError) or CODES[error.code][0] >= 500
