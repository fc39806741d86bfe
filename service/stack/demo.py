"""`python -m service.stack.demo`: register ada, swap her into ben's portrait and a video over HTTP,
and show the result.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from service.settings import Settings
from service.stack.api_keys import create_first_key
from service.stack.contact_sheet import Comparison, contact_sheet, video_moments
from service.stack.embedded_store import EmbeddedStoreError
from service.stack.stack import Stack, StackStartError, running

SAMPLES = Path(__file__).parents[1] / "samples"
SOURCE, PORTRAIT, VIDEO = (
    SAMPLES / name for name in ("ada_neutral.jpg", "ben_neutral.jpg", "living_720p30.mp4")
)
# The first frame, a blink, glances to both sides, and a word.
MOMENTS = (0.0, 0.168, 0.32, 0.685, 0.752)
# The video takes some ten seconds on two cores; ten minutes are for an emulated machine.
JOB_TIMEOUT_S = 600.0
CONSENT = {
    "subject": "ada, a composite who is no one",
    "basis": "consent",
    "scope": ["image", "video"],
    "granted_at": "2026-01-01T00:00:00Z",
}


class DemoError(Exception):
    """A stage of the demo did not do what it should; the message is the service's own."""


@dataclass
class Stages:
    """Prints each stage's time as it ends, and keeps them for the closing table."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        print(f"{name} ...", flush=True)
        yield
        self.seconds[name] = time.monotonic() - began

    def __str__(self) -> str:
        lines = [f"  {name:<32}{seconds:7.2f} s" for name, seconds in self.seconds.items()]
        return "\n".join([*lines, f"  {'together':<32}{sum(self.seconds.values()):7.2f} s"])


async def demo(folder: Path, settings: Settings) -> None:
    """Run the whole path with throw-away state below `folder` and leave the results there.

    Raises DemoError, EmbeddedStoreError or StackStartError.
    """
    # Results of an earlier run must not pass for those of this one.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    portrait = folder / "ben_as_ada.jpg"
    video = folder / "living_as_ada.mp4"
    stages = Stages()

    async with AsyncExitStack() as stack_until_stopped:
        with stages.stage("start the stack"):
            stack = await stack_until_stopped.enter_async_context(
                running(_throw_away(settings, folder / "state"))
            )

        async with _client(stack) as client:
            with stages.stage("register ada"):
                identity_id = await _register(client)

            with stages.stage("swap ben's portrait"):
                jobs = [await _swap(client, "image", PORTRAIT, identity_id, portrait)]

            with stages.stage("swap the video"):
                jobs += [await _swap(client, "video", VIDEO, identity_id, video)]

        with stages.stage("stop the stack"):
            await stack_until_stopped.aclose()

    with stages.stage("draw the contact sheet"):
        _sheet(portrait, video).save(folder / "contact_sheet.png")

    # It holds a key and a face's code; the results are what stays.
    shutil.rmtree(folder / "state")
    print(f"\n{stages}\n\n{_passes(jobs)}\n\nresults in {folder}:")
    print("\n".join(f"  {path.name}" for path in sorted(folder.iterdir())))


def _throw_away(settings: Settings, state: Path) -> Settings:
    return settings.model_copy(
        update={
            "data_dir": state,
            "packs_dir": settings.packs_root,
            "host": "127.0.0.1",
            # Any free port: the demo may run beside a stack.
            "port": 0,
            "redis_url": "",
        }
    )


def _client(stack: Stack) -> httpx.AsyncClient:
    key = create_first_key(stack.store_url)
    headers = {"Authorization": f"Bearer {key}"}
    # A proxy of the environment must not carry what stays on this machine.
    return httpx.AsyncClient(base_url=stack.url, headers=headers, timeout=90.0, trust_env=False)


async def _register(client: httpx.AsyncClient) -> str:
    photo = {"image": (SOURCE.name, SOURCE.read_bytes(), "image/jpeg")}
    answer = _checked(
        await client.post("/v1/identities", files=photo, data={"consent": json.dumps(CONSENT)})
    )
    return str(answer.json()["id"])


async def _swap(
    client: httpx.AsyncClient, kind: str, target: Path, identity_id: str, result: Path
) -> dict[str, Any]:
    """Upload the target, submit the swap, follow it to its end and write its result.

    Returns the finished job.
    """
    media_type = {"image": "image/jpeg", "video": "video/mp4"}[kind]
    upload = _checked(
        await client.post(
            "/v1/uploads", content=target.read_bytes(), headers={"Content-Type": media_type}
        )
    )

    body = {"input": {"upload_id": upload.json()["id"]}, "identity_id": identity_id}
    job = await _finished(
        client, _checked(await client.post(f"/v1/swaps/{kind}", json=body)).json()["id"]
    )
    result.write_bytes(_checked(await client.get(f"/v1/jobs/{job['id']}/result")).content)

    return job


async def _finished(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + JOB_TIMEOUT_S
    while time.monotonic() < deadline:
        job: dict[str, Any] = _checked(await client.get(f"/v1/jobs/{job_id}")).json()
        _show_progress(job)

        if job["status"] == "succeeded":
            return job
        if job["status"] in ("failed", "canceled", "expired"):
            raise DemoError(f"the job is {job['status']}: {(job['error'] or {}).get('detail')}")

        await asyncio.sleep(0.2)

    raise DemoError(f"the job was not done after {JOB_TIMEOUT_S:.0f} s")


def _show_progress(job: dict[str, Any]) -> None:
    progress = job["progress"]
    if not progress["total"]:
        return

    filled = 30 * progress["done"] // progress["total"]
    fps = f"{progress['fps']:.1f} fps" if progress["fps"] else ""
    line = (
        f"  [{'#' * filled:<30}] {progress['done']}/{progress['total']} {progress['unit']}s {fps}"
    )
    final = job["status"] == "succeeded"

    if sys.stdout.isatty() or final:  # a log file gets the last line only
        print(f"\r{line:<78}", end="\n" if final else "", flush=True)


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    raise DemoError(
        f"{answer.request.method} {answer.request.url.path} answered {answer.status_code}:"
        f" {answer.text}"
    )


def _passes(jobs: list[dict[str, Any]]) -> str:
    counters = [job["report"]["counters"] for job in jobs]
    total = {
        name: sum(each[name] for each in counters)
        for name in ("encoder_passes", "iim_passes", "swap_passes")
    }
    return (
        f"in these {len(jobs)} warm jobs the identity encoder ran {total['encoder_passes']} times,"
        f" the weight generator (IIM) {total['iim_passes']} times, the swap network"
        f" {total['swap_passes']} times"
    )


def _sheet(portrait: Path, video: Path) -> Image.Image:
    source = Image.open(SOURCE)
    before = video_moments(VIDEO, MOMENTS)
    after = video_moments(video, MOMENTS)
    rows = [Comparison("portrait", Image.open(PORTRAIT), source, Image.open(portrait))]
    rows += [
        Comparison(f"video, {m:.0%}", b, source, a)
        for m, b, a in zip(MOMENTS, before, after, strict=True)
    ]

    return contact_sheet(rows)


def main() -> int:
    """Run the demo into `<data_dir>/demo`; the exit status is 0 when every stage did its work."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    os.umask(0o077)
    settings = Settings()

    try:
        asyncio.run(demo(settings.data_dir / "demo", settings))
    except (DemoError, EmbeddedStoreError, StackStartError) as error:
        print(
            f"\nthe demo failed: {error} (logs: {settings.data_dir / 'demo' / 'state' / 'logs'})",
            file=sys.stderr,
        )
        return 1

    return 0


if __name__ == "__main__":
    sys.exit(main())
