"""Bar of marked videos that were broken off: the same mark, and the same bytes before signing."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bar import Figure, bar
from benchmarks.promises.byte_identity import two_shots
from benchmarks.quality.faces import register_ada
from benchmarks.stack import Stack, running_stack, stopwatch
from tests.worker.workers import eventually, kill_tree
from worker.contract.jobs import JobRecord
from worker.contract.options import Assignment
from worker.contract.requests import JobPayload, JobRequest
from worker.stores.media.uploads import MediaFacts

# One for all runs: the API would draw a new one for each job.
MARK_ID = 0x5EED_0009
BREAKS = 3
# ISO 14496-12: the boxes on the way to a track's table of places, and C2PA's own box.
_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


@bar("T-9")
def a_killed_video_is_the_same_before_signing() -> Figure:
    """A video of several segments, unbroken and killed at three places: bytes but credentials."""
    # Seeded, so that a break that changes bytes can be repeated.
    dice = random.Random(11)
    with stopwatch(420), running_stack() as here:
        for name in ("worker-a", "worker-b"):
            here.add_worker(name, small=False)

        here.await_workers(2)
        ada = register_ada(here)
        video = two_shots(here.directory / "video.mp4")
        unbroken = here.bench.wait_for(_submit(here, ada, video), timeout_s=180)
        whole = _digest(here, unbroken)
        marks = {unbroken.report["provenance"]["mark_id"]}
        same = 0

        for number in range(BREAKS):
            # One in each third of the video.
            share = dice.uniform(number / BREAKS, (number + 1) / BREAKS)
            job = _submit(here, ada, video)
            _kill_at(here, job, share)
            done = here.bench.wait_for(job, timeout_s=180)
            equal = _digest(here, done) == whole
            marks.add(done.report["provenance"]["mark_id"])
            same += equal
            print(f"killed at {share:.0%} and later: {done.status}, equal {equal}", flush=True)

        signed_alike = unbroken.result == done.result

    print(f"marks {marks}; the signed files are alike: {signed_alike} (credentials are salted)")
    holds = same == BREAKS and len(marks) == 1
    return Figure(same, f"of {BREAKS} equal before signing", f"= {BREAKS}, one mark", holds)


def _submit(here: Stack, identity: str, source: Path) -> JobRecord:
    writer = here.bench.stores.media.begin_write("acme")
    writer.write(source.read_bytes())
    upload = writer.commit(MediaFacts("video/mp4", ".mp4"), ttl_s=3600)
    payload = JobPayload(
        kind="swap_video",
        tenant="acme",
        input_id=upload.id,
        assignments=(Assignment(identity_id=identity),),
        mark_id=MARK_ID,
    )
    job = here.bench.stores.jobs.admit(JobRequest(payload, input_bytes=upload.bytes)).job
    here.bench.stores.queue.deliver_all()
    return job


def _kill_at(here: Stack, job: JobRecord, share: float) -> None:
    def is_there() -> bool:
        now = here.bench.get(job)
        done = now.progress.done / now.progress.total if now.progress.total else 0.0
        return done >= share or now.final

    eventually(is_there, 180, f"{share:.0%} of the video")
    for process in list(here.keeper.running.values()):
        kill_tree(process.pid)


def _digest(here: Stack, job: JobRecord) -> str:
    assert job.status == "succeeded", job.error
    with here.bench.stores.media.results.open(job) as file:
        data = file.read()
    return hashlib.sha256(without_credentials(data)).hexdigest()


def without_credentials(data: bytes) -> bytes:
    """Return an MP4 as it was before its C2PA box was put in, which moved what came after."""
    # By boxes: signing puts one in and moves what follows.
    kept = []
    moved = 0
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"uuid" and data[start + 8 : start + 24] == _C2PA_UUID:
            moved = end - start
        else:
            kept.append(data[start:end])

    return b"".join(_moved_back(box, moved) if box[4:8] == b"moov" else box for box in kept)


def _moved_back(moov: bytes, moved: int) -> bytes:
    content = bytearray(moov)
    for kind, start, _ in _deep_boxes(content, 0, len(content)):
        if kind not in (b"stco", b"co64"):
            continue

        form = ">I" if kind == b"stco" else ">Q"
        (count,) = struct.unpack(">I", content[start + 12 : start + 16])
        for place in range(count):
            at = start + 16 + place * struct.calcsize(form)
            (offset,) = struct.unpack_from(form, content, at)
            # Places of samples count from the file's start, which the box has shifted.
            struct.pack_into(form, content, at, offset - moved)

    return bytes(content)


def _boxes(data: bytes | bytearray, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the boxes of a range: kind, start, end."""
    while start + 8 <= end:
        length, kind = struct.unpack(">I4s", data[start : start + 8])
        if length == 1:
            (length,) = struct.unpack(">Q", data[start + 8 : start + 16])
        # ISO 14496-12: 1 means a longer number follows, 0 means to the end.
        length = length or end - start
        yield bytes(kind), start, start + length
        start += length


def _deep_boxes(data: bytearray, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    for kind, begin, until in _boxes(data, start, end):
        yield kind, begin, until
        if kind in _CONTAINERS:
            yield from _deep_boxes(data, begin + 8, until)
