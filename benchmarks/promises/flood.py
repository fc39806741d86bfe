"""What one hostile tenant does to a service, as a program of its own, until it is killed:
`python -m benchmarks.promises.flood URL KEY TAR_PIT_URL IDENTITY HOSTILE_VIDEO`.
"""

from __future__ import annotations

import asyncio
import io
import json
import resource
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import httpx
import numpy as np
from av.video.frame import VideoFrame
from PIL import Image

from benchmarks.promises.registrations import consent
from tests.material import SAMPLES
from worker.sandbox.limits import give_way

# A share of the 8,192 that the API admits: enough to be felt, few enough to be admitted.
IDLE_CONNECTIONS = 5000
NICENESS = 10  # clients have machines of their own; here they share two cores with the service
PAUSE_S = 0.25  # of a refused client: it shares two cores with the service here
PHOTO = (SAMPLES / "ada_neutral.jpg").read_bytes()
TARGET = (SAMPLES / "ben_neutral.jpg").read_bytes()
HOUR_S = 3600
FPS = 10
SIDE = 320  # of the hostile video, which has a face in every frame

Request = Callable[[httpx.Client], httpx.Response]


def main(url: str, key: str, pit_url: str, identity_id: str, video: str) -> None:
    """Do everything at once, for ever, and give way to the service and to who measures."""
    give_way(NICENESS)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Five thousand sockets are more than a shell grants by default.
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    headers = {"Authorization": f"Bearer {key}"}
    limits = httpx.Limits(max_connections=200)

    with httpx.Client(base_url=url, headers=headers, timeout=60, limits=limits) as client:
        fields = {"identity_id": identity_id}
        with open(video, "rb") as file:
            # First of all, so that the only video worker has it before anybody else's video comes.
            client.post("/v1/swaps/video", files={"video": file}, data=fields).raise_for_status()

        bomb = scan_bomb()
        hasty = {"files": {"image": TARGET}, "data": fields}
        asked = {"consent": json.dumps(consent("ada"))}
        body = {"input": {"url": pit_url}}
        # More at once than a tenant's quota lets in.
        requests: list[Request] = [
            *[lambda to: to.post("/v1/identities", files={"image": PHOTO}, data=asked)] * 32,
            *[lambda to: to.post("/v1/analyses", json=body)] * 64,
            *[lambda to: to.post("/v1/swaps/image", **hasty)] * 16,
            *[lambda to: to.post("/v1/uploads", content=bomb)] * 4,
        ]

        for request in requests:
            threading.Thread(target=_repeat, args=(request, client), daemon=True).start()

        asyncio.run(_hold_connections(httpx.URL(url)))


def hostile_video(path: Path) -> Path:
    """Write an hour of a face that does not move, with one key frame: a few megabytes."""
    with Image.open(SAMPLES / "ben_neutral.jpg") as portrait:
        image = np.asarray(portrait.convert("RGB").resize((SIDE, SIDE)))

    with av.open(str(path), "w") as container:
        # One key frame: no segment can begin anywhere else, so that it cannot be cut into parts.
        options = {"preset": "ultrafast", "g": "1000000", "sc_threshold": "0", "crf": "30"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        frame = VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv420p")

        for number in range(HOUR_S * FPS):
            frame.pts = number
            frame.time_base = Fraction(1, FPS)
            frame.pict_type = 0
            container.mux(stream.encode(frame))

        container.mux(stream.encode(None))

    return path


def scan_bomb() -> bytes:
    """Return a progressive JPEG whose last scan comes again and again."""
    with io.BytesIO() as buffer:
        image = Image.linear_gradient("L").resize((1000, 1000))
        image.save(buffer, "JPEG", progressive=True)
        data = buffer.getvalue()

    last = data.rindex(b"\xff\xda")
    # Sixty scans of the whole image: each is decoded though none of them changes it.
    return data[:-2] + data[last:-2] * 60 + b"\xff\xd9"


def _repeat(request: Request, client: httpx.Client) -> None:
    while True:
        with suppress(httpx.HTTPError):
            if request(client).is_success:
                continue
        time.sleep(PAUSE_S)


async def _hold_connections(address: httpx.URL) -> None:
    """Keep connections open that send nothing; those that are closed are opened again a second
    later.
    """
    held = asyncio.Semaphore(IDLE_CONNECTIONS)
    tasks: set[asyncio.Task[None]] = set()

    async def one() -> None:
        try:
            reader, writer = await asyncio.open_connection(address.host, address.port)
            # Until the server closes: nothing is ever sent.
            await reader.read(1)
            writer.close()
        except OSError:
            pass
        finally:
            await asyncio.sleep(1)
            held.release()

    while True:
        await held.acquire()
        task = asyncio.create_task(one())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

        # Not all in one instant, which the listen queue would refuse instead of the API.
        if len(tasks) % 100 == 0:
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
