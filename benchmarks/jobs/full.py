"""Bars R-12 and R-13: a store or a disk that is full refuses, and nothing half-done is served."""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import httpx

from benchmarks.bar import Figure, bar
from benchmarks.jobs.overload import body
from benchmarks.stack import Stack, running_stack, stopwatch
from tests.service.live_service import JPEG
from worker.stores.blobs.directory_blobs import DirectoryBlobs
from worker.stores.connection import text_fields
from worker.stores.media.media_store import MediaStore


@bar("R-12")
def a_full_store_refuses_and_recovers() -> Figure:
    """The store at maxmemory: writes answer 503, reads go on, RQ's keys stay, and all is well when
    there is room.
    """
    with stopwatch(90), running_stack() as here:
        here.add_api()
        here.await_api()
        upload = here.bench.upload()
        redis = here.bench.stores.jobs.redis

        with here.client() as client:
            accepted = [
                client.post("/v1/analyses", json=body(upload)).json()["id"] for _ in range(10)
            ]
            # RQ's own clean-up keys come and go.
            keys = {key for key in redis.keys("rq:*") if b"clean" not in key}
            # One byte of room: the next write is refused.
            redis.config_set("maxmemory", str(int(redis.info("memory")["used_memory"]) + 1))
            refused = [client.post("/v1/analyses", json=body(upload)) for _ in range(5)]
            reads = [client.get(f"/v1/jobs/{job_id}").status_code for job_id in accepted]
            kept = keys <= set(redis.keys("rq:*"))
            # No bound, as before: an operator who has given it more memory.
            redis.config_set("maxmemory", "0")
            again = client.post("/v1/analyses", json=body(upload)).status_code
            evicted = int(redis.info("stats")["evicted_keys"])

        here.add_worker("worker")
        ended = {
            here.bench.wait_for(here.bench.stores.jobs.get(job_id)).status for job_id in accepted
        }

    codes = {answer.status_code for answer in refused}
    print(
        f"writes {sorted(codes)}, reads {sorted(set(reads))}, evicted {evicted}, with room again"
        f" {again}"
    )
    print(f"jobs accepted before ended as {sorted(ended)}")
    # Without it, clients would come back at once, all of them.
    patient = all("retry-after" in answer.headers for answer in refused)
    refusing = codes == {503} and patient and set(reads) == {200} and kept and evicted == 0
    holds = refusing and again == 202 and ended == {"succeeded"}

    return Figure(
        evicted, "keys evicted", "503 for writes, 200 for reads, 0 evicted, recovers", holds
    )


# Room for the store's directories and some results, and full after a few seconds.
DISK_MIB = 6
BALLAST = "ballast"


@bar("R-13")
def a_full_disk_serves_no_truncated_file() -> Figure:
    """A media store on a file system of 6 MiB of its own (tmpfs): results that are larger than
    what is left beside others that fit, then uploads until it is full, then room again.
    """
    with stopwatch(120), running_stack() as here:
        media = here.bench.data_dir / "media"
        with file_system(media, DISK_MIB):
            # It makes the directories that the API expects.
            MediaStore(DirectoryBlobs(media), media, here.bench.stores.jobs.redis)
            here.add_api()
            here.await_api()
            large = []
            small = []

            for number in range(10):  # all are there before the first one fills the disk
                # 7 to 9 MB each: larger than the file system, so that every one of them must fail.
                times = random.Random(number).randrange(7000, 9000)
                large.append(here.bench.submit(body=b"x" * 1000, times=times))
                small.append(here.bench.submit())

            here.add_worker("worker")
            here.await_workers(1)
            failed = sum(here.bench.wait_for(job).status == "failed" for job in large)
            served = sum(here.bench.wait_for(job).status == "succeeded" for job in small)
            truncated = _truncated(here)

            with here.client() as client:
                if here.bench.media:
                    # Uploads leave for the bucket: something else fills what they pass through.
                    answers = Counter([client.post("/v1/uploads", content=JPEG).status_code])
                    _fill(media / BALLAST)
                else:
                    # Large ones until one is refused, then small ones for what room is left.
                    answers = Counter(_upload_until_full(client, bytes(400_000)))
                answers += Counter(_upload_until_full(client, b""))
                full = client.post("/v1/uploads", content=JPEG)
                truncated += _truncated(here)
                _make_room(here)
                (media / BALLAST).unlink(missing_ok=True)
                again = client.post("/v1/uploads", content=JPEG).status_code

            here.keeper.stop()  # nothing may hold the file system any more

    print(
        f"too large: {failed} of 10 failed with a reason; others: {served} of 10 done;"
        f" uploads {dict(answers)}, on the full disk {full.json()['code']}, with room again {again}"
    )
    refusing = set(answers) == {201, 507} and full.json()["code"] == "disk_full" and again == 201
    holds = truncated == 0 and served == failed == 10 and refusing

    return Figure(truncated, "truncated files", "0, 507 disk_full when full, then recovers", holds)


@contextmanager
def file_system(place: Path, mib: int) -> Iterator[None]:
    """Mount a file system of so many MiB; needs the right to mount."""
    place.mkdir(exist_ok=True)
    # A file system in memory of a few megabytes: filling a real disk would end other processes.
    options = f"size={mib}m,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "likeness", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _fill(ballast: Path) -> None:
    """Write a file until its file system is full."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def _truncated(here: Stack) -> int:
    """Count what has a final name, and not the bytes that the name or record promises."""
    blobs = here.bench.stores.media.blobs
    redis = here.bench.stores.jobs.redis
    wrong = 0

    # Of any age. Results are named by their hash: a truncated one does not fit its name.
    for name in blobs.older("jobs", -60.0):
        wrong += PurePosixPath(name).name.split(".")[0] != _sha256(blobs.read(name))
    for name in blobs.older("uploads", -60.0):
        upload_id = PurePosixPath(name).name.split(".")[0]
        known = text_fields(redis.hgetall(f"lk:media:{upload_id}"))
        wrong += bool(known) and known["sha256"] != _sha256(blobs.read(name))

    return wrong


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _upload_until_full(client: httpx.Client, padding: bytes) -> Iterator[int]:
    """Yield the answers to uploads, up to the first refusal."""
    # With room for one more, so that the last one fails.
    content = JPEG + padding  # what follows an image's end is no part of it, but is kept
    for _ in range((DISK_MIB << 20) // len(content) + 1):
        status = client.post("/v1/uploads", content=content).status_code
        yield status

        if status != 201:
            return


def _make_room(here: Stack) -> None:
    redis = here.bench.stores.jobs.redis
    for key in redis.scan_iter("lk:media:upl_*"):
        # Records of uploads alone; other keys of theirs have one part more.
        if key.count(b":") == 2:
            here.bench.stores.media.delete(key.decode().rpartition(":")[2])
