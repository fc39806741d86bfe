"""The children that open other people's files: what they cannot reach, and that killing one costs
one request.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import random
import struct
from pathlib import Path

import httpx
import pytest

from benchmarks.promises.deeds import DEEDS, DONE, Targets
from benchmarks.promises.targets import targets_on, unconfined
from service.sandbox.child import ChildLateError, ChildLostError, ChildStartError, SandboxedChild
from tests.material import CONSENT, PACKS, SAMPLES
from tests.service import files
from tests.service.live_service import LiveService
from tests.service.protocol.mutants import images, mutate, video
from tests.store_server import StoreServer
from worker.settings import MediaLimits

DEED_CHILD = "benchmarks.promises.deed_child"
ARGUMENTS = {
    "probe": [str(1 << 30), MediaLimits().model_dump_json(), "probe"],
    "verify": [str(1 << 30), "verify"],
    "enrolment": ["open", str(PACKS), "cpu", str(6 << 30), MediaLimits().model_dump_json()],
}
PROBER = "tests.service.sandbox.prying_child"
IN_OPEN = 0x20


def ask(request: dict[str, str], timeout_s: float = 10.0) -> dict[str, object]:
    """Return what the prying child answers; it does what it is told, confined as the real ones."""

    async def run() -> dict[str, object]:
        child = SandboxedChild(PROBER, [], 20, lambda: None)
        try:
            return dict((await child.ask(request, [], timeout_s)).header)
        finally:
            await child.stop()

    return asyncio.run(run())


def test_a_child_reads_its_own_code_and_nothing_else(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("another tenant's face")
    assert ask({"read": str(Path(__file__).parents[3] / "service" / "app.py")}) == {"read": True}
    for path in (secret, Path("/etc/passwd"), Path(f"/proc/{os.getppid()}/environ")):
        assert "PermissionError" in str(ask({"read": str(path)})), path


@pytest.mark.parametrize(
    "line",
    [
        "[1]",
        "{}",
        '{"blobs": 3}',
        '{"blobs": ["3"]}',
        '{"blobs": [-1]}',
        '{"blobs": [999999999999]}',
        "nonsense",
    ],
)
def test_what_a_child_that_was_taken_over_says_is_not_believed(line: str) -> None:
    with pytest.raises(ChildLostError):
        ask({"say": line})


def test_a_child_writes_nothing_connects_nowhere_and_has_no_environment(tmp_path: Path) -> None:
    assert "Error" in str(ask({"write": str(tmp_path / "x")}))
    assert "PermissionError" in str(ask({"connect": "127.0.0.1:80"}))
    assert not list(tmp_path.iterdir())
    names = ask({"environment": ""})["environment"]
    assert not any("LIKENESS" in name or "KEY" in name for name in names)  # type: ignore[attr-defined]


@pytest.mark.parametrize("child", ["probe", "verify", "enrolment"])
def test_a_child_that_was_taken_over_can_do_none_of_twelve_deeds(
    child: str, store_server: StoreServer
) -> None:
    arguments = ARGUMENTS[child]

    async def outcomes(targets: Targets) -> dict[str, object]:
        taken_over = SandboxedChild(DEED_CHILD, arguments, 60, lambda: None)
        try:
            return {
                name: (await taken_over.ask(_order(name, targets), [], 10)).header["outcome"]
                for name in DEEDS
            }
        finally:
            await taken_over.stop()

    with targets_on(store_server, PACKS / "open") as targets:
        assert [name for name in DEEDS if unconfined(name, targets) != DONE] == []
        refused = asyncio.run(outcomes(targets))

    assert {name: said for name, said in refused.items() if "Error" not in str(said)} == {}


def _order(name: str, targets: Targets) -> dict[str, object]:
    return {"deed": name, "targets": targets.model_dump()}


def test_a_child_that_eats_memory_or_time_is_lost_alone() -> None:
    assert ask({"allocate": str(2 << 30)}) == {
        "code": "media_too_large",
        "detail": "The file needs too much memory",
    }
    with pytest.raises(ChildLateError):
        ask({"sleep": "30"}, timeout_s=0.5)

    with pytest.raises(ChildLostError):
        ask(
            {"spin": "300"}, timeout_s=120
        )  # its two seconds of CPU may take long on a busy machine

    with pytest.raises(ChildLostError):
        ask({"crash": ""})


def test_after_a_loss_the_next_request_finds_a_fresh_child() -> None:
    restarts = 0

    def count() -> None:
        nonlocal restarts
        restarts += 1

    async def run() -> None:
        child = SandboxedChild(PROBER, [], 20, count)
        try:
            with pytest.raises(ChildLostError):
                await child.ask({"crash": ""}, [], 5)
            assert (await child.ask({"environment": ""}, [], 5)).header
        finally:
            await child.stop()

    asyncio.run(run())
    assert restarts == 1


def test_a_child_that_cannot_start_says_so() -> None:
    async def run() -> None:
        child = SandboxedChild("tests.service.no_such_child", [], 10, lambda: None)
        with pytest.raises(ChildStartError):
            await child.ask({}, [], 5)

    asyncio.run(run())


class Watch:
    """Tells whether anybody opened a file since it began (inotify)."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._events = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self._events, os.fsencode(path), IN_OPEN) >= 0

    def opened(self) -> bool:
        try:
            return struct.calcsize("iIII") <= len(os.read(self._events, 4096))
        except BlockingIOError:
            return False


@pytest.fixture
def canary(tmp_path: Path) -> tuple[Path, Watch]:
    path = tmp_path / "canary.mp4"
    path.write_bytes((SAMPLES / "solo_720p30.mp4").read_bytes())
    return path, Watch(path)


@pytest.mark.parametrize(
    "make", [files.playlist, files.concat_list, files.dash, files.svg, files.mvg]
)
@pytest.mark.parametrize(
    "prefix", [b"", b"\0\0\0\x18ftypisom\0\0\2\0isomavc1", b"\x1a\x45\xdf\xa3webm", b"GIF89a"]
)
def test_a_file_that_names_another_opens_no_canary(
    enrolling: LiveService,
    client: httpx.Client,
    canary: tuple[Path, Watch],
    make: object,
    prefix: bytes,
) -> None:
    path, watch = canary
    content = prefix + make(str(path))  # type: ignore[operator]

    for media_type in ("video/mp4", "video/webm", "image/gif"):
        answer = client.post("/v1/uploads", content=content, headers={"Content-Type": media_type})
        assert answer.status_code in (413, 415, 422), answer.text

    body = {
        "files": {"image": ("x.mp4", content, "image/gif")},
        "data": {"consent": str(CONSENT).replace("'", '"')},
    }
    assert client.post("/v1/identities", **body).status_code in (413, 415, 422)  # type: ignore[arg-type]
    assert not watch.opened()
    path.read_bytes()
    assert watch.opened()  # the watch does see an open


def test_mutated_images_and_videos_are_answered_with_a_code(
    enrolling: LiveService, client: httpx.Client
) -> None:
    dice = random.Random(6)
    seeds = images()
    seed_video = video()

    for number in range(150):
        if number % 5 == 0:
            media_type = "video/mp4"
            content = mutate(seed_video, dice)
        else:
            media_type = dice.choice(sorted(seeds))
            content = mutate(seeds[media_type], dice)

        answer = client.post("/v1/uploads", content=content, headers={"Content-Type": media_type})
        assert answer.status_code in (201, 413, 415, 422), answer.text

        if answer.status_code == 201 and media_type != "video/mp4":
            said = {"upload_ids": [answer.json()["id"]], "consent": CONSENT}
            answer = client.post("/v1/identities", json=said)
            assert answer.status_code in (413, 415, 422), answer.text

        assert answer.status_code == 201 or answer.json()["code"]

    assert client.get("/readyz").status_code == 200
