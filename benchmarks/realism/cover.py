"""Bar of cover (V-4): nothing is taken for an occluder that is none, and a hand is kept, in videos,
in first frames and in images.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.bar import Figure, bar
from benchmarks.realism.material import (
    BESIDE,
    CLEAR,
    COVERED,
    engine,
    evaluation,
    faces,
    videos,
)
from benchmarks.realism.swapped_videos import swapped_videos, uncovered_share
from models.inference.arrays import Landmarks, RgbImage
from models.inference.frames.affine import transform
from models.inference.frames.frame import Frame
from tests.models.demo_media import frames_of

ACTIVE = 0.01  # of the inner face left uncovered: what is less is an edge
EVERY = 3  # hand frames taken as images: neighbours are alike
# From deep shade to a lamp at the side; darker still, and the mesh itself is lost.
SHADOWS = (0.35, 0.6)  # light in the dark half of a face, over the other half's
SHADOW_EDGE_PX = (1.0, 8.0)


@bar("V-4")
def only_what_covers_the_face_stays() -> Figure:
    """Share of clear frames in which something is left uncovered, and of hand frames likewise; the
    same of hand frames as single images, and of clear images half of which is in shadow.
    """
    clear: list[np.ndarray] = []
    covered: list[np.ndarray] = []

    for video in swapped_videos():
        active = video.covers > ACTIVE
        if video.target in CLEAR:
            clear.append(active)
            print(f"{video.name:28} clear: active in {active.mean():.1%}")

        if video.target in BESIDE:
            beside = _within(video.frames, BESIDE[video.target])
            print(f"{video.name:28} hand beside the face: active in {active[beside].mean():.1%}")

        if video.target in COVERED:
            hand = _within(video.frames, COVERED[video.target])
            if not hand.any():  # the engine left this face alone: nothing is painted over
                continue

            covered.append(active[hand])
            print(f"{video.name:28} hand: kept in {active[hand].mean():.1%} of {hand.sum()} frames")

    false = float(np.concatenate(clear).mean())
    kept = float(np.concatenate(covered).mean())
    alone = _kept_in_images()
    shaded = _taken_for_cover_in_shadow()
    print(f"videos: hands kept in {kept:.1%} of frames; single images: {alone:.1%}")
    print(f"clear images, half in shadow: active in {shaded:.1%}")
    holds = max(false, shaded) <= 0.02 and min(kept, alone) >= 0.9
    bounds = "<= .02, half shadows too; hands kept in >= .9, as images too"

    return Figure(false, "of the clear frames", bounds, holds)


def _within(frames: np.ndarray, first_and_last: tuple[int, int]) -> np.ndarray:
    first, last = first_and_last
    return np.asarray((frames >= first) & (frames <= last))


def _kept_in_images() -> float:
    """Return the share of hand frames whose hand is seen with no frame before: as first frames are,
    and images.
    """
    kept = []
    for name, (first, last) in COVERED.items():
        if name not in videos():
            continue

        frames = frames_of(videos()[name])[first : last + 1 : EVERY]
        found = [face for frame in frames for face in _crops(frame)]
        active = [_active(crop, landmarks) for crop, landmarks in found]
        print(f"{name:28} as images: kept in {np.mean(active):.1%} of {len(active)}")
        kept += active

    return float(np.mean(kept))


def _crops(frame: Frame) -> list[tuple[RgbImage, Landmarks]]:
    detections = engine().detector.find(frame)
    found = []

    # The videos show one person; a second detection would be a false one.
    for detection in detections[:1]:
        landmarks = engine().mesh.settle(frame, detection).landmarks
        to_crop = engine().painter.swap_crop(landmarks)
        crop = frame.rgb_crop(to_crop, 224, extend=True)
        found.append((crop, transform(landmarks, to_crop)))

    return found


def _taken_for_cover_in_shadow() -> float:
    """Return the share of evaluation people in half shadow that something is left uncovered of."""
    rng = np.random.default_rng(4)
    sources = evaluation().sources
    # Hair over a cheek and dark glasses stay in any light: who has them is not clear.
    rows = [r for r in sources if not _active(faces().swap_crop(r), faces().meshes[r])]
    print(f"{len(sources) - len(rows)} of {len(sources)} people are partly covered in plain light")

    return float(
        np.mean([_active(_half_dark(faces().swap_crop(r), rng), faces().meshes[r]) for r in rows])
    )


def _half_dark(crop: RgbImage, rng: np.random.Generator) -> RgbImage:
    # From any side, and not always through the middle.
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:224, :224] - 112.0
    side = (x * np.cos(turn) + y * np.sin(turn) > rng.normal(0, 15)).astype(np.float32)
    soft = cv2.GaussianBlur(side, (0, 0), rng.uniform(*SHADOW_EDGE_PX))
    dark = rng.uniform(*SHADOWS)
    light: NDArray[np.float32] = dark + (1 - dark) * soft

    return np.asarray(crop * light[..., None] + 0.5, np.uint8)


def _active(crop: RgbImage, landmarks: Landmarks) -> bool:
    """Return whether a crop alone makes the engine leave something of the inner face uncovered."""
    finder = engine().painter.cover
    cover = None if finder is None else finder.find(crop, landmarks)

    if cover is None:
        return False

    return uncovered_share(1 - cover, np.eye(2, 3), landmarks) > ACTIVE
