"""A worker's stores and its engine, in this process, for the use cases of videos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.inference.engine import FaceSwapEngine
from models.packs.errors import PackError
from models.packs.store import load_pack
from tests.material import PACKS, SAMPLES
from tests.worker.workers import performer
from worker.composition import Stores, open_stores
from worker.contract.jobs import JobRecord, Task
from worker.contract.options import Assignment, SwapOptions
from worker.contract.requests import QUEUE_OF, JobKind, JobPayload, JobRequest, QueueName
from worker.job_context import UseCase
from worker.process.attempts.task_runner import TaskRunner
from worker.process.staging import Staging
from worker.settings import MediaLimits, WorkerSettings
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.ids import new_id
from worker.stores.jobs.deliveries import task_of
from worker.stores.jobs.job_queue import rq_queue
from worker.stores.media.uploads import MediaFacts
from worker.use_cases.analyse import Analyse
from worker.use_cases.identity_loader import IdentityLoader
from worker.use_cases.swap_image import SwapImage
from worker.use_cases.videos.swap_video import SwapVideo

TENANT = "acme"


@pytest.fixture(scope="session")
def engine() -> FaceSwapEngine:
    try:
        return FaceSwapEngine.load(load_pack("open", PACKS), device="cpu")
    except PackError as error:
        pytest.fail(error.message)


@pytest.fixture(scope="session")
def registered(engine: FaceSwapEngine) -> Mapping[str, tuple[bytes, bytes]]:
    """Code and weights of two people, by name."""
    return people_of(engine)


def people_of(engine: FaceSwapEngine) -> Mapping[str, tuple[bytes, bytes]]:
    """Code and weights of two people, by name."""
    people = {}
    for name in ("ada", "ben"):
        photo = np.asarray(cv2.imread(str(SAMPLES / f"{name}_neutral.jpg")), np.uint8)
        code = engine.register([photo]).code
        people[name] = code.to_bytes(), engine.specialise(code).to_bytes()

    return people


class VideoBench:
    """Does jobs in this process, on a real store and a directory of the test's own."""

    def __init__(
        self, engine: FaceSwapEngine, stores: Stores, people: Mapping[str, tuple[bytes, bytes]]
    ) -> None:
        self.engine = engine
        self.stores = stores
        self.identities: dict[str, str] = {}

        for name, (code, weights) in people.items():
            record = IdentityRecord(
                id=new_id("idn"), tenant=TENANT, pack=engine.pack.id, created_at=0.0, name=name
            )
            stores.identities.put(record, code, weights)
            self.identities[name] = record.id

        loader = IdentityLoader(engine)
        self.use_cases: dict[JobKind, UseCase] = {
            "swap_image": SwapImage(engine, loader, MediaLimits()),
            "swap_video": SwapVideo(engine, loader, MediaLimits()),
            "analysis": Analyse(engine, MediaLimits()),
        }
        self.runner = TaskRunner("bench", stores, Staging(stores.media.scratch), performer(self))

    @property
    def pack(self) -> str:
        return self.engine.pack.id

    def find(self, kind: JobKind) -> UseCase:
        return self.use_cases[kind]

    def counters(self) -> Mapping[str, int]:
        return asdict(self.engine.counters)

    def forget(self, identity_id: str) -> None:
        raise AssertionError(f"nobody is erased here, not {identity_id}")

    def submit(
        self,
        source: Path,
        kind: JobKind = "swap_video",
        cast: Mapping[object, str] | None = None,
        tenant: str = TENANT,
        **options: object,
    ) -> JobRecord:
        """Admit a job on `source`; `cast` maps a selector to the name of who is swapped in."""
        writer = self.stores.media.begin_write(tenant)
        writer.write(source.read_bytes())
        upload = writer.commit(MediaFacts("video/mp4", ".mp4"), ttl_s=600)
        chosen = {"largest": "ada"} if cast is None else cast
        assignments = tuple(
            Assignment.model_validate(
                {
                    "face": dict(face) if isinstance(face, tuple) else face,
                    "identity_id": self.identities[name],
                }
            )
            for face, name in chosen.items()
        )

        payload = JobPayload(
            kind=kind,
            tenant=tenant,
            input_id=upload.id,
            assignments=() if kind == "analysis" else assignments,
            options=SwapOptions.model_validate(options),
        )
        return self.stores.jobs.admit(JobRequest(payload, input_bytes=upload.bytes)).job

    def next_task(self, name: QueueName = "video") -> Task | None:
        """Take the next delivered task out of a queue, as a worker does."""
        self.stores.queue.deliver(name)
        queue = rq_queue(name, self.stores.jobs.redis)
        return task_of(queue.pop_job_id()) if queue.count else None

    def work(self, job: JobRecord, most: int = 100) -> JobRecord:
        """Do tasks as they are delivered, at most `most` of them; returns the job's record."""
        for _ in range(most):
            if (task := self.next_task(QUEUE_OF[job.kind])) is None:
                break
            self.runner.run_task(task.id, task.attempt)

        return self.stores.jobs.get(job.id)

    def result(self, job: JobRecord) -> Path:
        """Return the result as a file, whatever keeps it."""
        ended = self.stores.jobs.get(job.id)
        place = self.stores.media.incoming / f"{job.id}{ended.result.suffix}"
        with self.stores.media.results.open(ended) as file:
            place.write_bytes(file.read())
        return place


@pytest.fixture
def bench(
    engine: FaceSwapEngine,
    registered: Mapping[str, tuple[bytes, bytes]],
    store_url: str,
    tmp_path: Path,
) -> VideoBench:
    stores = open_stores(WorkerSettings(redis_url=store_url, data_dir=tmp_path / "data"))
    return VideoBench(engine, stores, registered)
