"""Bars Q-4, Q-5 and Q-14: nobody is taken for another, and no face flickers more than before."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.bar import Figure, bar
from benchmarks.quality.loaded import engine
from benchmarks.video.costs import swapper, through_pipeline
from models.inference.finding.face_tracker import FaceTracker
from models.inference.frames.frame import Frame
from models.inference.frames.i420 import I420Frame
from tests.models.demo_media import DUET, SOLO, crossing, frames_of, sides_swapped
from worker.video.segments import Swapper


@bar("Q-4")
def nobody_is_taken_for_someone_else() -> Figure:
    """Identity switches on the duet, on the duet with its people crossing, and with their sides
    exchanged at a cut.
    """
    duet = frames_of(DUET)
    # The first half as it is, then with sides exchanged: tracks must follow people, not places.
    half = len(duet) // 2
    videos = {
        "duet": (duet, [False] * len(duet)),
        "crossing": (crossing(duet), [index > half for index in range(len(duet))]),
        "cut": (
            duet[:half] + [sides_swapped(frame) for frame in duet[half:]],
            [i >= half for i in range(len(duet))],
        ),
    }

    total = 0
    for name, (frames, exchanged) in videos.items():
        switches, seen = switches_in(engine().tracker(), frames, exchanged)
        total += switches
        print(f"{name}: {len(frames)} frames, {switches} switches, both people seen in {seen}")

    return Figure(total, "identity switches", "0", total == 0)


def switches_in(
    tracker: FaceTracker, frames: Sequence[Frame], exchanged: Sequence[bool]
) -> tuple[int, int]:
    """Frames in which someone's id is not the one they had at first, and frames that show both
    people.
    """
    switches = seen = 0
    for index, (frame, turned) in enumerate(zip(frames, exchanged, strict=True)):
        ids = [face.person_id for face in tracker.update(frame, index / 30)]
        # Judged only where both are seen: a face that is hidden is nobody's.
        if len(ids) == 2:
            seen += 1
            switches += ids != (["p2", "p1"] if turned else ["p1", "p2"])

        # A third person in a video of two is a switch, too.
        switches += any(person not in {"p1", "p2"} for person in ids)

    return switches, seen


@bar("Q-5")
def the_swapped_face_flickers_no_more_than_its_target() -> Figure:
    """Second difference over time inside the face, of the encoded output relative to the input, on
    the solo video.
    """
    ratio, worst = flicker()
    print(f"worst frame {worst}")
    return Figure(ratio, "x the input's", "<= 1.25", ratio <= 1.25)


@bar("Q-14")
def an_instant_identity_does_not_flicker() -> Figure:
    """As Q-5, for an identity as it is registered, without refinement."""
    ratio, _ = flicker()
    return Figure(ratio, "x the input's", "<= 1.25", ratio <= 1.25)


def flicker(make: Callable[[], Swapper] = swapper) -> tuple[float, int]:
    """Return output's over input's mean second difference in the face, and the frame where their
    difference is greatest.
    """
    before = frames_of(SOLO)
    tracker = engine().tracker()
    # One mask for both: the face's place is the input's.
    hulls = [face_mask(frame, tracker, index / 30) for index, frame in enumerate(before)]

    with tempfile.TemporaryDirectory() as name:
        through_pipeline(SOLO, make, Path(name))
        after = frames_of(Path(name) / "out.nut")

    old, new = (second_differences([frame.y for frame in one], hulls) for one in (before, after))
    # The ratio of the means, and the frame that gained most, counted from one.
    return float(new.mean() / old.mean()), int(np.argmax(new - old)) + 1


def face_mask(frame: I420Frame, tracker: FaceTracker, time_s: float) -> NDArray[np.bool_]:
    """Where the face is: the hull of its landmarks."""
    mask = np.zeros(frame.y.shape, np.uint8)
    for tracked in tracker.update(frame, time_s):
        cv2.fillConvexPoly(mask, cv2.convexHull(tracked.face.landmarks).astype(np.int32), 1)
    return mask.astype(bool)


def second_differences(
    lumas: Sequence[NDArray[np.uint8]], masks: Sequence[NDArray[np.bool_]]
) -> NDArray[np.float64]:
    """For each inner frame the mean of |before - 2 now + after| inside its mask, in levels."""
    videos = zip(lumas, lumas[1:], lumas[2:], masks[1:], strict=False)
    # The middle frame's mask: a second difference belongs to it.
    return np.array(
        [
            np.abs(a[m].astype(np.int16) - 2 * b[m].astype(np.int16) + c[m]).mean()
            for a, b, c, m in videos
        ]
    )
