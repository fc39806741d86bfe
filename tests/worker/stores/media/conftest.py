"""The media store in both places, and what a test puts into it."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from tests.clock import Clock
from tests.vaults import vault_of
from worker.process.upkeep.expiry import ExpirySweep
from worker.stores.blobs.blobs import Blobs
from worker.stores.blobs.directory_blobs import DirectoryBlobs
from worker.stores.blobs.object_blobs import ObjectBlobs
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.media.media_store import MediaStore
from worker.stores.media.uploads import MediaFacts

PNG = MediaFacts("image/png", ".png", 4, 3, 1)


@pytest.fixture(params=["directory", "objects"])
def media(request: pytest.FixtureRequest, tmp_path: Path, store: Redis, clock: Clock) -> MediaStore:
    """The media store in both places."""
    blobs: Blobs = DirectoryBlobs(tmp_path / "media", clock)
    if request.param == "objects":
        blobs = ObjectBlobs(request.getfixturevalue("bucket"), tmp_path / "media", 1 << 20)
    return MediaStore(blobs, tmp_path / "media", store, clock)


@pytest.fixture
def shelf(tmp_path: Path, store: Redis, clock: Clock) -> MediaStore:
    """The media store in a directory, for what only files have."""
    return MediaStore(DirectoryBlobs(tmp_path / "media", clock), tmp_path / "media", store, clock)


@pytest.fixture
def sweep(media: MediaStore, store: Redis, clock: Clock) -> ExpirySweep:
    return ExpirySweep(media, IdentityStore(store, vault_of(store), clock=clock), clock)


def upload(media: MediaStore, tenant: str = "acme", ttl_s: float = 60.0) -> str:
    writer = media.begin_write(tenant)
    writer.write(b"image")
    return writer.commit(PNG, ttl_s).id


def made(directory: Path, content: bytes) -> Path:
    """Make a file, as a job does."""
    file = directory / "made"
    file.write_bytes(content)
    return file
