"""What one photo shows of a person's face: its texture, what lies in front of it, and its eyes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from models.inference.arrays import Landmarks, RgbImage
from models.inference.finding.alignment import TEMPLATE_SIZE, Fit, align
from models.inference.finding.eyes.iris_network import EyePair, IrisNetwork, with_lids
from models.inference.frames.affine import scale_of, transform
from models.inference.frames.image_frame import ImageFrame
from models.inference.identity import SourceEyes
from models.inference.painting.occlusion import CoverFinder
from models.inference.texture.covering import Covering
from models.inference.texture.eyes.iris import cut_out
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.fusion import Texture

TEXTURE_MARGIN_PX = 32  # around the template: cheeks and chin reach past it
# A small photo is enlarged so far at most: there is nothing more to see in it.
MAX_TEXTURE_SCALE = 3.0


@dataclass(frozen=True)
class PhotoFace:
    """One photo's face: a crop; mesh, texture and eyes in it; and its mesh in the template.

    `covering` is what lies in front of it, None where no network can say that.
    """

    crop: RgbImage
    mesh: Landmarks
    texture: Texture
    covering: Covering | None
    template_mesh: Landmarks
    eyes: EyePair | None

    @property
    def bare(self) -> Texture:
        """The texture, weighted by what no hair hides as well: another photo may show it."""
        if self.covering is None:
            return self.texture
        weight = self.texture.weight * (1 - self.covering.hair)
        return replace(self.texture, weight=np.asarray(weight, np.float32))

    def irises(self) -> SourceEyes | None:
        """Return the photo's irises, cut out of its own pixels."""
        return None if self.eyes is None else cut_out(self.crop, self.eyes)


@dataclass(frozen=True)
class PhotoReader:
    """Reads faces off photos for one pack; `iris` and `cover` are None where it lacks them."""

    fit: Fit
    canonical: CanonicalFace
    iris: IrisNetwork | None
    cover: CoverFinder | None

    def read(self, photo: ImageFrame, landmarks: Landmarks) -> PhotoFace:
        """Take the texture from the photo's own pixels, not from the smaller swap crop."""
        eyes = None if self.iris is None else self.iris.look(photo, landmarks)
        mesh = landmarks if eyes is None else with_lids(landmarks, eyes)
        to_crop = align(landmarks, self.fit)
        # The photo's own resolution, within bounds: fine detail is read from it.
        scale = float(np.clip(1 / scale_of(to_crop), 1, MAX_TEXTURE_SCALE))
        to_crop[:, 2] += TEXTURE_MARGIN_PX
        to_crop *= scale
        crop = photo.rgb_crop(to_crop, round((TEMPLATE_SIZE + 2 * TEXTURE_MARGIN_PX) * scale))

        return PhotoFace(
            crop=crop,
            mesh=transform(mesh, to_crop),
            texture=self.canonical.texture(crop, transform(mesh, to_crop)),
            covering=self._covering(photo, landmarks),
            template_mesh=transform(mesh, align(landmarks, self.fit)),
            eyes=None if eyes is None else (eyes[0].moved(to_crop), eyes[1].moved(to_crop)),
        )

    def _covering(self, photo: ImageFrame, landmarks: Landmarks) -> Covering | None:
        """Return what the cover network sees in the crop that it knows, in canonical pixels."""
        if self.cover is None:
            return None

        to_crop = self.canonical.swap_crop(landmarks, self.fit)
        crop = photo.rgb_crop(to_crop, TEMPLATE_SIZE, extend=True)
        in_crop = transform(landmarks, to_crop)
        likely, _ = self.cover.look(crop, in_crop)
        hair, glasses = (
            self.canonical.texels_of(cv2.resize(plane, (TEMPLATE_SIZE, TEMPLATE_SIZE)), in_crop)
            for plane in likely[:2]
        )

        return Covering(hair, glasses)
