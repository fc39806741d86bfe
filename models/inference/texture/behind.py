"""What is behind a face at a texture's rim: wall, collar, ear and the hair beside a cheek.

The mesh's outline often lies past the face's own.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import LUMA, Landmarks, RgbImage
from models.inference.mesh_points import MOUTH_CORNERS, NOSE_BASE, OUTER_EYE_CORNERS
from models.inference.texture.hair import OUTLINE_PX

DOUBTFUL_PX = 26.0  # how far in from the outline a colour that is not the face's is looked for
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
# A chin that is this much less red over green than the skin is a grey or white beard.
BEARD_GREYER = 12.0
BEARD_SPREADS = 3.0  # robust ones, of the chin's own colours: what is nearer is beard as well
BEARD_LEAST = np.array([24.0, 8.0, 8.0], np.float32)  # levels of Lab, added: beards have shade
SHAVEN_LEVEL = 0.9  # of the cheeks' luma: a chin that is darker has a beard, or lies in the shade
# Beside a cheek, below the temple, above a beard: less than this share of the skin's luma is hair
# that hangs there, which a cheek's shade seldom is; and by so much at least, on dark skin.
HAIR_BESIDE_LEVEL = 0.5
HAIR_BESIDE_LEVELS = 30.0
BELOW_LIPS = 0.45  # of the way from the mouth's corners to the chin: no lip reaches that far down
CHIN = 152  # mesh point
RAYS = 720  # from the middle of the face: half a degree is one texel at its rim

Array = NDArray[Any]
Cells = NDArray[np.bool_]


def is_behind(texture: RgbImage, skin: Array, mesh: Landmarks, depth: Array) -> Cells:
    """Return where texels are not of the face: brighter than its skin nearby, or greyer.

    A beard is greyer than skin, too, and belongs to the face: below the nose what is much
    greyer has to be brighter as well, and near the outline, to be a wall or a collar; and what goes
    on from a white chin in its own colour is beard. What is as dark as hair beside a cheek hangs
    there. Where light falls from one side skin is brighter, and as warm; nothing of a face in
    common light is blue.
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
    chin = _is_chin(mesh, depth)
    below_lips, cheeks = _chin_and_cheeks(mesh, depth, chin)
    # A dark beard goes on from the chin; on a shaven one, what is dark beside the jaw is a curl.
    may_hang = (rows > float(mesh[list(OUTER_EYE_CORNERS), 1].mean())) & (
        bare | _is_shaven(texture, below_lips, cheeks)
    )
    # Nearer to the outline, what is dark is the jaw's own edge.
    beside = (depth > OUTLINE_PX) & (depth < BESIDE_JAW_PX)
    hair = (luma < darkest) & may_hang & beside
    beard = _beard(texture, (depth > 0) & ~bare, below_lips, cheeks)

    return np.asarray((brighter | greyer | wall | cold | hair) & ~chin & ~beard, bool)


def beyond(unlike: Cells, mesh: Landmarks) -> Cells:
    """Return what is unlike a face, and all that lies further out: nothing of a face is to be seen
    past a wall or a curl.
    """
    size = len(unlike)
    middle = mesh.mean(0)
    centre = (float(middle[0]), float(middle[1]))
    flags = cv2.WARP_POLAR_LINEAR | cv2.INTER_NEAREST
    shape = (size, RAYS)
    rays = cv2.warpPolar(unlike.astype(np.uint8), shape, centre, size, flags)
    hidden = np.maximum.accumulate(rays, axis=1)
    back = flags | cv2.WARP_INVERSE_MAP

    return np.asarray(cv2.warpPolar(hidden, (size, size), centre, size, back) > 0) | unlike


def _chin_and_cheeks(mesh: Landmarks, depth: Array, chin: Cells) -> tuple[Cells, Cells]:
    """Return where a beard is seen if there is one, and the skin that it is compared with."""
    rows = np.arange(len(depth))[:, None]
    mouth = float(mesh[list(MOUTH_CORNERS), 1].mean())
    cheeks = (depth > DOUBTFUL_PX) & (rows <= float(mesh[NOSE_BASE, 1]))
    cheeks &= rows > float(mesh[list(OUTER_EYE_CORNERS), 1].mean())
    # Clear of the lips, which are redder than any skin.
    sample = chin & (rows > mouth + BELOW_LIPS * (float(mesh[CHIN, 1]) - mouth))

    return sample, cheeks


def _is_shaven(texture: RgbImage, sample: Cells, cheeks: Cells) -> bool:
    if not sample.any() or not cheeks.any():
        return False
    level = texture.astype(np.float32) @ LUMA
    return float(np.median(level[sample])) > SHAVEN_LEVEL * float(np.median(level[cheeks]))


def _beard(texture: RgbImage, lower: Cells, sample: Cells, cheeks: Cells) -> Cells:
    """Return where a grey or white beard goes on over the lower face from the chin, in its colour;
    nowhere without.
    """
    if not sample.any() or not cheeks.any():
        return np.zeros_like(lower)

    red = texture[..., 0].astype(np.float32) - texture[..., 1]
    if float(np.median(red[sample])) > float(np.median(red[cheeks])) - BEARD_GREYER:
        return np.zeros_like(lower)

    lab = cv2.cvtColor(texture, cv2.COLOR_RGB2LAB).astype(np.float32)
    middle = np.median(lab[sample], axis=0)
    spread = np.median(np.abs(lab[sample] - middle), axis=0) * 1.48
    alike = (np.abs(lab - middle) < BEARD_SPREADS * spread + BEARD_LEAST).all(axis=-1) & lower
    _, parts = cv2.connectedComponents(alike.astype(np.uint8))
    names = np.unique(parts[sample & alike])

    return np.asarray(np.isin(parts, names[names > 0]))


def _is_chin(mesh: Landmarks, depth: Array) -> Cells:
    left, right = mesh[list(MOUTH_CORNERS)]
    middle = (left + right) / 2
    rows, columns = np.mgrid[: len(depth), : len(depth)]
    below = np.abs(columns - middle[0]) < CHIN_WIDTH / 2 * abs(right[0] - left[0])

    return np.asarray(below & (rows > middle[1]) & (depth > CHIN_RIM_PX), bool)


def _warmth(image: Array) -> Array:
    """Return red over blue as a share of luma; the 8 keeps black from dividing by nothing."""
    return np.asarray((image[..., 0] - image[..., 2]) / (image @ LUMA + 8))
