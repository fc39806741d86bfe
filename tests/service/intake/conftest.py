"""Sending a file, and whether anything of it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.service.live_service import LiveService

MIB = 1024 * 1024


def send(client: httpx.Client, content: bytes | Iterator[bytes], media_type: str) -> httpx.Response:
    return client.post("/v1/uploads", content=content, headers={"Content-Type": media_type})


def media_files(live: LiveService) -> set[Path]:
    return {path for path in live.settings.media_dir.rglob("*") if path.is_file()}


@pytest.fixture
def kept_nothing(live: LiveService) -> Iterator[None]:
    before = media_files(live)
    yield
    assert media_files(live) == before
