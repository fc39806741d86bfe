"""Bar of flicker and jitter (V-10): a swap is as steady as its video, in every video."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bar import Figure, bar
from benchmarks.realism.swapped_videos import swapped_videos
from models.inference.arrays import Landmarks
from models.inference.finding.alignment import align
from models.inference.frames.affine import transform

Array = NDArray[Any]

# A quarter more than the video's own noise, which nobody sees side by side.
MAX_FLICKER = 1.25


@bar("V-10")
def swaps_flicker_no_more_than_their_videos() -> Figure:
    """Second difference in time, output over input: luma inside the face, and landmarks."""
    flickers: list[float] = []
    jitters: list[float] = []

    for video in swapped_videos():
        flickers.append(float(video.new_tremble.mean() / video.tremble.mean()))
        # The result placed by the target's own fit: else a shift of the whole face would drop out.
        jitters.append(trembling(video.new_meshes, video.meshes) / trembling(video.meshes))
        print(f"{video.name:28} flicker {flickers[-1]:.2f}, jitter {jitters[-1]:.2f}")

    above = sum(ratio > MAX_FLICKER for ratio in flickers)
    shaky = sum(ratio > 1 for ratio in jitters)
    print(f"flicker: mean {np.mean(flickers):.2f}, {above} of {len(flickers)} above {MAX_FLICKER}")
    print(f"jitter: mean {np.mean(jitters):.2f}, {shaky} of {len(jitters)} above the target's")
    worst = max(flickers)

    return Figure(worst, "x the video's, worst", "<= 1.25 each, jitter <= 1", not above + shaky)


def trembling(track: Array, placed_by: Array | None = None) -> float:
    """Return the mean second difference of landmarks aligned to the template, in its pixels."""
    fits: Array = track if placed_by is None else placed_by
    to_template = align(np.asarray(fits[0], np.float32), "similarity")
    aligned: list[Landmarks] = [transform(landmarks, to_template) for landmarks in track]
    return float(np.linalg.norm(np.diff(np.stack(aligned), 2, axis=0), axis=-1).mean())
