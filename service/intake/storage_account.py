"""What tenants may store: bytes that are stored, and bytes that are arriving."""

from __future__ import annotations

from collections import Counter

from anyio import to_thread

from worker.errors import StorageQuotaExceeded
from worker.stores.media.media_store import MediaStore


class StorageAccount:
    """Counts the bytes of requests in progress against their tenants' quotas.

    What a request has written counts here until it ends: by then it is stored, and counted by the
    media store, or deleted. The count is that of this process; the media store's, which decides
    when an upload is kept, is that of all.
    """

    def __init__(self, media: MediaStore) -> None:
        self._media = media
        self._arriving = Counter[str]()

    async def room(self, tenant: str) -> int:
        """Return how many more bytes the tenant may store; raises StorageQuotaExceeded at none."""
        # Asked for each file: other processes write as well.
        stored, quota = await to_thread.run_sync(self._media.storage.of_tenant, tenant)
        # Without what is arriving, many uploads at once would each see the same free room.
        room = quota - stored - self._arriving[tenant]

        if room <= 0:
            raise StorageQuotaExceeded

        return room

    def add(self, tenant: str, size: int) -> None:
        """Count bytes that were written for a request."""
        self._arriving[tenant] += size

    def release(self, tenant: str, size: int) -> None:
        """Count them no longer: the request has ended."""
        self._arriving[tenant] -= size
        self._arriving += Counter()  # drops tenants of which nothing is arriving
