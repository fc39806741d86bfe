"""Nobody on the never-swap list is swapped: not in images, not in videos, not as an identity."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.inference.frames.image_frame import ImageFrame
from models.inference.identity import IdentityCode
from tests.material import SAMPLES
from tests.worker.blocklist.test_entries import KEY, an_entry
from tests.worker.video.conftest import VideoBench
from tests.worker.workers import performer
from worker.blocklist.entries import BlocklistStore
from worker.blocklist.records import as_face
from worker.blocklist.reviews import ReviewStore
from worker.blocklist.screening import Screening
from worker.process.attempts.task_runner import TaskRunner
from worker.process.staging import Staging
from worker.stores.audit_log import AuditLog

PORTRAIT = SAMPLES / "cleo_neutral.jpg"
VIDEO = SAMPLES / "solo_720p30.mp4"


@pytest.fixture
def screening(bench: VideoBench) -> Iterator[Screening]:
    """The bench's worker compares with a list that is empty at first."""
    redis = bench.stores.jobs.redis
    made = Screening(BlocklistStore(redis, KEY), ReviewStore(redis), AuditLog(redis))
    staging = Staging(bench.stores.media.scratch)
    bench.runner = TaskRunner("bench", bench.stores, staging, performer(bench), None, made)
    yield made
    staging.close()


def block(screening: Screening, embedding: Sequence[float]) -> str:
    entry = an_entry()
    screening.entries.add(entry, array("f", embedding))
    return entry.id


def face_in(bench: VideoBench, image: np.ndarray) -> np.ndarray:
    found = bench.engine.detect(image)
    return bench.engine.encoder.recognise(ImageFrame(image), found[0].landmarks)


def between(face: np.ndarray, cosine: float) -> np.ndarray:
    """Return somebody who resembles a face this much."""
    other = np.random.default_rng(5).standard_normal(face.size).astype(np.float32)
    other -= (other @ face) * face
    other /= np.linalg.norm(other)
    return cosine * face + (1 - cosine**2) ** 0.5 * other


def test_a_blocked_face_in_an_image_is_not_replaced(
    bench: VideoBench, screening: Screening
) -> None:
    assert bench.work(bench.submit(PORTRAIT, kind="swap_image")).status == "succeeded"
    block(screening, face_in(bench, cv2.imread(str(PORTRAIT))))
    job = bench.work(bench.submit(PORTRAIT, kind="swap_image"))
    assert (job.status, job.error.code) == ("failed", "identity_blocked")


def test_a_doubt_is_settled_by_an_operator(bench: VideoBench, screening: Screening) -> None:
    block(screening, between(face_in(bench, cv2.imread(str(PORTRAIT))), 0.65))
    job = bench.work(bench.submit(PORTRAIT, kind="swap_image"))
    assert (job.status, job.error.code) == ("failed", "identity_review")

    screening.reviews.release(job.report["review"], "default/operator")
    assert bench.work(bench.submit(PORTRAIT, kind="swap_image")).status == "succeeded"


def test_a_blocked_person_in_a_video_stops_it_before_a_frame_is_swapped(
    bench: VideoBench, screening: Screening
) -> None:
    frames = cv2.VideoCapture(str(VIDEO))
    block(screening, face_in(bench, frames.read()[1]))
    frames.release()
    before = bench.engine.counters.swap_passes
    job = bench.work(bench.submit(VIDEO))
    assert (job.status, job.error.code) == ("failed", "identity_blocked")
    assert bench.engine.counters.swap_passes == before


def test_an_identity_registered_before_it_was_listed_is_not_used_any_more(
    bench: VideoBench, screening: Screening, tmp_path: Path
) -> None:
    code = IdentityCode.from_bytes(bench.stores.identities.code(bench.identities["ada"]))
    face = as_face(code.embedding.astype("<f4").tobytes())
    screening.entries.add(an_entry(), face)
    job = bench.work(bench.submit(PORTRAIT, kind="swap_image"))
    assert (job.status, job.error.code) == ("failed", "identity_blocked")
    hit, refused = (entry.body for entry in screening.audit.pending())
    assert (hit["event"], hit["place"], hit["subject"]) == ("blocklist.hit", "source", job.id)
    assert (refused["event"], refused["check"]) == ("request.refused", "blocklist")
