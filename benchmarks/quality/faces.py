"""Real faces for the bars of jobs: ada is registered once with the real engine, ben's image and
the videos wait.
"""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.stack import Stack
from models.inference.engine import FaceSwapEngine
from models.packs.store import load_pack
from tests.material import PACKS, SAMPLES
from worker.contract.jobs import JobRecord
from worker.contract.options import Assignment
from worker.contract.requests import JobKind, JobPayload, JobRequest
from worker.media.images import decode_image
from worker.settings import MediaLimits
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.ids import new_id
from worker.stores.media.uploads import MediaFacts


def register_ada(here: Stack) -> str:
    """Return an identity of the sample photo of ada, as enrolment would store it."""
    # Written straight into the stores: registration over HTTP has bars of its own.
    engine = FaceSwapEngine.load(load_pack("open", PACKS))
    photo = decode_image(SAMPLES / "ada_neutral.jpg", MediaLimits()).bgr
    code = engine.register([photo]).code
    record = IdentityRecord(new_id("idn"), "acme", engine.pack.id, time.time())
    here.bench.stores.identities.put(record, code.to_bytes(), engine.specialise(code).to_bytes())
    return record.id


def submit_swap(
    here: Stack,
    identity: str,
    source: Path = SAMPLES / "ben_neutral.jpg",
    kind: JobKind = "swap_image",
) -> JobRecord:
    """Return a swap of ada into a sample, accepted and delivered."""
    writer = here.bench.stores.media.begin_write("acme")
    writer.write(source.read_bytes())
    # As a client would declare it.
    media_type = "image/jpeg" if kind == "swap_image" else "video/mp4"
    upload = writer.commit(MediaFacts(media_type, source.suffix), ttl_s=3600)
    payload = JobPayload(
        kind=kind,
        tenant="acme",
        input_id=upload.id,
        assignments=(Assignment(identity_id=identity),),
    )

    job = here.bench.stores.jobs.admit(JobRequest(payload, input_bytes=upload.bytes)).job
    # Nobody polls here: the queue is told at once.
    here.bench.stores.queue.deliver_all()
    return job
