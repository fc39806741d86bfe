"""The Python client and the command that uses it, against a whole running stack."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import mcp
import pytest
from PIL import Image

from likeness.cli import run
from likeness.mcp_server import server
from likeness_client import (
    AsyncClient,
    Batch,
    Client,
    ConnectionFailed,
    Consent,
    JobFailed,
    LikenessError,
    Progress,
)
from likeness_client.retries import Retries
from tests.material import SAMPLES
from tests.system.running_service import RunningService

ADA = SAMPLES / "ada_neutral.jpg"
BEN = SAMPLES / "ben_neutral.jpg"
VIDEO = SAMPLES / "solo_720p30.mp4"
CONSENT = Consent("ada@example.org")


@pytest.fixture
def client(service: RunningService) -> Iterator[Client]:
    with Client(service.url, service.key) as made:
        yield made


def test_swap_of_photos_in_one_call(client: Client, tmp_path: Path) -> None:
    before = {identity.id for identity in client.identities()}
    job = client.swap(ADA, BEN, tmp_path / "out.jpg", consent=CONSENT)

    assert job.outcome == "succeeded"
    assert job.result is not None
    assert (tmp_path / "out.jpg").stat().st_size == job.result.bytes
    assert client.verify(tmp_path / "out.jpg")["verdict"] == "made_here"
    after = {identity.id for identity in client.identities()}
    assert after == before, "the identity of a photo outlives its swap"


def test_video_is_followed_by_events(client: Client, tmp_path: Path) -> None:
    identity = client.register(ADA, consent=CONSENT, name="ada")
    seen: list[Progress] = []
    job = client.swap(identity.id, VIDEO, tmp_path / "out.mp4", on_progress=seen.append)

    assert job.status == "succeeded"
    assert seen
    assert seen[-1].total >= seen[-1].done > 0
    assert job.id in [each.id for each in client.jobs(kind="swap_video")]
    assert client.erase(identity.id)["identity_id"] == identity.id


def test_async_client_does_the_same(service: RunningService, tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncClient(service.url, service.key) as client:
            job = await client.swap(ADA, BEN, tmp_path / "out.jpg", consent=CONSENT)
            assert job.id in [each.id async for each in client.jobs()]
            people = (await client.analyse(BEN))["people"]
            assert [person["person_id"] for person in people] == ["p1"]

    asyncio.run(main())
    assert (tmp_path / "out.jpg").stat().st_size > 10_000


def test_many_files_are_swapped_by_one_batch(client: Client, tmp_path: Path) -> None:
    identity = client.register(ADA, consent=CONSENT)
    blank = tmp_path / "nobody.png"
    Image.new("RGB", (400, 300), "white").save(blank)
    out = tmp_path / "out"
    seen: list[Batch] = []
    done = client.swap_all(identity.id, [BEN, VIDEO, blank], out, on_progress=seen.append)

    assert [done[path].status for path in (BEN, VIDEO, blank)] == ["succeeded"] * 2 + ["failed"]
    assert done[blank].error == "no_face"
    assert sorted(file.name for file in out.iterdir()) == [BEN.name, VIDEO.name]
    assert seen[-1].counts["succeeded"] == 2
    client.erase(identity.id)


def test_refusals_have_the_service_s_code(client: Client, tmp_path: Path) -> None:
    with pytest.raises(LikenessError, match="consent") as refused:
        client.register(ADA)
    assert refused.value.code == "consent_missing"
    assert refused.value.request_id

    identity = client.register(ADA, consent=CONSENT)
    with pytest.raises(JobFailed) as failed:
        client.swap(identity.id, BEN, tmp_path / "o.jpg", faces={"person_id": "p9"})
    assert failed.value.code == "face_not_found"
    assert not (tmp_path / "o.jpg").exists()
    client.erase(identity.id)


def test_service_that_is_not_there_is_named() -> None:
    client = Client("http://127.0.0.1:9", "lk_a_b", retries=Retries(tries=2, first_pause_s=0.01))
    with client, pytest.raises(ConnectionFailed, match=r"http://127\.0\.0\.1:9"):
        client.upload(ADA)


def test_command_registers_and_shows_jobs(
    service: RunningService, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    there = ["--url", service.url, "--key", str(service.key)]

    assert run(["register", str(ADA), "--consent", "ada@example.org", *there]) == 0
    identity_id = capsys.readouterr().out.strip()
    assert identity_id.startswith("idn_")

    with Client(service.url, service.key) as client:
        job = client.submit(BEN, identity_id)

    assert run(["jobs", "wait", job.id, *there]) == 0
    assert run(["jobs", "list", *there]) == 0
    assert job.id in capsys.readouterr().out
    assert run(["jobs", "show", job.id, *there]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "succeeded"
    assert run(["jobs", "result", job.id, str(tmp_path / "o.jpg"), *there]) == 0
    assert run(["jobs", "list", "--url", service.url, "--key", "lk_no_no"]) == 1
    assert "likeness keys create" in capsys.readouterr().err


def test_model_registers_swaps_and_saves_by_mcp(service: RunningService, tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            AsyncClient(service.url, service.key) as client,
            mcp.Client(server(client)) as model,
        ):
            tools = {tool.name for tool in (await model.list_tools()).tools}
            assert tools == {"register", "swap", "status", "result", "people"}

            refused = await model.call_tool("register", {"photos": [str(ADA)]})
            assert refused.is_error, "nobody is registered without a consent"

            given = {"photos": [str(ADA)], "consent_subject": "ada@example.org"}
            identity = await called(model, "register", given)
            job = await called(model, "swap", {"identity_id": identity["id"], "target": str(BEN)})
            await client.wait(job["id"])
            ended = await called(model, "status", {"job_id": job["id"]})
            assert ended["status"] == "succeeded"

            out = str(tmp_path / "out.jpg")
            await called(model, "result", {"job_id": job["id"], "out": out})
            again = await model.call_tool("result", {"job_id": job["id"], "out": out})
            assert again.is_error, "a file is not replaced"
            await client.erase(identity["id"])

    asyncio.run(main())
    assert (tmp_path / "out.jpg").stat().st_size > 10_000


async def called(model: mcp.Client, tool: str, arguments: dict[str, object]) -> dict[str, object]:
    """Return what a tool answers; it must not fail."""
    answer = await model.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    return json.loads(answer.content[0].text) if answer.content[0].text.startswith("{") else {}
