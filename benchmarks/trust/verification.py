"""Bars of verification: open to anybody, telling nothing about people, and hard to break."""

from __future__ import annotations

import io
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow

from benchmarks.bar import Figure, bar
from benchmarks.stack import stopwatch
from benchmarks.trust import material
from benchmarks.trust.running import Service, service
from tests.material import BANK, SAMPLES
from tests.service.trust.publisher import Publisher, with_remote_manifest
from worker.provenance.mark_code import MarkCode
from worker.provenance.mark_reader import MarkReader

MUTANTS = 1000
ALLOWED_A_MINUTE = 30
LEFT_AFTER_S = 5.0
UNMARKED = 200
# Words of the answers that would lead to somebody; certainties help an attacker to remove a mark.
PERSONAL = ("acme", "job_", "idn_", "tenant", "certainty", "score")


@bar("T-13")
def verification_tells_nothing_and_holds_out() -> Figure:
    """Answers without a key, the 31st in a minute, ids in answers, bytes on disk, 1,000 mutants."""
    with stopwatch(420), service() as here:
        made = Publisher(here.data_dir, here.data_dir).image()
        first = here.verify(made)
        open_to_all = first.status_code == 200 and first.json()["verdict"] == "made_here"
        named = [word for word in PERSONAL if word in first.text]

        with here.visitor(network=1) as anybody:
            body = {"sha256": "0" * 64}
            # One more than allowed: it is the one that has to be refused.
            codes = [
                anybody.post("/v1/verify", json=body).status_code
                for _ in range(ALLOWED_A_MINUTE + 1)
            ]

        limited = set(codes[:-1]) == {200} and codes[-1] == 429
        left = _left_on_disk(here)
        asked = _outgoing(here)
        answers = Counter(_mutants(here, made))
        print(f"without a key: {open_to_all}; answers name {named or 'nothing'}")
        print(f"the 31st in a minute is refused: {limited}; left on disk: {left or 'nothing'}")
        print(f"requests for a manifest elsewhere: {asked}; mutants: {dict(answers)}")
        alive = here.verify(made, network=2).json()["verdict"] == "made_here"

    crashes = sum(count for code, count in answers.items() if code not in (200, 422))
    holds = open_to_all and not named and limited and not left and not asked
    holds = holds and crashes == 0 and alive

    return Figure(crashes, f"crashes in {MUTANTS}", "0; 429, no ids, no bytes, no requests", holds)


@bar("T-18")
def unmarked_files_have_no_mark() -> Figure:
    """Of 200 images and videos of the project, unmarked, those in which anything is found."""
    reader = MarkReader(MarkCode(key=b"an installation's key, 32 bytes."))
    highest = 0.0
    found = 0
    images = _project_images()

    for image in images:
        reading = reader.read_image(material.luma(image))
        highest = max(highest, reading.certainty)
        found += reading.found or reading.mark_id is not None

    videos = sorted(SAMPLES.glob("*.mp4"))
    for path in videos:
        planes = material.lumas(path)
        places = [planes[start : start + 6] for start in range(0, len(planes) - 6, 30)]
        reading = reader.read_frames(places)
        highest = max(highest, reading.certainty)
        found += reading.found or reading.mark_id is not None

    asked = len(images) + len(videos)
    holds = found == 0 and asked >= UNMARKED
    print(f"{len(images)} images, {len(videos)} videos; certainty at most {highest:.2f}")
    return Figure(found, f"of {asked} with a mark", "0 of >= 200", holds)


def _project_images() -> list[material.Image]:
    """Return the bank, the samples, and frames of the sample videos."""
    paths = sorted(BANK.glob("*.jpg")) + sorted(SAMPLES.glob("*.jpg"))
    images = [material.read(path) for path in paths]
    for video in sorted(SAMPLES.glob("*.mp4")):
        images += material.frames(video, every=20)

    return images


def _mutants(here: Service, made: bytes) -> Iterator[int]:
    """Yield the status of each of 1,000 damaged files, sent from 100 networks."""
    draw = np.random.default_rng(17)
    # Decoders are what is tried, not the search for marks: what they open is small.
    small = cv2.imencode(".jpg", np.full((80, 120, 3), 90, np.uint8))[1].tobytes()
    kinds = (made, small, _video(), _gif())

    # A few bytes anywhere, and every third file cut off.
    for number in range(MUTANTS):
        data = bytearray(kinds[number % len(kinds)])
        for _ in range(int(draw.integers(1, 40))):
            data[int(draw.integers(0, len(data)))] = int(draw.integers(0, 256))
        if number % 3 == 0:
            del data[int(draw.integers(1, len(data))) :]

        # Ten each: a network may ask 30 times a minute.
        yield here.verify(bytes(data), network=100 + number // 10).status_code


def _video() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        planes = [np.full((160, 256), 40 + number, np.uint8) for number in range(12)]
        return material.encode(planes, Path(folder) / "small.mp4").read_bytes()


def _gif() -> bytes:
    frames = [Pillow.new("P", (120, 80), number) for number in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def _left_on_disk(here: Service) -> list[str]:
    """Return files that hold something of a file that was verified, five seconds later."""
    marker = b"only in this file, 5d2e77b1c0"
    here.verify((SAMPLES / "ada_neutral.jpg").read_bytes() + marker, network=3)
    time.sleep(LEFT_AFTER_S)
    folders = (here.data_dir, here.stack.directory, Path("/tmp"))  # noqa: S108 - looked into
    kept = [path for folder in folders[:2] for path in folder.rglob("*") if path.is_file()]
    kept += [path for path in folders[2].glob("tmp*") if path.is_file()]
    return [path.name for path in kept if marker in path.read_bytes()]


def _outgoing(here: Service) -> int:
    """Return how often a listener is asked for the manifest that a file names."""
    with _listener() as (port, asked):
        answer = here.verify(with_remote_manifest(f"http://127.0.0.1:{port}/m.c2pa"), network=4)
        assert answer.status_code == 200, answer.text
        time.sleep(1.0)
        return len(asked)


@contextmanager
def _listener() -> Iterator[tuple[int, list[str]]]:
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        over = threading.Event()

        def accept() -> None:
            while not over.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                asked.append(str(address))
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], asked
        finally:
            over.set()
            thread.join()
