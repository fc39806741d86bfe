"""One face of one frame, made ready to paste: crop, texture, network, mask and colour."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Affine, Landmarks, Mask, Plane, RgbImage
from models.inference.counters import Counters
from models.inference.finding.alignment import TEMPLATE_SIZE, Fit, align
from models.inference.finding.eyes.eye_motion import MovingEyes
from models.inference.finding.eyes.iris_network import IrisNetwork
from models.inference.frames.affine import compose, scale_of, transform
from models.inference.frames.frame import Frame
from models.inference.frames.resampling import Region
from models.inference.identity import IdentityCode, SourceEyes
from models.inference.options import SwapOptions
from models.inference.painting.blending import shape_mask, without_cover
from models.inference.painting.face_swapper import FaceSwapper
from models.inference.painting.occlusion import CoverFinder
from models.inference.painting.occlusion_memory import OcclusionMemory
from models.inference.painting.photo_face import PhotoReader
from models.inference.texture.eyes.blank_eyes import without_irises
from models.inference.texture.eyes.living_eyes import FaceEyes
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.fine_detail import MIDDLE, crop_factor, with_detail
from models.inference.texture.light.harmonisation import Harmony
from models.inference.texture.light.relighting import relit
from models.inference.texture.placed import Placed
from models.inference.texture.resting_face import RestingFace
from models.inference.texture.target_measures import TargetMeasures
from models.inference.texture.texture_outline import texture_mesh, without_shade

TURNS_FROM_DEG = 12.0
TURNED_AT_DEG = 25.0
EDGE_PX = 2  # what cubic interpolation reaches past a pixel


@dataclass(frozen=True)
class TurningTexture:
    """A texture for every turn of the head; `mesh` is the canonical one in its pixels."""

    frontal: RgbImage
    mesh: Landmarks | None

    @cached_property
    def turned(self) -> RgbImage:
        """The texture for turned heads; made when the first one is seen."""
        return self.frontal if self.mesh is None else without_shade(self.frontal, self.mesh)

    def at(self, yaw_deg: float) -> RgbImage:
        """Return the texture for a head turned by `yaw_deg`."""
        if abs(yaw_deg) <= TURNS_FROM_DEG:
            return self.frontal

        share = min(1.0, (abs(yaw_deg) - TURNS_FROM_DEG) / (TURNED_AT_DEG - TURNS_FROM_DEG))
        mixed = cv2.addWeighted(self.turned, share, self.frontal, 1 - share, 0)
        return np.asarray(mixed, np.uint8)


@dataclass(frozen=True)
class Identity:
    """An identity that is ready to swap: get one from `FaceSwapEngine.identity`, under the `key` it
    is cached by.

    `texture_mesh` is the canonical mesh in the texture's pixels; `eyes` are the irises that are
    drawn where a target looks, None where nothing can see that.
    """

    key: str
    code: IdentityCode
    swapper: FaceSwapper
    texture_mesh: Landmarks | None = None
    eyes: SourceEyes | None = None

    @cached_property
    def texture(self) -> TurningTexture | None:
        """The texture as the photos show it, None for packs without textures."""
        if self.code.texture is None:
            return None
        return TurningTexture(self.code.texture, self.texture_mesh)

    @cached_property
    def texture_without_irises(self) -> TurningTexture | None:
        """The texture for eyes whose irises are drawn apart, None where they are not."""
        if self.code.texture is None or self.texture_mesh is None or self.eyes is None:
            return None
        white = without_irises(self.code.texture, self.texture_mesh, self.eyes)
        return TurningTexture(white, self.texture_mesh)


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
    cover: CoverFinder | None = None

    def paint(  # noqa: PLR0913 - a face, and what is known of it
        self,
        frame: Frame,
        landmarks: Landmarks,
        identity: Identity,
        options: SwapOptions,
        opacity: float = 1.0,
        memory: OcclusionMemory | None = None,
        eyes: MovingEyes | None = None,
        resting: RestingFace | None = None,
        unrefined: Landmarks | None = None,
    ) -> PaintedFace:
        """Return the swapped face for landmarks in frame pixels, showing by `opacity` 0..1.

        What is in front of the face stays the target's; a `memory` of the frame before steadies
        what is taken for that. `eyes` are the target's, in frame pixels; without them the face
        stares as its photo does. `resting` is what is known of the target's face in a video: its
        expression is what differs from that. `unrefined` landmarks are what the cover network knows
        a face by, where others are given to paint on.
        """
        to_crop = self.swap_crop(landmarks)
        # Black past the frame's edge would count as the target's colour.
        target = frame.rgb_crop(to_crop, TEMPLATE_SIZE, extend=True)
        in_crop = transform(landmarks, to_crop)
        plain = in_crop if unrefined is None else transform(unrefined, to_crop)
        cover = None if self.cover is None else self.cover.find(target, plain, memory)
        lit = target if cover is None else without_cover(target, cover)
        self.counters.swap_passes += 1
        in_place = None if eyes is None else (eyes[0].moved(to_crop), eyes[1].moved(to_crop))
        measures = TargetMeasures() if resting is None else resting.measures
        harmony = Harmony(options.colour_match, scale_of(to_crop), measures)
        placed = self._place(identity, lit, in_crop, in_place, harmony, resting)
        face, soft = identity.swapper.swap(target, None if placed is None else placed.texture)
        mask = shape_mask(_shown(placed, soft), in_crop, options)
        mask = mask if cover is None else mask * (1 - cover)

        if placed is None:  # a texture is lit before the network sees it
            face = relit(face, target, mask, in_crop, options.colour_match)

        detail = identity.code.detail
        factor = 1 if detail is None else crop_factor(1 / scale_of(to_crop))
        # Between lips that part is the frame itself. Sampled twice, a mouth that opens by a pixel
        # would look shut. In a small image lips that touch stay the identity's.
        if placed is not None and (factor > 1 or resting is not None):
            mask = mask * (1 - placed.mouth)

        mask = np.multiply(mask, np.float32(opacity * options.blend))
        painted = PaintedFace(face, mask, to_crop)
        if placed is None or detail is None or factor == 1:
            return painted
        return _detailed(frame, painted, placed.where, detail, factor)

    @property
    def texture_mesh(self) -> Landmarks | None:
        """The canonical mesh in the texture's pixels, of packs with textures."""
        return None if self.canonical is None else texture_mesh(self.canonical)

    def photo_reader(self, iris: IrisNetwork | None) -> PhotoReader | None:
        """Return what reads photos for textures, None for packs without textures."""
        if self.canonical is None:
            return None
        return PhotoReader(self.fit, self.canonical, iris, self.cover)

    def swap_crop(self, landmarks: Landmarks) -> Affine:
        """Return the matrix from the frame to the crop that the pack's network was trained on."""
        if self.canonical is None:
            return align(landmarks, self.fit)
        return self.canonical.swap_crop(landmarks, self.fit)

    def _place(
        self,
        identity: Identity,
        target: RgbImage,
        landmarks: Landmarks,
        moving: MovingEyes | None,
        harmony: Harmony,
        resting: RestingFace | None,
    ) -> Placed | None:
        code = identity.code
        eyes = None
        texture = identity.texture

        if moving is not None and identity.eyes is not None:
            eyes = FaceEyes(moving, identity.eyes)
            texture = identity.texture_without_irises

        if self.canonical is None or texture is None or code.landmarks is None:
            return None

        drawn = texture.at(self.canonical.yaw_deg(landmarks))
        return self.canonical.place(
            drawn, code.landmarks, target, landmarks, eyes, harmony, resting
        )


def _detailed(
    frame: Frame, painted: PaintedFace, where: NDArray[np.float32], detail: Plane, factor: int
) -> PaintedFace:
    """Return what shows of a face that is `factor` times larger in the frame than 224 px at that
    size, with its fine detail; `where` [224, 224, 2] is the texel that each pixel shows.
    """
    to_middle = compose(MIDDLE.to_crop(factor), painted.to_crop)
    middle = frame.luma_crop(to_middle, factor * MIDDLE.size[0])
    box = _shown_box(painted.mask)
    face = with_detail(painted.face, detail, where, middle, box)
    size = (face.shape[1], face.shape[0])
    mask = cv2.resize(box.of(painted.mask), size, interpolation=cv2.INTER_LINEAR)

    return PaintedFace(
        face, np.asarray(mask, np.float32), compose(box.to_crop(factor), painted.to_crop)
    )


def _shown_box(mask: Mask) -> Region:
    """Return the part of a crop where anything shows, with room for interpolation, and its
    middle.
    """
    x, y, width, height = cv2.boundingRect((mask > 0).astype(np.uint8))
    return Region(
        max(0, min(x - EDGE_PX, MIDDLE.left)),
        max(0, min(y - EDGE_PX, MIDDLE.top)),
        min(TEMPLATE_SIZE, max(x + width + EDGE_PX, MIDDLE.right)),
        min(TEMPLATE_SIZE, max(y + height + EDGE_PX, MIDDLE.bottom)),
    )


def _shown(placed: Placed | None, soft: Mask | None) -> Mask:
    """Return where the face is to show: the mesh says it, the network's own mask, or both."""
    if placed is None:
        assert soft is not None  # noqa: S101  a network without a texture has a mask head
        return soft
    return placed.mask if soft is None else placed.shaped(soft)
