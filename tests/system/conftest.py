from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.material import SAMPLES
from tests.system.running_service import RunningService


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One stack for the tests that leave it as they found it."""
    with RunningService(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def ada(service: RunningService) -> str:
    """The id of ada, registered once."""
    answer = service.register(SAMPLES / "ada_neutral.jpg")
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]
