"""A look at every second frame, held to what looking at every frame says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.inference.engine import FaceSwapEngine
from models.inference.finding.sparse_tracker import SeenFrame, SparseTracker
from models.inference.finding.tracks import TrackedFace
from models.inference.frames.i420 import I420Frame
from tests.models.demo_media import DUET, SOLO, frames_of, of_planes, planes

FPS = 30.0


@pytest.fixture(scope="module")
def solo() -> list[I420Frame]:
    return frames_of(SOLO, 30)


@pytest.fixture(scope="module")
def duet() -> list[I420Frame]:
    return frames_of(DUET, 10)


def shaken(frames: Sequence[I420Frame], pixels: int) -> list[I420Frame]:
    """Return the frames with every second one moved aside: nothing moves evenly."""
    return [
        of_planes(np.roll(plane, pixels * (index % 2), axis=1) for plane in planes(frame))
        for index, frame in enumerate(frames)
    ]


def watched(engine: FaceSwapEngine, frames: Sequence[I420Frame]) -> tuple[list[SeenFrame], int]:
    """Return every frame as it was seen, and in how many the mesh looked."""
    watch = SparseTracker(engine.tracker())
    seen: list[SeenFrame] = []
    looked = 0

    for index, frame in enumerate(frames):
        taken = watch.take(frame, index / FPS)
        looked += bool(taken)
        seen += taken

    return seen + watch.finish(), looked


def always(engine: FaceSwapEngine, frames: Sequence[I420Frame]) -> list[list[TrackedFace]]:
    tracker = engine.tracker()
    return [tracker.update(frame, index / FPS) for index, frame in enumerate(frames)]


def test_who_moves_evenly_is_looked_at_in_every_second_frame(
    engine: FaceSwapEngine, solo: list[I420Frame]
) -> None:
    seen, looked = watched(engine, solo)

    assert looked < 0.65 * len(solo)
    assert [one.time_s for one in seen] == [index / FPS for index in range(len(solo))]
    sparse = np.stack([one.faces[0].face.landmarks for one in seen])
    every = np.stack([face.face.landmarks for (face,) in always(engine, solo)])
    eye_px = seen[0].faces[0].face.eye_px
    assert np.linalg.norm(sparse - every, axis=2).mean() < 0.008 * eye_px
    # What lies between two looks has no error of its own.
    assert trembling(sparse) < trembling(every)


def trembling(meshes: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(meshes, n=2, axis=0), axis=2).mean())


def test_who_is_shaken_is_seen_as_by_looking_at_every_frame(
    engine: FaceSwapEngine, solo: list[I420Frame]
) -> None:
    frames = shaken(solo[:12], pixels=12)

    seen, _ = watched(engine, frames)

    for (face,), (other,) in zip((one.faces for one in seen), always(engine, frames), strict=True):
        assert np.array_equal(face.face.landmarks, other.face.landmarks)


def test_a_cut_between_two_looks_is_found(
    engine: FaceSwapEngine, solo: list[I420Frame], duet: list[I420Frame]
) -> None:
    for length in (8, 9):  # whichever of the two is passed over
        seen, _ = watched(engine, [*solo[:length], *duet])
        assert [len(one.faces) for one in seen] == [1] * length + [2] * len(duet)
        assert [one.shot for one in seen] == [1] * length + [2] * len(duet)
        assert [one.time_s for one in seen if one.began_shot] == [0, length / FPS]


def test_slow_videos_are_looked_at_in_every_frame(
    engine: FaceSwapEngine, solo: list[I420Frame]
) -> None:
    watch = SparseTracker(engine.tracker())
    for index, frame in enumerate(solo[::3]):
        assert len(watch.take(frame, index / 10)) == 1
