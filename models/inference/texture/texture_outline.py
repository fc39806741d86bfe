"""What a photo has in a face's texture that is not the face, taken out: hair, ear or wall at its
rim, teeth.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import LUMA, Landmarks, Mask, RgbImage
from models.inference.mesh_points import EYES, INNER_LIPS, MOUTH_CORNERS, OUTER_EYE_CORNERS
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.hair import depth_inside, hair_score, hanging_in, upper_face

RIM_PX = 4.0  # of 224: the mesh's outline is this far off, so that the rim is never sure to be skin
DOUBTFUL_PX = 26.0  # how far in from the outline a colour that is not the face's is looked for
# How far colours are carried by a blur, in px of 224.
SKIN_SIGMA = 16.0  # over the doubtful rim, from the skin further in
FILL_SIGMA = 5.0  # into what is replaced, from what is good nearby: it keeps the cheek's own tone
SHADE_SIGMA = 6.0  # shade is wider than that, detail of the skin finer
SEAM_SIGMA = 1.5  # between what is kept and what is filled
LIP_SIGMA = 2.5  # from one lip to the other
LIP_SEAM_SIGMA = 0.8  # narrow, or the lips' own edge would be blurred
# What is behind a face is greyer than the skin nearby, or brighter. Darker is shade and hair: they
# belong to it.
GREYER_LEVELS = 18.0  # of red over green, where skin has 25 to 45
BRIGHTER_LEVELS = 35.0
DARKER_LEVELS = 25.0
# Red over blue, by luma: skin in bright light is as warm as the rest, a wall or a collar is not. A
# highlight has half of the warmth; skin of a grey photo has none, and cannot be told by it.
LIT_WARMTH = 0.45
LEAST_WARMTH = 0.1
COLD = -0.08  # a blue wall in the shade is as dark as hair and beard, which are grey at most
# What the mesh's outline is off at most where a jaw is narrow, and how a wall beside it differs
# from skin: less grey, or darker, is the jaw's own shade, without which a narrow face is broad.
BESIDE_JAW_PX = 16.0
WALL_GREYER = 26.0
WALL_BRIGHTER = 8.0
# Below the mouth, up to so many times as wide as it and so far in from the outline, there is chin
# and beard, be it white: walls and collars lie beside the jaw.
CHIN_WIDTH = 1.3
CHIN_RIM_PX = 6.0
# Beside a cheek, below the temple, above a beard: less than this share of the skin's luma is hair
# that hangs there, which a cheek's shade seldom is; and by so much at least, on dark skin.
HAIR_BESIDE_LEVEL = 0.5
HAIR_BESIDE_LEVELS = 30.0
HAIR_RIM_PX = 10.0  # hair reaches at least this near to the outline
CARRIED_SCORE = 0.6  # of hair: half as dark as hair already, a shaded forehead has .4
HIDDEN_SHARE = 0.6  # of a forehead: what hides less is a parting, or a side that lies in the shade
NEAR_BROWS = (4, 4)  # canonical brows are where they are: a fringe may reach down to them
# Under a fringe that hides the forehead, what is above a brow is fringe, and so is its upper part:
# kept whole, it is a black bar. What is left has a brow's place and shape, and the hair's colour.
UNDER_FRINGE = (0, 2)
BROW_UNDER_FRINGE = 0.6
NOSE_BASE = 2  # mesh point: below it, what is grey is a beard

Pixels = NDArray[Any]


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


def cleaned(texture: RgbImage, mesh: Landmarks) -> RgbImage:
    """Return a canonical texture whose rim is skin and goes on outwards as skin, and whose lips are
    closed.

    `mesh` is the canonical mesh in the texture's pixels. Near its outline, texels that are not of
    the colour of the skin further in but of what is behind it, and all that is outside, take the
    colour of what is good nearby. Between the lips an open mouth is always the target's; on a
    closed one the texture's teeth would show as a line.
    """
    depth = depth_inside(mesh, len(texture))
    score = hair_score(texture, mesh)
    hair = _hair(score, mesh, depth)
    if _is_fringed(hair, mesh, depth):
        hair |= _hair(score, mesh, depth, UNDER_FRINGE, BROW_UNDER_FRINGE)

    sure = (depth > DOUBTFUL_PX) & ~hair
    bare = ~_may_be_hair(score, hair, mesh, depth)
    skin = _carried(texture, (sure & bare).astype(np.float32), SKIN_SIGMA)
    behind = (_is_behind(texture, skin, mesh, depth) & (depth <= DOUBTFUL_PX)).astype(np.uint8)
    bad = (cv2.dilate(behind, np.ones((5, 5), np.uint8)).astype(bool) & ~sure) | hair
    good = ((depth > RIM_PX) & ~bad).astype(np.float32)
    source = good * bare
    near = cv2.GaussianBlur(source, (0, 0), FILL_SIGMA)[..., None]
    reach = np.clip(near * 20, 0, 1)  # where nothing good is near, the carried skin has to do
    fill = _carried(texture, source, FILL_SIGMA) * reach + skin * (1 - reach)
    kept = cv2.GaussianBlur(cv2.erode(good, np.ones((3, 3), np.uint8)), (0, 0), SEAM_SIGMA)[
        ..., None
    ]

    return np.asarray(
        np.clip(_lips_closed(texture * kept + fill * (1 - kept), mesh) + 0.5, 0, 255), np.uint8
    )


def _lips_closed(texture: Pixels, mesh: Landmarks) -> Pixels:
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


def _may_be_hair(
    score: Pixels, hair: NDArray[np.bool_], mesh: Landmarks, depth: Pixels
) -> NDArray[np.bool_]:
    """Return what above the eyes is as dark as hair under a fringe that hides the forehead: what is
    left of it hangs into the brows, and is not carried over it.
    """
    rows = np.arange(len(score))[:, None]
    above = (score > CARRIED_SCORE) & (rows < float(mesh[list(OUTER_EYE_CORNERS), 1].mean()))

    return np.asarray(above & _is_fringed(hair, mesh, depth), bool)


def _is_fringed(hair: NDArray[np.bool_], mesh: Landmarks, depth: Pixels) -> bool:
    """Whether hair hides the forehead."""
    forehead = upper_face(mesh, len(hair), NEAR_BROWS) & (depth > RIM_PX)
    hidden = int((hair & forehead).sum()) / max(int(forehead.sum()), 1)
    return hidden > HIDDEN_SHARE


def _hair(
    score: Pixels,
    mesh: Landmarks,
    depth: Pixels,
    reach: tuple[int, int] = NEAR_BROWS,
    brow_share: float = 1.0,
) -> NDArray[np.bool_]:
    """Return where the photo's own hair hangs over the forehead, with its soft edge."""
    upper = upper_face(mesh, len(score), reach, brow_share)
    found = (score > 1) & upper
    solid = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    hanging = hanging_in(solid > 0, depth, HAIR_RIM_PX).astype(np.uint8)

    return np.asarray((cv2.dilate(hanging, np.ones((9, 9), np.uint8)) > 0) & upper)


def _at_the_cheeks(depth: Pixels, mesh: Landmarks) -> Pixels:
    """1 at the rim, 0 further in; and 0 above the eyes, where the dark at the rim is hair."""
    eyes = float(mesh[list(OUTER_EYE_CORNERS), 1].mean())
    mouth = float(mesh[list(MOUTH_CORNERS), 1].mean())
    rows = np.arange(len(depth), dtype=np.float32)[:, None]
    lower = np.clip((rows - eyes) / (0.4 * (mouth - eyes)), 0, 1)

    return np.asarray(np.clip(1 - depth / DOUBTFUL_PX, 0, 1) * lower)


def _is_behind(
    texture: RgbImage, skin: Pixels, mesh: Landmarks, depth: Pixels
) -> NDArray[np.bool_]:
    """Return where texels are not of the face: brighter than its skin nearby, or greyer.

    A beard is greyer than skin, too, and belongs to the face: below the nose what is much
    greyer has to be brighter as well, and near the outline, to be a wall or a collar. What is as
    dark as hair beside a cheek hangs there. Where light
    falls from one side skin is brighter, and as warm; nothing of a face in common light is blue.
    """
    change = texture - skin
    luma = change @ LUMA
    red = change[..., 0] - change[..., 1]
    rows = np.arange(len(change))[:, None]
    bare = rows < float(mesh[NOSE_BASE, 1])
    own = _warmth(skin)
    warmth = _warmth(texture.astype(np.float32))
    is_told = own > LEAST_WARMTH
    lit = (warmth > LIT_WARMTH * own) & is_told
    cold = (warmth < COLD) & is_told
    greyer = (red < -GREYER_LEVELS) & (luma > -DARKER_LEVELS) & bare & ~lit
    wall = (red < -WALL_GREYER) & (luma > WALL_BRIGHTER) & (depth < BESIDE_JAW_PX)
    brighter = (luma > BRIGHTER_LEVELS) & ~lit
    darkest = np.minimum((HAIR_BESIDE_LEVEL - 1) * (skin @ LUMA), -HAIR_BESIDE_LEVELS)
    is_cheek = bare & (rows > float(mesh[list(OUTER_EYE_CORNERS), 1].mean()))
    hair = (luma < darkest) & is_cheek & (depth < BESIDE_JAW_PX)

    return np.asarray((brighter | greyer | wall | cold | hair) & ~_is_chin(mesh, depth), bool)


def _is_chin(mesh: Landmarks, depth: Pixels) -> NDArray[np.bool_]:
    left, right = mesh[list(MOUTH_CORNERS)]
    middle = (left + right) / 2
    rows, columns = np.mgrid[: len(depth), : len(depth)]
    below = np.abs(columns - middle[0]) < CHIN_WIDTH / 2 * abs(right[0] - left[0])

    return np.asarray(below & (rows > middle[1]) & (depth > CHIN_RIM_PX), bool)


def _warmth(image: Pixels) -> Pixels:
    """Return red over blue as a share of luma; the 8 keeps black from dividing by nothing."""
    return np.asarray((image[..., 0] - image[..., 2]) / (image @ LUMA + 8))


def _carried(texture: RgbImage, weight: Pixels, sigma: float) -> Pixels:
    """Blur a texture by what has weight alone: its colour is carried to where there is none."""
    total = cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
    return np.asarray(cv2.GaussianBlur(texture * weight[..., None], (0, 0), sigma) / (total + 1e-6))
