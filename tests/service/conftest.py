"""One live service for all tests of the HTTP surface; each test works in a tenant of its own."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.settings import Settings
from tests.material import PACKS
from tests.service.live_service import LiveService, until
from tests.store_server import StoreServer
from worker.settings import MediaLimits


@pytest.fixture(scope="session")
def live() -> Iterator[LiveService]:
    """A service with a store of its own.

    Loopback counts as public for it, so that tests can play the other side.
    """
    with tempfile.TemporaryDirectory(prefix="lk-") as directory:
        store = StoreServer(Path(directory))
        store.start()
        settings = Settings(
            data_dir=Path(directory) / "data",
            packs_dir=PACKS,
            redis_url=store.url,
            trusted_networks=("127.0.0.1/32",),  # type: ignore[arg-type]
            max_upload_bytes=8 * 1024 * 1024,
            media_limits=MediaLimits(image_frames=500),
        )

        with LiveService(settings) as service:
            yield service

        store.kill()


@contextmanager
def live_on(store: StoreServer, metrics_port: int = 0) -> Iterator[LiveService]:
    """Yield a service on a store, without packs, that one test alone uses and may break."""
    with tempfile.TemporaryDirectory(prefix="lk-") as directory:
        folder = Path(directory)
        own = Settings(
            data_dir=folder / "data",
            packs_dir=folder,
            redis_url=store.url,
            metrics_port=metrics_port,
        )
        with LiveService(own) as service:
            yield service


@pytest.fixture(scope="session")
def enrolling(live: LiveService) -> LiveService:
    """The live service, once its enrolment child has loaded the pack."""
    with httpx.Client(base_url=live.url) as client:
        until(lambda: client.get("/startupz").status_code == 200, timeout_s=90)
    return live


@pytest.fixture
def tenant() -> str:
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
def client(live: LiveService, tenant: str) -> Iterator[httpx.Client]:
    """A client with a key of this test's own tenant."""
    with live.client(tenant) as client:
        yield client
