"""Where tests of the stores keep what is sealed of identities."""

from __future__ import annotations

from pathlib import Path

from redis import Redis

from worker.stores.blobs.directory_blobs import DirectoryBlobs
from worker.stores.identities.identity_vault import IdentityVault


def vault_of(redis: Redis) -> IdentityVault:
    """Return a vault beside the socket of a test's store, which goes with it."""
    socket = Path(redis.connection_pool.connection_kwargs["path"])
    return IdentityVault(DirectoryBlobs(socket.parent / "media"))
