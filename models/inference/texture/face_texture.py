"""A face as a flat texture: taken from photos once, placed on another face's geometry in every
frame.

Training and production run this same code (docs/method.md 9), so what the
network learns on is what it is shown. All positions are pixels of the swap crop, 224 x 224, except
where canonical pixels are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import NO_MAP, Landmarks, Mask, Plane, RgbImage
from models.inference.finding.eyes.eye_axes import INNER, OUTER
from models.inference.finding.eyes.iris_network import LIDS
from models.inference.frames.resampling import MASK_LEVELS, blend
from models.inference.mesh_points import EYES
from models.inference.texture.canonical_shape import SIZE, CanonicalShape, with_rim
from models.inference.texture.eyes.eye_window import Lids
from models.inference.texture.eyes.living_eyes import FaceEyes, LivingEye
from models.inference.texture.fine_detail import band_of, unchanged
from models.inference.texture.fusion import Texture
from models.inference.texture.hair import targets_own
from models.inference.texture.light.harmonisation import Harmony, harmonised
from models.inference.texture.placed import Placed, border_fade, drawn_through, mouth_opening
from models.inference.texture.resting_face import RestingFace
from models.inference.texture.triangle_raster import facing_ratio, rasterise

COARSE = 84  # a map at three eighths of the resolution, enlarged, looks as good as a full one

SHARPEN = 0.9  # makes up for the two resamplings a texel goes through
MAX_DETAIL = 3  # times 224 px: finer than that no frame shows a face through a 224 px network

Array = NDArray[Any]


@dataclass(frozen=True)
class CanonicalFace(CanonicalShape):
    """The median face as what textures are drawn on: taken from photos, placed on other faces."""

    def texture(self, image: RgbImage, mesh: Landmarks, sharpen: float = SHARPEN) -> Texture:
        """Return the texture of the face whose mesh, in the image's pixels, is given.

        Texels turned away from the camera are taken from the face's other side. `sharpen` is the
        share of the detail finer than one texel's neighbourhood that is added.
        """
        image, mesh = _near_texture_scale(image, mesh, self.front * self.scale)
        weight = self._facing(mesh)
        where = self.raster.interpolate(mesh, self.triangles).astype(np.float32)
        pixels = cv2.remap(
            image, where, NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ).astype(np.float32)
        pixels += sharpen * (pixels - cv2.GaussianBlur(pixels, (0, 0), 1))
        seen = np.clip(pixels, 0, 255) + 0.5

        return Texture(np.asarray(_mirror_hidden(seen, weight), np.uint8), weight)

    def texels_of(self, plane: Plane | Mask, mesh: Landmarks) -> Mask:
        """Return a plane of the image in which a face has this mesh as `texture` would show it:
        float32 [224, 224], turned away texels from the other side.
        """
        where = self.raster.interpolate(mesh, self.triangles).astype(np.float32)
        texels = cv2.remap(
            plane, where, NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ).astype(np.float32)
        return np.asarray(_mirror_hidden(texels[..., None], self._facing(mesh))[..., 0])

    def _facing(self, mesh: Landmarks) -> Mask:
        """Return how frontally a face with this mesh shows each texel: 0 where it is hidden."""
        seen = facing_ratio(mesh, self.triangles) / self.areas
        seen /= max(float(np.median(seen)), 1e-6)
        shown = np.where(self.raster.filled, np.clip(seen, 0, 1.5)[self.raster.triangle], 0)
        return np.asarray(shown, np.float32)

    def detail(
        self, image: RgbImage, mesh: Landmarks, pixels: RgbImage, texture: RgbImage
    ) -> Plane | None:
        """Return what a photo shows finer than its texture, None where it is no larger than it.

        Args:
            image, mesh: the photo and the face's mesh in its pixels.
            pixels: the texture that was taken from it.
            texture: the same as it is kept, cleaned and fused.
        """
        across = np.std(mesh, axis=0).mean() / np.std(self.front * self.scale, axis=0).mean()
        factor = min(MAX_DETAIL, int(across + 0.5))

        if factor < 2:
            return None

        where = self.raster.interpolate(mesh, self.triangles).astype(np.float32)
        at = cv2.resize(where, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
        large = cv2.remap(image, at, NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        trusted = unchanged(pixels, texture) * (self.mask > 0) * (1 - self._eye_hulls())

        return band_of(np.asarray(large, np.uint8), np.asarray(trusted, np.float32))

    def _eye_hulls(self) -> Mask:
        """Return where the texture's eyes are, whose irises are drawn apart: [224, 224] in 0..1."""
        eyes = np.zeros((SIZE, SIZE), np.float32)
        for outline in EYES:
            points = np.rint(self.texels[list(outline)]).astype(np.int32)
            cv2.fillConvexPoly(eyes, cv2.convexHull(points), 1.0)

        return np.asarray(cv2.GaussianBlur(eyes, (0, 0), 1.0), np.float32)

    def place(
        self,
        texture: RgbImage,
        identity_mesh: Landmarks,
        target: RgbImage,
        target_mesh: Landmarks,
        eyes: FaceEyes | None = None,
        harmony: Harmony | None = None,
        resting: RestingFace | None = None,
    ) -> Placed:
        """Return an identity's texture on the target's geometry, in the target's light.

        Args:
            texture: uint8 [224, 224, 3] RGB, canonical.
            identity_mesh: [468, 2], the identity's own mesh in a swap crop: its proportions.
            target: uint8 [224, 224, 3] RGB swap crop.
            target_mesh: [468, 2] in the crop's pixels.
            eyes: the target's eyes in the crop's pixels and the identity's irises, which the
            texture then lacks; without them the texture's eyes stay as they are.
            harmony: how far the target's light is taken, and the scale detail is compared at.
            resting: what is known of the target's face in a video, which learns from this frame;
            without it this frame's expression counts as the shape of the head.
        """
        harmony = harmony or Harmony()
        known = harmony.measures
        known.begin(target, target_mesh, identity_mesh)
        mesh = target_mesh if eyes is None else eyes.at_rest(target_mesh)
        own = self.proportions(mesh)
        rest = own if resting is None else resting.proportions.see(own)
        shift = self.shape_shift(identity_mesh, rest)
        mesh = self.with_lips_moved(mesh, own - rest)
        if resting is not None:
            high = self.brows.heights(target_mesh)
            mesh = self.brows.with_expression(mesh, high - resting.brows.see(high))

        living = [] if eyes is None else self._living_eyes(eyes, identity_mesh, mesh, shift)
        where = self._canonical_map(mesh, shift, living)
        drawn, levels = drawn_through(where, texture, self.mask)

        for eye in living:
            eye.draw(drawn, texture, where)

        hull = np.multiply(levels, np.float32(1 / 255), dtype=np.float32)
        mouth = mouth_opening(target_mesh)
        skin = hull * (1 - mouth)
        lit = harmonised(drawn, target, skin, target_mesh, living, harmony)
        # In a video lips that just part show it; in an image the line between lips that touch stays
        # the identity's.
        shown = _whole(skin) if resting is None else _whole(hull)
        if resting is not None:
            shown = np.asarray(cv2.multiply(shown, 1 - mouth, dtype=cv2.CV_8U))

        mixed = target.copy()
        blend(mixed, lit, shown)
        kept = known.own.of(lambda: targets_own(target, target_mesh), is_due=known.is_due)
        mask = hull * _BORDER * (1 - kept)

        return Placed(mixed, mask, mouth, where)

    def hull(self, mesh: Landmarks) -> Mask:
        """Return the soft mask of a face with this mesh in a swap crop, float32 [224, 224]."""
        where = self._canonical_map(mesh, np.zeros_like(mesh))
        levels = cv2.remap(self.mask, where, NO_MAP, cv2.INTER_LINEAR)
        return np.multiply(levels, np.float32(1 / 255), dtype=np.float32)

    def _living_eyes(
        self, eyes: FaceEyes, identity_mesh: Landmarks, mesh: Landmarks, shift: Array
    ) -> list[LivingEye]:
        """Return both eyes as the identity's are shaped, on the target at rest."""
        camera = (self.camera_fit @ mesh)[:2]
        shapes = (self.front + self.proportions_of_identity(identity_mesh)) @ camera
        corners = mesh + shift @ camera
        vergence = float(eyes.source.gaze[:, 0].mean())
        living = []

        for side, lids in enumerate(LIDS):
            points = list(lids)
            own = Lids(shapes[points], side).axes.own(shapes[points])
            rest = Lids(Lids(corners[points], side).axes.image(own), side)
            # The iris is a circle in the canonical plane, of the width that the eye has there.
            across = self.front[points[INNER]] - self.front[points[OUTER]]
            ratio = eyes.source.radius * rest.axes.width / np.linalg.norm(across @ camera)
            iris_axes = camera * (np.linalg.norm(across) * ratio)
            disc = eyes.source.discs[side]
            living.append(LivingEye(rest, eyes.moving[side], disc, iris_axes, vergence, SIZE))

        return living

    def _canonical_map(
        self, mesh: Landmarks, shift: Array, eyes: Sequence[LivingEye] = ()
    ) -> Array:
        """Return float32 [224, 224, 2]: the canonical position each pixel of the crop shows.

        Around lips and `eyes` the mesh itself is moved, so that corners and lids lie exactly where
        they belong; elsewhere it is the texels, since the outline must stay.
        """
        moved = np.maximum(self.near_eyes, self.near_lips) if eyes else self.near_lips
        positions = self.texels - shift * self.scale * (1 - moved[:, None])
        at: Array = mesh + shift @ (self.camera_fit @ mesh)[:2] * moved[:, None]

        for eye, lids in zip(eyes, LIDS[: len(eyes)], strict=True):
            at[list(lids)] = eye.rest.points

        ratio = COARSE / SIZE
        at = (with_rim(at, self.outline) + 0.5) * ratio - 0.5
        coarse = rasterise(at, self.triangles_and_rim, with_rim(positions, self.outline), COARSE)

        return np.asarray(cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR))


def _whole(mask: Mask) -> Plane:
    """Return a mask's levels, whole wherever it shows anything: at the rim it alone blends."""
    return np.minimum(cv2.convertScaleAbs(mask, alpha=4 * MASK_LEVELS), MASK_LEVELS)


def _near_texture_scale(
    image: RgbImage, mesh: Landmarks, canonical: Array
) -> tuple[RgbImage, Landmarks]:
    """Shrink a photo whose pixels are much finer than texels: sampling it as it is would alias."""
    ratio = float(np.std(canonical, axis=0).mean() / max(np.std(mesh, axis=0).mean(), 1e-6))
    if ratio > 0.75:
        return image, mesh

    small = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), np.asarray((mesh + 0.5) * ratio - 0.5, np.float32)


def _mirror_hidden(pixels: Array, weight: Mask) -> Array:
    """Return pixels [224, 224, k] that take what is turned away from the face's other side."""
    seen = cv2.GaussianBlur(np.clip((weight - 0.25) / 0.3, 0, 1), (0, 0), 3)
    borrow = ((1 - seen) * seen[:, ::-1])[..., None]
    return np.asarray(pixels + (pixels[:, ::-1] - pixels) * borrow)


_BORDER = border_fade()
