"""Bars of light and rim (V-5) and of skin tone (V-8), on images of evaluation people."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.bar import Figure, bar
from benchmarks.realism import readings
from benchmarks.realism.material import faces
from benchmarks.realism.swapped_images import SwappedImage, swapped_images
from models.inference.arrays import LUMA, RgbImage
from models.inference.mesh_points import BROWS, EYES, OUTER_LIPS
from models.training.dataset import to_canvas
from models.training.evaluation.measures import light_shift

Array = NDArray[Any]

RIM = (0.05, 0.7)  # of the mesh's own mask: where a swap's edge runs
RIM_SIGMA_PX = 3.0  # an edge is seen where neighbours agree, not in single pixels
WORST = 0.9  # quantile over swaps: where the worst tenth begins

CONTRAST_L = 25.0  # CIE lightness between two skins: dark on light, or light on dark
AROUND_PX = (4, 20)  # outside the hull: neck, ears and the forehead's rim
LIKE_SKIN = 14.0  # CIE distance in colour from the face's own that neck and ears keep within
HUES_DEG = (25.0, 80.0)  # of human skin in CIE Lab under the lights of portraits
CHROMAS = (7.0, 48.0)


@bar("V-5")
def light_is_the_targets_and_the_rim_is_not_seen() -> Figure:
    """L1 of low frequencies inside the face; level of the edge at the rim, 90th percentile."""
    swaps = swapped_images()
    light = np.array([light_shift(swap.after, swap.before, swap.mask) for swap in swaps])
    rims = np.array([rim_levels(swap) for swap in swaps])

    for name, rows in _by_contrast(swaps).items():
        print(f"{name} ({len(rows)}): light {light[rows].mean():.4f}, rim {rims[rows].mean():.1f}")

    worst = float(np.quantile(rims, WORST))
    print(
        f"all {len(swaps)}: light {light.mean():.4f} (<= .025), rim {rims.mean():.1f} (<= 9),"
        f" worst tenth from {worst:.1f} (<= 13)"
    )
    # The mean and the worst tenth: a rim that shows once in ten swaps is what people remember.
    holds = light.mean() <= 0.025 and rims.mean() <= 9 and worst <= 13

    return Figure(float(light.mean()), "light", "<= .025, rim <= 9 and 13", bool(holds))


def rim_levels(swap: SwappedImage) -> float:
    """Return the 90th percentile of the change in luma along the rim, in levels of 255."""
    change = (swap.after.astype(np.float32) - swap.before) @ LUMA
    smooth = np.abs(cv2.GaussianBlur(change, (0, 0), RIM_SIGMA_PX))
    rim = (swap.mask > RIM[0]) & (swap.mask < RIM[1])
    return float(np.percentile(smooth[rim], 90))


@bar("V-8")
def skin_fits_the_neck_and_stays_skin() -> Figure:
    """Face against neck, ears and forehead rim in CIE Lab, dark on light and light on dark."""
    groups = _by_contrast(swapped_images())
    ratios = []
    grey = 0

    for name in ("dark on light", "light on dark"):
        rows = [found for found in map(_skin, (swapped_images()[i] for i in groups[name])) if found]
        before, after, outside = (
            np.array(column, np.float64) for column in zip(*rows, strict=True)
        )
        ratios.append(after.mean() / before.mean())
        grey += int(outside.sum())
        # The 3 allows for what two looks at one neck differ by.
        within = (after <= 1.5 * before + 3).mean()
        print(
            f"{name} ({len(rows)}): {after.mean():.1f} from the neck (target {before.mean():.1f});"
            f" within 1.5 x + 3: {within:.0%}; not of a skin's colour: {int(outside.sum())}"
        )

    worst = max(ratios)
    return Figure(
        worst, "x the target's own", "<= 1.5, none out of range", worst <= 1.5 and not grey
    )


def _by_contrast(swaps: list[SwappedImage]) -> dict[str, list[int]]:
    """Return the places of swaps by how much lighter or darker the source is than the target."""
    mask = skin_of_canvas
    level = {
        row: float(np.median(_lab(faces().crops[row])[mask(row)][:, 0]))
        for row in {r for swap in swaps for r in (swap.pair.source, swap.pair.target)}
    }
    change = np.array([level[s.pair.source] - level[s.pair.target] for s in swaps])

    return {
        "dark on light": [int(i) for i in np.flatnonzero(change < -CONTRAST_L)],
        "alike": [int(i) for i in np.flatnonzero(np.abs(change) <= CONTRAST_L)],
        "light on dark": [int(i) for i in np.flatnonzero(change > CONTRAST_L)],
    }


def _skin(swap: SwappedImage) -> tuple[float, float, bool] | None:
    """Return colour distance face to surroundings in the target and in the result, and whether
    the result's colour is no skin's; None where the target has no neck to see or is grey."""
    before = _lab(swap.before)
    after = _lab(swap.after)
    face = skin_of(swap.mesh, swap.before.shape)
    own = np.median(before[face], axis=0)

    # Black-and-white photographs have no tone to keep.
    if not _is_skin(own):
        return None

    distance = np.linalg.norm(before - own, axis=-1)
    hull = readings.hull_mask(swap.mesh, before.shape).astype(np.uint8)
    away = cv2.distanceTransform(1 - hull, cv2.DIST_L2, 5)
    around = (away > AROUND_PX[0]) & (away < AROUND_PX[1]) & (distance < LIKE_SKIN)

    # Of 83,000 pixels of a crop file: less is an earlobe or noise.
    if around.sum() < 200:
        return None

    neck = np.median(before[around], axis=0)
    result = np.median(after[face], axis=0)
    return (
        float(np.linalg.norm(own - neck)),
        float(np.linalg.norm(result - neck)),
        not _is_skin(result),
    )


def _is_skin(lab: Array) -> bool:
    chroma = float(np.hypot(lab[1], lab[2]))
    hue = float(np.degrees(np.arctan2(lab[2], lab[1])))
    return CHROMAS[0] <= chroma <= CHROMAS[1] and HUES_DEG[0] <= hue <= HUES_DEG[1]


def _lab(image: RgbImage) -> Array:
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))


def skin_of(mesh: Array, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the inner face without eyes, brows and lips, bool [h, w]."""
    hull = readings.hull_mask(mesh, shape).astype(np.uint8)
    # Away from the rim, where blending mixes both skins.
    inside = readings.eroded(hull, 12)

    for outline in (*EYES, *BROWS, OUTER_LIPS):
        points = cv2.convexHull(np.rint(mesh[list(outline)]).astype(np.int32))
        cv2.fillConvexPoly(inside, points, 0)

    # Lashes and the lips' edges reach beyond the outlines.
    return np.asarray(cv2.erode(inside, np.ones((5, 5), np.uint8)) > 0)


def skin_of_canvas(row: int) -> NDArray[np.bool_]:
    """Return the same of an evaluation face in its crop file."""
    mesh = to_canvas(faces().meshes[row], faces().to_crop[row])
    return skin_of(mesh, faces().crops[row].shape)
