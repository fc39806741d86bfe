"""A face as a flat texture: taken from photos once, placed on another face's geometry in every
frame.

Training and production run this same code (docs/method.md 9), so what the
network learns on is what it is shown. All positions are pixels of the swap crop, 224 x 224, except
where canonical pixels are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, Mask, Plane, RgbImage
from models.inference.finding.alignment import TEMPLATE_SIZE
from models.inference.finding.eye_axes import INNER, OUTER
from models.inference.finding.iris_network import LIDS
from models.inference.mesh_points import EYES, INNER_LIPS
from models.inference.texture.eye_window import Lids
from models.inference.texture.fine_detail import band_of, unchanged
from models.inference.texture.hair import targets_own
from models.inference.texture.harmonisation import Harmony, harmonised
from models.inference.texture.living_eyes import FaceEyes, LivingEye
from models.inference.texture.relighting import mean_colour
from models.inference.texture.resting_face import RestingFace
from models.inference.texture.triangle_raster import Raster, facing_ratio, rasterise

SIZE = TEMPLATE_SIZE
COARSE = 84  # a map at three eighths of the resolution, enlarged, looks as good as a full one

SHARPEN = 0.9  # makes up for the two resamplings a texel goes through
FINE_PX = 3.0  # what is smaller than this is detail
FINE_TRUST = 50.0  # of the best photo over the others
SHAPE_SHIFT = 1.0
MAX_DETAIL = 3  # times 224 px: finer than that no frame shows a face through a 224 px network
BORDER_PX = 10
LIPS_MARGIN_PX = 6  # what dilating and feathering reach
# of the eye's width: where the mesh moves with the lids
EYE_REACH = 1.25
EYE_FADE = 0.35
# of the network's mask: not shown at all, and wholly shown
DOUBT = 0.05
TRUST = 0.35

Array = NDArray[Any]


@dataclass(frozen=True)
class Texture:
    """What one photo shows of a face: uint8 [224, 224, 3] RGB in canonical pixels, and how
    frontally it shows it.

    `weight` is float32 [224, 224]: the photo's area per canonical area, 0 where the surface is
    turned away.
    """

    pixels: RgbImage
    weight: Mask


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


def fuse(textures: Sequence[Texture]) -> RgbImage:
    """Return one texture of several photos of a person, each texel from the photos that show it
    most frontally.

    The photos' light is made alike first, so that no seams run where one photo takes over from
    another. Fine detail is never averaged, for that blurs it: it is the best photo's wherever that
    one shows the texel.
    """
    reference = max(textures, key=lambda texture: float(texture.weight.sum()))
    if len(textures) == 1:
        return reference.pixels

    weights = [cv2.GaussianBlur(texture.weight**4 + 1e-4, (0, 0), 4) for texture in textures]
    images = [_recoloured(texture, reference) for texture in textures]
    smooth = [cv2.GaussianBlur(image, (0, 0), FINE_PX) for image in images]
    fine = [image - soft for image, soft in zip(images, smooth, strict=True)]
    trusted = [
        w**2 * (FINE_TRUST if t is reference else 1) for t, w in zip(textures, weights, strict=True)
    ]
    mixed = _weighted_mean(smooth, weights) + _weighted_mean(fine, trusted)

    return np.asarray(np.clip(mixed + 0.5, 0, 255), np.uint8)


def _weighted_mean(images: Sequence[Array], weights: Sequence[Array]) -> Array:
    total = np.sum(weights, axis=0)
    shares = [
        image * (weight / total)[..., None] for image, weight in zip(images, weights, strict=True)
    ]
    return np.asarray(np.sum(shares, axis=0))


def _recoloured(texture: Texture, reference: Texture) -> Array:
    seen = np.minimum(texture.weight, reference.weight)
    own = texture.pixels.astype(np.float32)
    wanted = reference.pixels.astype(np.float32)
    return np.asarray(own + (mean_colour(wanted, seen) - mean_colour(own, seen)))


@dataclass(frozen=True)
class CanonicalFace:
    """The face all textures are drawn on: the median mesh of the training set and what follows from
    it.

    Args:
        mesh: float32 [468, 3] in pixels of the swap crop, depth away from the viewer.
        triangles: int32 [T, 3], ordered from far to near, so that what is drawn last is what is
        seen.
        mask: uint8 [224, 224] in canonical pixels: the soft mask, its forehead cut below the hair
        line.
        scale, offset: canonical pixels = crop pixels * scale + offset.
        crop_shift: float32 [2], where the swap crop's template lies against ArcFace's: higher, for
        the chin.
    """

    mesh: NDArray[np.float32]
    triangles: NDArray[np.int32]
    mask: NDArray[np.uint8]
    scale: float
    offset: NDArray[np.float32]
    crop_shift: NDArray[np.float32]

    @classmethod
    def load(cls, path: Path) -> CanonicalFace:
        """Read the pack's canonical face.

        Raises `OSError` or `KeyError` when the file is not one.
        """
        with np.load(path, allow_pickle=False) as file:
            return cls(
                file["mesh"],
                file["triangles"],
                file["mask"],
                float(file["scale"]),
                file["offset"],
                file["crop_shift"],
            )

    def texture(self, image: RgbImage, mesh: Landmarks, sharpen: float = SHARPEN) -> Texture:
        """Return the texture of the face whose mesh, in the image's pixels, is given.

        Texels turned away from the camera are taken from the face's other side. `sharpen` is the
        share of the detail finer than one texel's neighbourhood that is added.
        """
        image, mesh = _near_texture_scale(image, mesh, self._front * self.scale)
        seen = facing_ratio(mesh, self.triangles) / self._areas
        seen /= max(float(np.median(seen)), 1e-6)
        weight = np.where(
            self._raster.filled, np.clip(seen, 0, 1.5)[self._raster.triangle], 0
        ).astype(np.float32)
        where = self._raster.interpolate(mesh, self.triangles).astype(np.float32)
        pixels = cv2.remap(
            image, where, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ).astype(np.float32)
        pixels += sharpen * (pixels - cv2.GaussianBlur(pixels, (0, 0), 1))

        return Texture(_mirror_hidden(np.clip(pixels, 0, 255), weight), weight)

    def detail(
        self, image: RgbImage, mesh: Landmarks, pixels: RgbImage, texture: RgbImage
    ) -> Plane | None:
        """Return what a photo shows finer than its texture, None where it is no larger than it.

        Args:
            image, mesh: the photo and the face's mesh in its pixels.
            pixels: the texture that was taken from it.
            texture: the same as it is kept, cleaned and fused.
        """
        across = np.std(mesh, axis=0).mean() / np.std(self._front * self.scale, axis=0).mean()
        factor = min(MAX_DETAIL, int(across + 0.5))

        if factor < 2:
            return None

        where = self._raster.interpolate(mesh, self.triangles).astype(np.float32)
        at = cv2.resize(where, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
        large = cv2.remap(image, at, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
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
        mesh = target_mesh if eyes is None else eyes.at_rest(target_mesh)
        own = self.proportions(mesh)
        shift = self._shape_shift(identity_mesh, own if resting is None else resting.see(own))
        living = [] if eyes is None else self._living_eyes(eyes, identity_mesh, mesh, shift)
        where = self._canonical_map(mesh, shift, living)
        drawn = np.asarray(cv2.remap(texture, where, _NO_MAP, cv2.INTER_LINEAR), np.uint8)

        for eye in living:
            eye.draw(drawn, texture, where)

        levels = cv2.remap(self.mask, where, _NO_MAP, cv2.INTER_LINEAR)
        hull = np.multiply(levels, np.float32(1 / 255), dtype=np.float32)
        mouth = mouth_opening(target_mesh)
        skin = hull * (1 - mouth)
        lit = harmonised(drawn, target, skin, target_mesh, living, harmony)
        shown = np.minimum(
            skin * 4, 1
        )  # whole wherever the mask shows anything: the mask alone blends
        mixed = cv2.blendLinear(lit, target, shown, 1 - shown)
        mask = hull * _BORDER * (1 - targets_own(target, target_mesh))

        return Placed(np.asarray(mixed, np.uint8), mask, mouth, where)

    def hull(self, mesh: Landmarks) -> Mask:
        """Return the soft mask of a face with this mesh in a swap crop, float32 [224, 224]."""
        where = self._canonical_map(mesh, np.zeros_like(mesh))
        levels = cv2.remap(self.mask, where, _NO_MAP, cv2.INTER_LINEAR)
        return np.multiply(levels, np.float32(1 / 255), dtype=np.float32)

    def proportions(self, mesh: Landmarks) -> NDArray[np.float32]:
        """Return what sets a face apart from the canonical one once pose is taken out: float32
        [468, 2], crop pixels.

        The canonical mesh is seen through the affine camera that fits best; what remains is shape
        and expression.
        """
        camera = self._camera_fit @ mesh
        remainder = mesh - self._homogeneous @ camera
        return np.asarray(remainder @ np.linalg.inv(camera[:2]), np.float32)

    def yaw_deg(self, mesh: Landmarks) -> float:
        """Return an upright head's turn in degrees by the same camera.

        Negative towards the viewer's right.
        """
        camera = self._camera_fit @ mesh
        return float(np.degrees(np.arctan2(camera[2, 0], camera[0, 0])))

    def _shape_shift(self, identity_mesh: Landmarks, target_proportions: Array) -> Array:
        difference = self.proportions(identity_mesh) - target_proportions
        shift: Array = self._smoothing @ (difference * self.shift_weights[:, None])
        return shift * SHAPE_SHIFT

    def _living_eyes(
        self, eyes: FaceEyes, identity_mesh: Landmarks, mesh: Landmarks, shift: Array
    ) -> list[LivingEye]:
        """Return both eyes as the identity's are shaped, on the target at rest."""
        camera = (self._camera_fit @ mesh)[:2]
        shapes = (self._front + self.proportions(identity_mesh)) @ camera
        corners = mesh + shift @ camera
        vergence = float(eyes.source.gaze[:, 0].mean())
        living = []

        for side, lids in enumerate(LIDS):
            points = list(lids)
            own = Lids(shapes[points], side).axes.own(shapes[points])
            rest = Lids(Lids(corners[points], side).axes.image(own), side)
            # The iris is a circle in the canonical plane, of the width that the eye has there.
            across = self._front[points[INNER]] - self._front[points[OUTER]]
            ratio = eyes.source.radius * rest.axes.width / np.linalg.norm(across @ camera)
            iris_axes = camera * (np.linalg.norm(across) * ratio)
            disc = eyes.source.discs[side]
            living.append(LivingEye(rest, eyes.moving[side], disc, iris_axes, vergence, SIZE))

        return living

    def _canonical_map(
        self, mesh: Landmarks, shift: Array, eyes: Sequence[LivingEye] = ()
    ) -> Array:
        """Return float32 [224, 224, 2]: the canonical position each pixel of the crop shows.

        Around `eyes` the mesh itself is moved, so that their lids lie exactly where they belong.
        """
        moved = self._near_eyes[:, None] if eyes else 0.0
        positions = self.texels - shift * self.scale * (1 - moved)
        at: Array = mesh

        if eyes:
            at = mesh + shift @ (self._camera_fit @ mesh)[:2] * moved
            for eye, lids in zip(eyes, LIDS, strict=True):
                at[list(lids)] = eye.rest.points

        ratio = COARSE / SIZE
        at = (_with_rim(at, self._hull) + 0.5) * ratio - 0.5
        coarse = rasterise(at, self._triangles_and_rim, _with_rim(positions, self._hull), COARSE)

        return np.asarray(cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR))

    @cached_property
    def _front(self) -> Array:
        return np.ascontiguousarray(self.mesh[:, :2])

    @cached_property
    def texels(self) -> Array:
        """Where each point of the mesh lies in a texture, float32 [468, 2]."""
        return np.asarray(self._front * self.scale + self.offset, np.float32)

    @cached_property
    def _near_eyes(self) -> Array:
        """Per point: 1 up to the brows, 0 where the eyes are further than their own width."""
        near = np.zeros(len(self._front), np.float32)
        for lids in LIDS:
            eye = self._front[list(lids)]
            width = float(np.linalg.norm(eye[INNER] - eye[OUTER]))
            far = np.linalg.norm(self._front - eye.mean(0), axis=1) / width
            near = np.maximum(near, np.clip((EYE_REACH - far) / EYE_FADE, 0, 1))

        return near

    @cached_property
    def _raster(self) -> Raster:
        return Raster.of(self.texels, self.triangles, SIZE)

    @cached_property
    def _areas(self) -> Array:
        return np.maximum(facing_ratio(self.texels, self.triangles), 1e-3)

    @cached_property
    def _hull(self) -> Array:
        return np.asarray(cv2.convexHull(self._front, returnPoints=False).ravel())

    @cached_property
    def _triangles_and_rim(self) -> Array:
        count = len(self._hull)
        first = len(self.mesh)
        here = np.arange(count)
        after = (here + 1) % count
        inner = self._hull
        outer = first + here
        quads = [
            np.stack([inner, outer, inner[after]], 1),
            np.stack([outer, outer[after], inner[after]], 1),
        ]
        rim = np.concatenate(quads)
        flipped = facing_ratio(_with_rim(self._front, self._hull), rim) < 0
        rim[flipped] = rim[flipped][:, ::-1]

        return np.concatenate([rim, self.triangles])

    @cached_property
    def _homogeneous(self) -> Array:
        return np.column_stack([self.mesh, np.ones(len(self.mesh))]).astype(np.float32)

    @cached_property
    def _camera_fit(self) -> Array:
        return np.asarray(np.linalg.pinv(self._homogeneous), np.float32)

    @cached_property
    def _smoothing(self) -> Array:
        """A ridge-regularised radial basis: mesh noise of single points must not wrinkle the
        texture.
        """
        squared = ((self._front[:, None] - self._front[None]) ** 2).sum(-1)
        kernel = np.exp(-squared / (2 * 22.0**2))
        return np.asarray(kernel @ np.linalg.inv(kernel + 2.0 * np.eye(len(kernel))), np.float32)

    @cached_property
    def shift_weights(self) -> Array:
        """How much of an identity's own shape each point takes, float32 [468].

        0 on the outline, where the face must meet the head, and little at the mouth: expression
        stays.
        """
        points = self._front
        outline = cv2.convexHull(points)
        inside = np.array(
            [cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y in points]
        )
        centre = points[list(INNER_LIPS)].mean(0)
        half_width = abs(float(points[291, 0] - points[61, 0])) / 2
        reach = np.linalg.norm((points - centre) / (half_width * np.array([1.5, 1.1])), axis=1)

        return np.asarray(np.clip(inside / 38, 0, 1) * (1 - 0.8 * np.exp(-(reach**3))), np.float32)


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


def _near_texture_scale(
    image: RgbImage, mesh: Landmarks, canonical: Array
) -> tuple[RgbImage, Landmarks]:
    """Shrink a photo whose pixels are much finer than texels: sampling it as it is would alias."""
    ratio = float(np.std(canonical, axis=0).mean() / max(np.std(mesh, axis=0).mean(), 1e-6))
    if ratio > 0.75:
        return image, mesh

    small = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), np.asarray((mesh + 0.5) * ratio - 0.5, np.float32)


def _mirror_hidden(pixels: Array, weight: Mask) -> RgbImage:
    seen = cv2.GaussianBlur(np.clip((weight - 0.25) / 0.3, 0, 1), (0, 0), 3)
    borrow = ((1 - seen) * seen[:, ::-1])[..., None]
    return np.asarray(pixels + (pixels[:, ::-1] - pixels) * borrow + 0.5, np.uint8)


def _with_rim(points: Array, hull: Array) -> Array:
    """Append the hull's points pushed outwards, so that the map goes on smoothly past the face's
    edge.
    """
    centre = points.mean(0)
    return np.concatenate([points, centre + (points[hull] - centre) * 1.07]).astype(np.float32)


def _border_fade() -> Mask:
    """Return a mask that ends before the crop does.

    Without it, a face larger than the crop would be cut with an edge.
    """
    ramp = np.clip(np.minimum(np.arange(SIZE), np.arange(SIZE)[::-1]) / BORDER_PX, 0, 1)
    return np.asarray(np.minimum(ramp[:, None], ramp[None]), np.float32)


_BORDER = _border_fade()
_LIP_EDGE = np.ones(
    (3, 3), np.uint8
)  # a pixel of the target's lips: their edge is what says how far they are apart
_NO_MAP = np.empty(0, np.float32)  # cv2.remap takes both maps as one
