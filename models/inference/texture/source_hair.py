"""The hair that hangs over a face in its photo: where a texture shows it in place of skin.

Where the pack has a cover network, that says it: it knows a curl from a shadow, and fair hair from
fair skin. Without one, hair is what is darker than skin, or of another hue, and hangs in from the
rim.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, RgbImage
from models.inference.mesh_points import OUTER_EYE_CORNERS
from models.inference.texture.covering import Covering
from models.inference.texture.hair import OUTLINE_PX, hair_score, hanging_in, upper_face

HAIR_RIM_PX = 10.0  # hair reaches at least this near to the outline
# Of the cover network's answer: hair is where it is sure of some of it, as far as it doubts skin at
# all: of fair fringes it sees the ends surely and the middle hardly.
SEEN_SURE = 0.5
SEEN_DOUBTED = 0.1
MOST_HAIR = 0.5  # of a face: a fringe down to the brows hides a quarter of it
EDGE_PX = 9  # half of it is the soft edge of a fringe, which is neither hair nor skin
# Beside the network's answer: less than half as light as skin is hair, which it missed.
CERTAIN_SCORE = 1.5
CARRIED_SCORE = 0.6  # of hair: half as dark as hair already, a shaded forehead has .4
HIDDEN_SHARE = 0.6  # of a forehead: what hides less is a parting, or a side that lies in the shade
NEAR_BROWS = (4, 4)  # canonical brows are where they are: a fringe may reach down to them
# Under a fringe that hides the forehead, what is above a brow is fringe, and so is its upper part:
# kept whole, it is a black bar. What is left has a brow's place and shape, and the hair's colour.
UNDER_FRINGE = (0, 2)
BROW_UNDER_FRINGE = 0.6

Array = NDArray[Any]
Cells = NDArray[np.bool_]


def hair_over(
    texture: RgbImage, mesh: Landmarks, depth: Array, covering: Covering | None
) -> tuple[Cells, Cells]:
    """Return where a texture shows hair, and what more is not to be carried over it for skin.

    Args:
        texture: uint8 [224, 224, 3] RGB, canonical.
        mesh: float32 [468, 2], the canonical mesh in its pixels.
        depth: float32 [224, 224], how far inside the mesh's outline each texel lies.
        covering: what the cover network sees, None where the pack has no such network.
    """
    score = hair_score(texture, mesh)
    seen = None if covering is None else _seen(covering.hair, depth)
    told = score > (1 if seen is None else CERTAIN_SCORE)
    # Brows are as dark: by colour alone they would be hair.
    upper = upper_face(mesh, len(score), NEAR_BROWS)
    hair = _grown(_rooted(told & upper, depth)) & upper
    found = told

    if seen is not None:
        hair |= _grown(_rooted(seen, depth))
        found = told | seen

    if not _is_fringed(hair, mesh, depth):
        return hair, np.zeros_like(hair)

    rows = np.arange(len(score))[:, None]
    above_eyes = rows < float(mesh[list(OUTER_EYE_CORNERS), 1].mean())
    under = upper_face(mesh, len(hair), UNDER_FRINGE, BROW_UNDER_FRINGE)
    fringe = _grown(_rooted(found, depth)) & under
    brows = above_eyes & ~under
    return (hair & ~brows) | fringe, np.asarray((score > CARRIED_SCORE) & above_eyes, bool)


def _seen(likely: Array, depth: Array) -> Cells | None:
    """Return where the network sees hair: parts it is sure of, as far as it doubts skin. None where
    that is most of the face, of which nothing would be left: then it is wrong.
    """
    count, parts = cv2.connectedComponents((likely > SEEN_DOUBTED).astype(np.uint8))
    is_sure = np.zeros(count, np.bool_)
    is_sure[parts[likely > SEEN_SURE]] = True
    hair = np.asarray(is_sure[parts], bool)

    return hair if hair[depth > 0].mean() < MOST_HAIR else None


def _rooted(found: Cells, depth: Array) -> Cells:
    """Return what hangs in from the outline, without single texels."""
    solid = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return hanging_in(solid > 0, depth, HAIR_RIM_PX)


def _grown(hair: Cells) -> Cells:
    return np.asarray(cv2.dilate(hair.astype(np.uint8), np.ones((EDGE_PX, EDGE_PX), np.uint8)) > 0)


def _is_fringed(hair: Cells, mesh: Landmarks, depth: Array) -> bool:
    """Whether hair hides the forehead."""
    forehead = upper_face(mesh, len(hair), NEAR_BROWS) & (depth > OUTLINE_PX)
    hidden = int((hair & forehead).sum()) / max(int(forehead.sum()), 1)
    return hidden > HIDDEN_SHARE
