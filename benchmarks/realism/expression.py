"""Bar of expression over time (V-3): what the target's face does, the output does as much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bar import Figure, bar
from benchmarks.realism.material import COVERED, pooled_correlation, pooled_slope
from benchmarks.realism.swapped_video import SwappedVideo
from benchmarks.realism.swapped_videos import swapped_videos
from models.inference.finding.alignment import eye_distance

Array = NDArray[Any]

# Beyond, half of the mouth and one eye are guessed by the mesh.
MAX_YAW_DEG = 35.0
# Least slopes. Brow height is not held as tightly: brows of two people stand differently.
LEAST = {"eye opening": 0.8, "brow height": 0.7, "mouth opening": 0.9, "mouth width": 0.9}
# A slope alone could come from few large movements at the wrong time.
LEAST_CORRELATION = 0.9
# Standard deviation over time, of the eye distance: two to three times what one look of the network
# differs from the next (.005 to .008). A video in which a measure moves less says nothing of it.
MOVING = {"eye opening": 0.02, "brow height": 0.012, "mouth opening": 0.02, "mouth width": 0.02}


@bar("V-3")
def expression_follows_the_target() -> Figure:
    """Slope over time of the output's eye opening, brow height, mouth opening and width."""
    slopes = {}
    correlations = {}

    for name, least in LEAST.items():
        pairs = [(video.name, *_series(video, name)) for video in swapped_videos()]
        # A series that hardly moves has a slope of noise over noise.
        moving = [(label, new, old) for label, new, old in pairs if old.std() > MOVING[name]]
        new_series = [new for _, new, _ in moving]
        old_series = [old for _, _, old in moving]
        slopes[name] = pooled_slope(new_series, old_series)
        correlations[name] = pooled_correlation(new_series, old_series)

        _print_floor(name)
        for label, new, old in moving:
            print(f"  {label:28} {name}: {pooled_slope([new], [old]):.2f}")

        print(
            f"{name}: slope {slopes[name]:.3f} (>= {least}), correlation"
            f" {correlations[name]:.3f}, over {len(moving)} of {len(pairs)} videos"
        )

    holds = all(slopes[name] >= least for name, least in LEAST.items())
    mouth_follows = min(correlations["mouth opening"], correlations["mouth width"])
    holds &= mouth_follows >= LEAST_CORRELATION
    # By how much of its own bound each reaches: the bounds differ.
    weakest = min(LEAST, key=lambda name: slopes[name] / LEAST[name])
    bounds = "opening >= .8, brow >= .7, mouth >= .9 with correlation >= .9"

    return Figure(slopes[weakest], f"slope of {weakest}, the weakest", bounds, holds)


def _series(video: SwappedVideo, name: str) -> tuple[Array, Array]:
    """Return a measure of the output and of the target over the frames that can be measured."""
    chosen = _measurable(video)

    if name == "eye opening":
        # In target eye widths relative to each person's median: eyes are of different shapes.
        new = video.new_openings / np.median(video.new_openings)
        old = video.openings / np.median(video.openings)
        return new[chosen] * 0.25, old[chosen] * 0.25

    measure = MEASURES[name]
    # Each face is read twice, the second time in a mirror: movements of half a pixel drown in what
    # one look differs by from the next.
    new = (measure(video.new_meshes) + measure(video.new_mirrors)) / 2
    old = (measure(video.meshes) + measure(video.mirrors)) / 2
    # Both by the target's eye distance: the output's own would hide a change of size.
    scale = _eye_distances(video)

    return (new / scale)[chosen], (old / scale)[chosen]


def _print_floor(name: str) -> None:
    """Print what one look at the target's own frames says of the other: no swap can follow better
    than the same face follows itself.
    """
    if name not in MEASURES:
        return

    measure = MEASURES[name]
    looks: list[tuple[Array, Array]] = []
    for video in {video.target: video for video in swapped_videos()}.values():
        scale = _eye_distances(video)
        one, other = (measure(meshes) / scale for meshes in (video.meshes, video.mirrors))
        chosen = _measurable(video)
        if one[chosen].std() > MOVING[name]:
            looks.append((other[chosen], one[chosen]))

    others = [other for other, _ in looks]
    ones = [one for _, one in looks]
    print(
        f"{name}: the target itself, one look on the other: slope {pooled_slope(others, ones):.2f},"
        f" correlation {pooled_correlation(others, ones):.2f}, over {len(looks)} videos"
    )


def _measurable(video: SwappedVideo) -> Array:
    chosen: Array = np.abs(video.yaws) < MAX_YAW_DEG
    if video.target in COVERED:
        first, last = COVERED[video.target]
        # A hand over the mouth is the hand's movement.
        chosen &= (video.frames < first) | (video.frames > last)

    return chosen


def _eye_distances(video: SwappedVideo) -> Array:
    return np.array([eye_distance(mesh) for mesh in video.meshes])


def _mouth_opening(meshes: Array) -> Array:
    # The inner lips' middles.
    return np.asarray(np.linalg.norm(meshes[:, 13] - meshes[:, 14], axis=-1))


def _mouth_width(meshes: Array) -> Array:
    # The mouth's corners.
    return np.asarray(np.linalg.norm(meshes[:, 61] - meshes[:, 291], axis=-1))


def _brow_height(meshes: Array) -> Array:
    """Return how far the brows' middles stand above the lines between the eyes' corners."""
    heights = []
    for brow, outer, inner in ((105, 33, 133), (334, 263, 362)):
        along = meshes[:, inner] - meshes[:, outer]
        to_brow = meshes[:, brow] - meshes[:, outer]
        # The cross product: independent of how the head is tilted in the image.
        across = along[:, 0] * to_brow[:, 1] - along[:, 1] * to_brow[:, 0]
        heights.append(np.abs(across) / np.linalg.norm(along, axis=-1))

    return np.asarray(np.mean(heights, axis=0))


MEASURES: dict[str, Callable[[Array], Array]] = {
    "brow height": _brow_height,
    "mouth opening": _mouth_opening,
    "mouth width": _mouth_width,
}
