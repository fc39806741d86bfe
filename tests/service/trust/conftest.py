"""Somebody without a key who verifies files, and somebody who publishes them."""

from __future__ import annotations

import httpx
import pytest

from tests.service.live_service import LiveService
from tests.service.trust.publisher import Publisher


@pytest.fixture(scope="module")
def publisher(live: LiveService, tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    return Publisher(live.settings.data_dir, tmp_path_factory.mktemp("made"))


@pytest.fixture
def visitor(live: LiveService) -> httpx.Client:
    """A client without a key, whose earlier requests do not count."""
    live.app.state.service.visitors.forget()
    return httpx.Client(base_url=live.url, timeout=60.0, trust_env=False)
