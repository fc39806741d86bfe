"""What a photo has in a face's texture that is not the face, taken out: hair, ear or wall at its
rim, teeth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, Mask, RgbImage
from models.inference.mesh_points import BROWS, EYES, INNER_LIPS, MOUTH_CORNERS, OUTER_EYE_CORNERS
from models.inference.texture.behind import DOUBTFUL_PX, beyond, is_behind
from models.inference.texture.covering import Covering, glasses_of
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.hair import OUTLINE_PX, depth_inside
from models.inference.texture.source_hair import hair_over

EDGE_PX = 9  # half of it around what is behind is of both: turned away skin is sampled coarsely
# From hair on a forehead gets as light as the rest: where the hair goes, its shadow has to go, too,
# or it stays as a patch.
HAIR_SHADOW_PX = 10.0
# How far colours are carried by a blur, in px of 224.
SKIN_SIGMA = 16.0  # over the doubtful rim, from the skin further in
FILL_SIGMA = 8.0  # into what is replaced, from good skin nearby: it keeps the cheek's own tone
DETAIL_SIGMA = 8.0  # what the other side lends is finer: as wide as a brow, narrower than its light
DETAIL_RANGE = (0.5, 1.5)  # of its surroundings: a brow's hair is no darker, a pore no lighter
DETAIL_FLOOR = 8.0  # levels: keeps ratios of the dark apart from noise
SHADE_SIGMA = 6.0  # shade is wider than that, detail of the skin finer
SEAM_SIGMA = 1.5  # between what is kept and what is filled
LIP_SIGMA = 2.5  # from one lip to the other
LIP_SEAM_SIGMA = 0.8  # narrow, or the lips' own edge would be blurred
# Of what is as dark as a fringe in the brows that it hides: a brow lets skin through, a fringe does
# not, and would be a black bar.
FRINGE_IN_BROWS = 0.4

Array = NDArray[Any]


def texture_mesh(canonical: CanonicalFace) -> Landmarks:
    """Return where the canonical mesh lies in its textures, float32 [468, 2] in pixels."""
    return np.asarray(canonical.mesh[:, :2] * canonical.scale + canonical.offset, np.float32)


def eye_zone(canonical: CanonicalFace) -> Mask:
    """Return 0 on the eyes of a canonical texture and 1 elsewhere, float32 [224, 224]."""
    mesh = texture_mesh(canonical)
    zone = np.ones(canonical.mask.shape, np.float32)

    for lids in EYES:
        cv2.fillConvexPoly(zone, cv2.convexHull(np.rint(mesh[list(lids)]).astype(np.int32)), 0.0)

    return np.asarray(cv2.erode(zone, np.ones((7, 7), np.uint8)))


def cleaned(texture: RgbImage, mesh: Landmarks, covering: Covering | None = None) -> RgbImage:
    """Return a canonical texture whose rim is skin and goes on outwards as skin, and whose lips are
    closed.

    `mesh` is the canonical mesh in the texture's pixels, `covering` what the cover network sees in
    front of the face. Hair; texels near the outline that are not of the colour of the skin further
    in but of what is behind it; what lies beyond either; and all that is outside take the colour
    of what is good nearby. Glasses stay whole. Between the lips an open mouth is always the
    target's; on a closed one the texture's teeth would show as a line.
    """
    shown = _Shown.of(texture, mesh, covering)
    near = cv2.GaussianBlur(shown.skin, (0, 0), FILL_SIGMA)[..., None]
    reach = np.clip(near * 20, 0, 1)  # where nothing good is near, the carried tone has to do
    fill = _carried(texture, shown.skin, FILL_SIGMA) * reach + shown.tone * (1 - reach)
    fill = fill * _detail_opposite(texture, shown.face)
    kept = cv2.GaussianBlur(shown.kept, (0, 0), SEAM_SIGMA)[..., None]
    mixed = texture * kept + fill * (1 - kept)

    return np.asarray(np.clip(_lips_closed(mixed, mesh) + 0.5, 0, 255), np.uint8)


@dataclass(frozen=True)
class _Shown:
    """What a texture shows: float32 [224, 224] in 0..1 each, but for `tone`.

    `face` is where it shows the face itself, clear of hair's shadow, `skin` where bare skin, `kept`
    what stays as it is; `tone` [224, 224, 3] is the skin's colour, carried outwards.
    """

    face: Array
    skin: Array
    kept: Array
    tone: Array

    @classmethod
    def of(cls, texture: RgbImage, mesh: Landmarks, covering: Covering | None) -> _Shown:
        depth = depth_inside(mesh, len(texture))
        hair, doubtful = hair_over(texture, mesh, depth, covering)
        glasses = glasses_of(covering, depth)
        features = _brows_and_eyes(mesh, len(texture))
        bare = ~doubtful & ~features
        sure = (depth > DOUBTFUL_PX) & ~hair
        tone = _carried(texture, (sure & bare).astype(np.float32), SKIN_SIGMA)

        behind = is_behind(texture, tone, mesh, depth) & (depth <= DOUBTFUL_PX)
        unlike = hair | (_widened(behind) & ~sure)
        hidden = hair | (beyond(unlike, mesh) & (depth <= DOUBTFUL_PX))
        # Glasses stay; but a wall seen through a lens, or past a frame, is a wall.
        face = ((depth > OUTLINE_PX) & ~behind & (~hidden | glasses)).astype(np.float32)

        within = hair & (depth > OUTLINE_PX + EDGE_PX / 2)
        clear = np.maximum(_clear_of(within), features | glasses)
        kept = cv2.erode(face, np.ones((3, 3), np.uint8)) * (1 - FRINGE_IN_BROWS * doubtful) * clear
        skin = face * bare * clear

        own = np.asarray(face * ~doubtful * clear, np.float32)
        return cls(own, skin, np.asarray(kept, np.float32), tone)


def _clear_of(hair: NDArray[np.bool_]) -> Array:
    """Return 0 on hair, rising to 1 where neither its shadow nor its last strands reach."""
    away = cv2.distanceTransform((~hair).astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(np.clip(away / HAIR_SHADOW_PX, 0, 1), np.float32)


def _brows_and_eyes(mesh: Landmarks, size: int) -> NDArray[np.bool_]:
    """Return where brows and eyes are: their colours are not to be carried over a temple."""
    drawn = np.zeros((size, size), np.uint8)
    for outline in (*BROWS, *EYES):
        cv2.fillConvexPoly(drawn, cv2.convexHull(np.rint(mesh[list(outline)]).astype(np.int32)), 1)

    return _widened(drawn)


def _widened(cells: Array) -> NDArray[np.bool_]:
    edge = np.ones((EDGE_PX, EDGE_PX), np.uint8)
    return np.asarray(cv2.dilate(cells.astype(np.uint8), edge) > 0)


def _detail_opposite(texture: RgbImage, source: Array) -> Array:
    """Return by how much each texel of the face's other side is lighter than what is around it: the
    end of a brow, pores and folds, without the light that falls there. 1 where it shows none.
    """
    around = _carried(texture, source, DETAIL_SIGMA)
    ratio = (texture + DETAIL_FLOOR) / (around + DETAIL_FLOOR)
    shown = cv2.GaussianBlur(cv2.erode(source, np.ones((5, 5), np.uint8)), (0, 0), SEAM_SIGMA)
    detail = 1 + (np.clip(ratio, *DETAIL_RANGE) - 1) * shown[..., None]

    return np.asarray(detail[:, ::-1])


def _lips_closed(texture: Array, mesh: Landmarks) -> Array:
    """Fill what is between the lips with the lips' colour."""
    between = np.zeros(texture.shape[:2], np.float32)
    cv2.fillPoly(between, [np.rint(mesh[list(INNER_LIPS)] * 16).astype(np.int32)], 1.0, shift=4)
    soft = cv2.GaussianBlur(between, (0, 0), LIP_SEAM_SIGMA)[..., None]
    return np.asarray(texture + (_carried(texture, 1 - between, LIP_SIGMA) - texture) * soft)


def without_shade(texture: RgbImage, mesh: Landmarks) -> RgbImage:
    """Return a cleaned texture without the shade that a frontal photo has at the cheeks' rim.

    Seen from the front it makes a face as slim as it is; on a turned face, where the rim comes into
    view, it would be a smudge. The detail stays.
    """
    depth = depth_inside(mesh, len(texture))
    skin = _carried(texture, (depth > DOUBTFUL_PX).astype(np.float32), SKIN_SIGMA)
    shade = skin - cv2.GaussianBlur(texture.astype(np.float32), (0, 0), SHADE_SIGMA)

    return np.asarray(
        np.clip(texture + shade * _at_the_cheeks(depth, mesh)[..., None] + 0.5, 0, 255), np.uint8
    )


def _at_the_cheeks(depth: Array, mesh: Landmarks) -> Array:
    """1 at the rim, 0 further in; and 0 above the eyes, where the dark at the rim is hair."""
    eyes = float(mesh[list(OUTER_EYE_CORNERS), 1].mean())
    mouth = float(mesh[list(MOUTH_CORNERS), 1].mean())
    rows = np.arange(len(depth), dtype=np.float32)[:, None]
    lower = np.clip((rows - eyes) / (0.4 * (mouth - eyes)), 0, 1)

    return np.asarray(np.clip(1 - depth / DOUBTFUL_PX, 0, 1) * lower)


def _carried(texture: RgbImage, weight: Array, sigma: float) -> Array:
    """Blur a texture by what has weight alone: its colour is carried to where there is none."""
    total = cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
    return np.asarray(cv2.GaussianBlur(texture * weight[..., None], (0, 0), sigma) / (total + 1e-6))
