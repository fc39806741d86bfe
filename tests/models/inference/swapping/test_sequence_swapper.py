from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from models.inference.engine import FaceSwapEngine
from models.inference.finding.visibility import FADE_S
from models.inference.frames.i420 import I420Frame
from models.inference.options import FaceSelector, FrameReport, SwapOptions
from models.inference.painting.face_painter import Identity
from models.inference.swapping.selection import Assignment
from models.inference.swapping.sequence_swapper import SequenceSwapper
from tests.models.demo_media import DUET, SOLO, copied, frames_of, of_planes, planes

FPS = 30.0


@pytest.fixture(scope="module")
def solo() -> list[I420Frame]:
    return frames_of(SOLO, 20)


def swapped(
    sequence: SequenceSwapper, frames: Sequence[I420Frame], start: int = 0
) -> tuple[list[I420Frame], list[FrameReport]]:
    mine = [copied(frame) for frame in frames]
    return mine, [sequence.swap(frame, (start + index) / FPS) for index, frame in enumerate(mine)]


def to_everyone(identity: Identity) -> list[Assignment]:
    return [Assignment(FaceSelector("all"), identity)]


def test_every_frame_of_the_solo_video_is_swapped_and_only_around_the_face(
    engine: FaceSwapEngine, ada: Identity, solo: list[I420Frame]
) -> None:
    sequence = engine.sequence(to_everyone(ada))
    after, reports = swapped(sequence, solo)

    for now, before, report in zip(after, solo, reports, strict=True):
        (face,) = report.faces
        assert face.opacity == 1.0
        left, _, right, _ = (int(edge) for edge in face.box)
        assert np.array_equal(now.y[:, : left - 40], before.y[:, : left - 40])
        assert np.array_equal(now.y[:, right + 40 :], before.y[:, right + 40 :])
        assert not np.array_equal(now.y, before.y)

    (person,) = sequence.report().people
    assert (person.frames_seen, person.frames_swapped, person.frames_skipped) == (20, 20, {})
    assert person.identity_similarity is None


def test_a_warm_sequence_asks_the_encoder_once_for_a_face_that_stays(
    engine: FaceSwapEngine, ada: Identity, solo: list[I420Frame]
) -> None:
    before = replace(engine.counters)
    swapped(engine.sequence(to_everyone(ada)), solo)
    assert engine.counters == replace(
        before,
        swap_passes=before.swap_passes + len(solo),
        recognition_passes=before.recognition_passes + 1,
    )


def test_the_same_frames_give_the_same_bytes(
    engine: FaceSwapEngine, ada: Identity, solo: list[I420Frame]
) -> None:
    first, _ = swapped(engine.sequence(to_everyone(ada)), solo[:6])
    second, _ = swapped(engine.sequence(to_everyone(ada)), solo[:6])
    pairs = (
        (a, b)
        for one, two in zip(first, second, strict=True)
        for a, b in zip(planes(one), planes(two), strict=True)
    )
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_warming_up_writes_nothing_but_settles_the_tracks(
    engine: FaceSwapEngine, ada: Identity, solo: list[I420Frame]
) -> None:
    sequence = engine.sequence(to_everyone(ada))
    frame = copied(solo[0])
    sequence.warm_up(frame, 0.0)
    assert all(np.array_equal(a, b) for a, b in zip(planes(frame), planes(solo[0]), strict=True))
    _, reports = swapped(sequence, solo[1:3], start=1)
    assert [face.opacity for report in reports for face in report.faces] == [1.0, 1.0]
    assert sequence.tracker.detections == 1


def test_a_face_that_becomes_too_small_fades_out_and_is_counted(
    engine: FaceSwapEngine, ada: Identity, solo: list[I420Frame]
) -> None:
    sequence = engine.sequence(to_everyone(ada))
    swapped(sequence, solo[:3])
    sequence.options = SwapOptions(min_face_px=500)
    _, reports = swapped(sequence, solo[3:16], start=3)
    opacities = [report.faces[0].opacity for report in reports]
    assert opacities == sorted(opacities, reverse=True)
    assert 0 < opacities[1] < 1
    assert opacities[-1] == 0
    assert {report.faces[0].reason for report in reports} == {"too_small"}
    (person,) = sequence.report().people
    assert person.frames_skipped == {"too_small": 13 - round(FADE_S * FPS) + 1}


def test_someone_who_leaves_the_frame_is_not_smeared_at_its_edge(
    engine: FaceSwapEngine, ada: Identity, solo: list[I420Frame]
) -> None:
    leaving = [shifted(solo[0], 40 * index) for index in range(18)]
    _, reports = swapped(engine.sequence(to_everyone(ada)), leaving)
    last = [face for report in reports for face in report.faces][-1]
    assert last.opacity < 1
    assert last.reason == "cut_off"


def shifted(frame: I420Frame, by: int) -> I420Frame:
    """Return the frame moved to the right; what comes in from the left repeats its edge."""
    moved = []
    for plane, shrink in zip(planes(frame), (1, 2, 2), strict=True):
        shift = by // shrink
        width = plane.shape[1]
        moved.append(np.pad(plane, ((0, 0), (shift, 0)), mode="edge")[:, :width].copy())

    return of_planes(moved)


def test_two_people_of_a_video_get_an_identity_each(
    engine: FaceSwapEngine, ada: Identity, cleo: Identity
) -> None:
    left = FaceSelector("index", index=0)
    right = FaceSelector("index", index=1)
    sequence = engine.sequence([Assignment(left, ada), Assignment(right, cleo)])
    swapped(sequence, frames_of(DUET, 4))
    assert [(p.person_id, p.identity_key) for p in sequence.report().people] == [
        ("p1", "ada"),
        ("p2", "cleo"),
    ]


def test_the_report_says_how_alike_the_result_is_when_asked(
    engine: FaceSwapEngine, ada: Identity, solo: list[I420Frame]
) -> None:
    sequence = engine.sequence(to_everyone(ada), SwapOptions(measure_similarity=True))
    swapped(sequence, solo[:3])
    similarity = sequence.report().people[0].identity_similarity
    assert similarity is not None
    assert similarity > 0.2
