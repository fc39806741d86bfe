"""Opens the media store at the place that an installation's settings name."""

from __future__ import annotations

from pathlib import Path

from redis import Redis

from worker.stores.blobs.blobs import Blobs
from worker.stores.blobs.directory_blobs import DirectoryBlobs
from worker.stores.media.media_store import MediaStore


def open_blobs(url: str, directory: Path, cache_bytes: int) -> Blobs:
    """Return what keeps bytes in the bucket at `url`, or in `directory` where that is empty.

    With a bucket, `directory` is scratch: each machine may have its own, and lose it.
    """
    if not url:
        return DirectoryBlobs(directory)

    from worker.stores.blobs.object_blobs import ObjectBlobs  # 30 MB that only buckets need

    return ObjectBlobs(url, directory, cache_bytes)


def open_media(
    url: str, directory: Path, redis: Redis, cache_bytes: int, tenant_stored_bytes: int
) -> MediaStore:
    """Return the media store of the bytes at this place (`open_blobs`)."""
    blobs = open_blobs(url, directory, cache_bytes)
    return MediaStore(blobs, directory, redis, tenant_stored_bytes=tenant_stored_bytes)
