"""The image is built from the Dockerfile and run as docker-compose.yml says, then used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.image.building import build_image, missing_tools
from tests.image.composition import SERVICES, Composition, composition

OURS = SERVICES[1:]

pytestmark = [
    pytest.mark.image,
    pytest.mark.timeout(2400),  # a build from nothing fetches a Debian and all wheels
    pytest.mark.skipif(
        bool(missing_tools()), reason=f"not installed: {', '.join(missing_tools())}"
    ),
]


@pytest.fixture(scope="module")
def running() -> Iterator[Composition]:
    with composition(build_image()) as here:
        here.await_ready()
        yield here


@pytest.mark.parametrize("service", OURS)
def test_process_has_no_privilege(running: Composition, service: str) -> None:
    status = running.execute(service, "cat", "/proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["10001"] * 4
    assert {int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"


@pytest.mark.parametrize("service", OURS)
def test_root_is_read_only(running: Composition, service: str) -> None:
    with pytest.raises(RuntimeError, match="Read-only file system"):
        running.execute(service, "touch", "/opt/likeness/written")


def test_registration_and_swaps_of_an_image_and_a_video(running: Composition) -> None:
    assert set(running.tour()["results"]) == {"image", "video"}


def test_nothing_in_the_logs_went_wrong(running: Composition) -> None:
    for service in OURS:
        assert "Traceback" not in running.logs(service)
