"""One face of one frame: crop, texture, network, mask and colour; what comes out only has to be pasted."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from models.inference.alignment import TEMPLATE_SIZE, Fit, align, transform
from models.inference.arrays import Affine, Landmarks, Mask, RgbImage
from models.inference.blending import match_colour, shape_mask
from models.inference.counters import Counters
from models.inference.face_swapper import FaceSwapper
from models.inference.face_texture import CanonicalFace, Placed
from models.inference.frame import Frame
from models.inference.identity import IdentityCode
from models.inference.occlusion import OcclusionMemory
from models.inference.options import SwapOptions

MIDDLE = np.s_[TEMPLATE_SIZE // 4 : TEMPLATE_SIZE * 3 // 4, TEMPLATE_SIZE // 4 : TEMPLATE_SIZE * 3 // 4]


@dataclass(frozen=True)
class Identity:
    """An identity that is ready to swap: get one from `FaceSwapEngine.identity`, under the `key` it is cached by."""

    key: str
    code: IdentityCode
    swapper: FaceSwapper


@dataclass(frozen=True)
class PaintedFace:
    """A swapped crop, ready to paste: `frame.paste(painted.face, painted.mask, painted.to_crop)`."""

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

        With a `memory` of the face in earlier frames, what now passes in front of it stays uncovered.
        """
        to_crop = self.swap_crop(landmarks)
        # Black past the frame's edge would count as the target's colour.
        target, in_crop = frame.rgb_crop(to_crop, TEMPLATE_SIZE, extend=True), transform(landmarks, to_crop)
        cover = memory.cover(target, in_crop) if memory else None
        lit = target if cover is None else _without_cover(target, cover)
        self.counters.swap_passes += 1
        placed = self._place(identity.code, lit, in_crop)
        face, soft = identity.swapper.swap(target, None if placed is None else placed.texture)
        mask = shape_mask(soft if placed is None else placed.shaped(soft), in_crop, options)
        mask = mask if cover is None else mask * (1 - cover)
        face = match_colour(face, target, mask, options.colour_match)
        return PaintedFace(face, np.multiply(mask, np.float32(opacity * options.blend)), to_crop)

    def swap_crop(self, landmarks: Landmarks) -> Affine:
        """Return the matrix from the frame to the crop that the pack's network was trained on."""
        to_crop = align(landmarks, self.fit)
        if self.canonical is not None:
            to_crop[:, 2] += self.canonical.crop_shift
        return to_crop

    def _place(self, code: IdentityCode, target: RgbImage, landmarks: Landmarks) -> Placed | None:
        if self.canonical is None or code.texture is None or code.landmarks is None:
            return None
        return self.canonical.place(code.texture, code.landmarks, target, landmarks)


def _without_cover(target: RgbImage, cover: Mask) -> RgbImage:
    """Fill what is covered with the face's mean colour: a black microphone must not darken the texture's light."""
    open_face = (cover[MIDDLE] < 0.5).astype(np.uint8)
    mean = cv2.mean(target[MIDDLE], open_face)[:3]
    return np.asarray(target + (np.array(mean) - target) * cover[..., None], np.uint8)
