"""Bar of cover (V-4): nothing is taken for an occluder that is none, and a hand is kept."""

from __future__ import annotations

import numpy as np

from benchmarks.bar import Figure, bar
from benchmarks.realism.clips import swapped_clips
from benchmarks.realism.material import CLEAR, COVERED

ACTIVE = 0.01  # of the inner face left uncovered: what is less is an edge


@bar("V-4")
def only_what_covers_the_face_stays() -> Figure:
    """Share of clear frames in which something is left uncovered, and of hand frames likewise."""
    clear: list[np.ndarray] = []
    covered: list[np.ndarray] = []
    first_frames: list[bool] = []
    for clip in swapped_clips():
        active = clip.covers > ACTIVE
        if clip.clip in CLEAR:
            clear.append(active)
            print(f"{clip.name:28} clear: active in {active.mean():.1%}")
        if clip.clip in COVERED:
            first, last = COVERED[clip.clip]
            hand = (clip.frames >= first) & (clip.frames <= last)
            covered.append(active[hand])
            first_frames.append(bool(active[hand][0]))
            print(f"{clip.name:28} hand: kept in {active[hand].mean():.1%} of {hand.sum()} frames")
    false = float(np.concatenate(clear).mean())
    kept = float(np.concatenate(covered).mean())
    print(f"hands kept in {kept:.1%} of frames, in {np.mean(first_frames):.0%} of first frames")
    holds = false <= 0.02 and kept >= 0.9
    return Figure(false, "of the clear frames", "<= .02, hands kept in >= .9", holds)
