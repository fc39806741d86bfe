"""One face of one frame: crop, texture, network, mask and colour.

What comes out only has to be pasted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from models.inference.arrays import Affine, Landmarks, Mask, RgbImage
from models.inference.counters import Counters
from models.inference.finding.alignment import TEMPLATE_SIZE, Fit, align
from models.inference.frames.affine import transform
from models.inference.frames.frame import Frame
from models.inference.identity import IdentityCode
from models.inference.options import SwapOptions
from models.inference.painting.blending import match_colour, shape_mask
from models.inference.painting.face_swapper import FaceSwapper
from models.inference.painting.occlusion import OcclusionMemory
from models.inference.texture.face_texture import CanonicalFace, Placed
from models.inference.texture.texture_outline import texture_mesh, without_shade

TURNS_FROM_DEG, TURNED_AT_DEG = 12.0, 25.0
MIDDLE = np.s_[
    TEMPLATE_SIZE // 4 : TEMPLATE_SIZE * 3 // 4, TEMPLATE_SIZE // 4 : TEMPLATE_SIZE * 3 // 4
]


@dataclass(frozen=True)
class Identity:
    """An identity that is ready to swap: get one from `FaceSwapEngine.identity`, under the `key` it
    is cached by.

    `texture_mesh` is the canonical mesh in the texture's pixels.
    """

    key: str
    code: IdentityCode
    swapper: FaceSwapper
    texture_mesh: Landmarks | None = None

    @cached_property
    def turned_texture(self) -> RgbImage | None:
        """The texture for turned heads; made when the first one is seen."""
        if self.code.texture is None or self.texture_mesh is None:
            return self.code.texture
        return without_shade(self.code.texture, self.texture_mesh)


@dataclass(frozen=True)
class PaintedFace:
    """A swapped crop, ready to paste: `frame.paste(painted.face, painted.mask,
    painted.to_crop)`.
    """

    face: RgbImage
    mask: Mask
    to_crop: Affine


@dataclass(frozen=True)
class FacePainter:
    """Paints faces as one pack wants it; `canonical` is None where its network takes no texture."""

    fit: Fit
    canonical: CanonicalFace | None
    counters: Counters

    def paint(
        self,
        frame: Frame,
        landmarks: Landmarks,
        identity: Identity,
        options: SwapOptions,
        opacity: float = 1.0,
        memory: OcclusionMemory | None = None,
    ) -> PaintedFace:
        """Return the swapped face for landmarks in frame pixels, showing by `opacity` 0..1.

        With a `memory` of the face in earlier frames, what now passes in front of it stays
        uncovered.
        """
        to_crop = self.swap_crop(landmarks)
        # Black past the frame's edge would count as the target's colour.
        target, in_crop = (
            frame.rgb_crop(to_crop, TEMPLATE_SIZE, extend=True),
            transform(landmarks, to_crop),
        )
        cover = memory.cover(target, in_crop) if memory else None
        lit = target if cover is None else _without_cover(target, cover)
        self.counters.swap_passes += 1
        placed = self._place(identity, lit, in_crop)
        face, soft = identity.swapper.swap(target, None if placed is None else placed.texture)
        mask = shape_mask(soft if placed is None else placed.shaped(soft), in_crop, options)
        mask = mask if cover is None else mask * (1 - cover)
        face = match_colour(face, target, mask, options.colour_match)
        return PaintedFace(face, np.multiply(mask, np.float32(opacity * options.blend)), to_crop)

    @property
    def texture_mesh(self) -> Landmarks | None:
        """The canonical mesh in the texture's pixels, of packs with textures."""
        return None if self.canonical is None else texture_mesh(self.canonical)

    def swap_crop(self, landmarks: Landmarks) -> Affine:
        """Return the matrix from the frame to the crop that the pack's network was trained on."""
        to_crop = align(landmarks, self.fit)
        if self.canonical is not None:
            to_crop[:, 2] += self.canonical.crop_shift
        return to_crop

    def _place(self, identity: Identity, target: RgbImage, landmarks: Landmarks) -> Placed | None:
        code = identity.code
        if self.canonical is None or code.texture is None or code.landmarks is None:
            return None
        texture = _for_turn(identity, self.canonical.yaw_deg(landmarks))
        return self.canonical.place(texture, code.landmarks, target, landmarks)


def _for_turn(identity: Identity, yaw_deg: float) -> RgbImage:
    texture, turned = (
        identity.code.texture,
        identity.turned_texture if abs(yaw_deg) > TURNS_FROM_DEG else None,
    )
    assert texture is not None  # noqa: S101  the caller has looked
    if turned is None:
        return texture
    share = min(1.0, (abs(yaw_deg) - TURNS_FROM_DEG) / (TURNED_AT_DEG - TURNS_FROM_DEG))
    return np.asarray(cv2.addWeighted(turned, share, texture, 1 - share, 0), np.uint8)


def _without_cover(target: RgbImage, cover: Mask) -> RgbImage:
    """Fill what is covered with the face's mean colour: a black microphone must not darken the
    texture's light.
    """
    open_face = (cover[MIDDLE] < 0.5).astype(np.uint8)
    mean = cv2.mean(target[MIDDLE], open_face)[:3]
    return np.asarray(target + (np.array(mean) - target) * cover[..., None], np.uint8)
