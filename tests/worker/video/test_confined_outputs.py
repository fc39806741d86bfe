"""Every format of results is made, marked and signed in a confined child: what the cage takes away
must not be what a format needs.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from redis import Redis

from models.inference.engine import FaceSwapEngine
from tests.material import PACKS, SAMPLES
from tests.worker.video.material.scenes import Placed, scene, video_of
from tests.worker.workers import Bench
from worker.contract.jobs import JobRecord
from worker.contract.options import Assignment, SwapOptions
from worker.contract.requests import JobKind, JobPayload, JobRequest, QueueName
from worker.formats import ANIMATION_FORMATS, IMAGE_FORMATS, VIDEO_FORMATS
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.ids import new_id
from worker.stores.media.uploads import MediaFacts

TENANT = "acme"


@dataclass
class Service:
    """Real workers, and an identity that they know."""

    bench: Bench
    identity: str

    def start_worker(self, queue: QueueName) -> None:
        self.bench.start_worker(
            queue, wait=False, use_cases="worker.use_cases.load", packs_dir=str(PACKS)
        )

    def submit(
        self, kind: JobKind, content: bytes, media_type: str, wanted: str | None = None
    ) -> JobRecord:
        writer = self.bench.stores.media.begin_write(TENANT)
        writer.write(content)
        upload = writer.commit(MediaFacts(media_type, ".bin"), ttl_s=600)
        payload = JobPayload(
            kind=kind,
            tenant=TENANT,
            input_id=upload.id,
            assignments=(Assignment(identity_id=self.identity),),
            options=SwapOptions.model_validate({"output": {"format": wanted} if wanted else {}}),
            mark_id=7,
        )
        return self.bench.stores.jobs.admit(JobRequest(payload, input_bytes=upload.bytes)).job

    def ends(self, jobs: Mapping[str, JobRecord]) -> dict[str, str]:
        """Return how each job ended, with the reason of those that failed."""
        self.bench.stores.queue.deliver_all()
        ended = {name: self.bench.wait_for(job, timeout_s=120) for name, job in jobs.items()}
        return {
            name: job.status if job.error is None else f"{job.error.code}: {job.error.detail}"
            for name, job in ended.items()
        }


@pytest.fixture
def service(
    store: Redis,
    store_url: str,
    tmp_path: Path,
    engine: FaceSwapEngine,
    registered: Mapping[str, tuple[bytes, bytes]],
) -> Iterator[Service]:
    (tmp_path / "data").mkdir()
    bench = Bench(store_url, tmp_path / "data")
    code, weights = registered["ada"]
    record = IdentityRecord(new_id("idn"), TENANT, engine.pack.id, 0.0, name="ada")
    bench.stores.identities.put(record, code, weights)
    yield Service(bench, record.id)
    bench.close()


def test_a_video_becomes_every_format(service: Service, tmp_path: Path) -> None:
    service.start_worker("video")
    source = video_of(tmp_path / "in.mp4", [scene(Placed("ben_neutral", 200, 30, 300))] * 4, fps=10)
    jobs = {
        wanted: service.submit("swap_video", source.read_bytes(), "video/mp4", wanted)
        for wanted in (*VIDEO_FORMATS, *ANIMATION_FORMATS)
    }
    assert service.ends(jobs) == dict.fromkeys(jobs, "succeeded")


def test_an_image_of_every_format_is_swapped(service: Service) -> None:
    service.start_worker("image")
    jobs = {}

    for name in IMAGE_FORMATS:
        with Image.open(SAMPLES / "ben_neutral.jpg") as image, io.BytesIO() as buffer:
            image.save(buffer, name)
            content = buffer.getvalue()
            jobs[name] = service.submit("swap_image", content, f"image/{name}")

    assert service.ends(jobs) == dict.fromkeys(jobs, "succeeded")
