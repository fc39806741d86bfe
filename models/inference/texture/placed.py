"""What one frame is shown of a texture: the placed face, where it shows, and its open mouth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import NO_MAP, Landmarks, Mask, Plane, RgbImage
from models.inference.finding.alignment import TEMPLATE_SIZE
from models.inference.mesh_points import INNER_LIPS

SIZE = TEMPLATE_SIZE
BORDER_PX = 10
LIPS_MARGIN_PX = 6  # what dilating and feathering reach
# of the network's mask: not shown at all, and wholly shown
DOUBT = 0.05
TRUST = 0.35


@dataclass(frozen=True)
class Placed:
    """A texture on a target's geometry and in its light.

    `texture` is the target itself outside the face and inside the mouth; `mask` (0..1) is where the
    face is to show, `mouth` (0..1) the opening between the lips, which the mask includes. `where`
    [224, 224, 2] is the texel that each pixel shows.
    """

    texture: RgbImage
    mask: Mask
    mouth: Mask
    where: NDArray[np.float32]

    def shaped(self, soft: Mask) -> Mask:
        """Return the network's soft mask [224, 224] given the mesh's outline, which is sharper than
        its 7 x 7 features.

        The network still decides that a part does not show at all: something in front of the face,
        hair over it.
        """
        return np.asarray(self.mask * np.clip((soft - DOUBT) / (TRUST - DOUBT), 0, 1), np.float32)


def drawn_through(
    where: NDArray[np.float32], texture: RgbImage, mask: Plane
) -> tuple[RgbImage, Plane]:
    """Return a texture and its soft mask as a map [224, 224, 2] shows them."""
    # In one pass: four bytes are sampled as fast as three.
    both = cv2.cvtColor(texture, cv2.COLOR_RGB2RGBA)
    cv2.insertChannel(mask, both, 3)
    shown = cv2.remap(both, where, NO_MAP, cv2.INTER_LINEAR)
    drawn = cv2.cvtColor(shown, cv2.COLOR_RGBA2RGB)

    return np.asarray(drawn, np.uint8), np.asarray(cv2.extractChannel(shown, 3), np.uint8)


def mouth_opening(mesh: Landmarks) -> Mask:
    """Return the feathered opening between the lips in a 224 px crop, float32 [224, 224] in 0..1.

    Of lips that touch it is the line between them.
    """
    opening = np.zeros((SIZE, SIZE), np.float32)
    lips = mesh[list(INNER_LIPS)]
    left, top = np.clip(np.floor(lips.min(0)).astype(int) - LIPS_MARGIN_PX, 0, SIZE)
    right, bottom = np.clip(np.ceil(lips.max(0)).astype(int) + LIPS_MARGIN_PX, 0, SIZE)

    if right <= left or bottom <= top:
        return opening

    outline = np.round((lips - (left, top)) * 16).astype(np.int32)
    drawn = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillPoly(drawn, [outline], 255, cv2.LINE_AA, shift=4)
    soft = cv2.GaussianBlur(cv2.dilate(drawn, _LIP_EDGE), (0, 0), 1.2)
    opening[top:bottom, left:right] = soft * np.float32(1 / 255)

    return opening


def border_fade() -> Mask:
    """Return a mask that ends before the crop does.

    Without it, a face larger than the crop would be cut with an edge.
    """
    ramp = np.clip(np.minimum(np.arange(SIZE), np.arange(SIZE)[::-1]) / BORDER_PX, 0, 1)
    return np.asarray(np.minimum(ramp[:, None], ramp[None]), np.float32)


# a pixel of the target's lips: their edge is what says how far they are apart
_LIP_EDGE = np.ones((3, 3), np.uint8)
