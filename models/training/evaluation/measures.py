"""What a swap is measured by: who it looks like, whether it keeps expression, light, sharpness and
surroundings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Embedding, Landmarks, Mask, RgbImage
from models.inference.finding.alignment import eye_distance
from models.inference.session import Network, SessionFactory
from models.training.dataset import MARGIN, mouth_height

Array = NDArray[Any]

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)
# A sixteenth of the crop: shading over a cheek, no feature of the face.
LIGHT_SIGMA_PX = 14.0


@dataclass(frozen=True)
class IndependentEncoder:
    """The evaluation-only encoder: never in a loss, so that it cannot be flattered."""

    network: Network

    @classmethod
    def load(cls, shared: Path) -> IndependentEncoder:
        """Open the encoder of the measuring material. Raises when the folder has none."""
        return cls(SessionFactory("cpu", 2).open(shared / "eval" / "independent_encoder.onnx"))

    def embed(self, crop_files: list[RgbImage]) -> Array:
        """Return embeddings [n, 128] of 288 px crop files: crop and mirror image summed, L2 norm
        1.
        """
        return np.stack([self._one(crop) for crop in crop_files])

    def _one(self, crop_file: RgbImage) -> Embedding:
        # The encoder wants the template's crop, without the margin of a crop file.
        inner = crop_file[MARGIN:-MARGIN, MARGIN:-MARGIN]
        small = cv2.resize(inner, (112, 112), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        planes = ((small - IMAGENET_MEAN) / IMAGENET_STD).transpose(2, 0, 1)
        # The image and its mirror, summed: neither side of a face counts for more.
        both = np.stack([planes, planes[:, :, ::-1]]).astype(np.float32)
        (outputs,) = self.network(both).values()
        summed = outputs.sum(0)

        return np.asarray(summed / np.linalg.norm(summed), np.float32)


def landmark_distance(ours: Landmarks, target: Landmarks) -> float:
    """Return the mean distance of the mesh points, as a share of the eye distance."""
    return float(np.linalg.norm(ours - target, axis=1).mean() / eye_distance(target))


def mouth_error(ours: Landmarks, target: Landmarks) -> float:
    """Return the difference of the mouth's opening, as a share of the eye distance."""
    return abs(mouth_height(ours) - mouth_height(target)) / eye_distance(target)


def detail(image: RgbImage, mask: Mask) -> float:
    """Return the mean magnitude of what a 3 px box blur takes away, inside the mask."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    # What a 3 px box takes away is finer than features: pores, hair, lashes.
    return float(np.abs(grey - cv2.blur(grey, (3, 3)))[mask > 0.9].mean())


def outside_error(ours: RgbImage, target: RgbImage, mask: Mask) -> float:
    """Return the mean absolute change, in 0..1, where the true mask is 0."""
    # Of 0..1: less than one level of 255 of the face shows there.
    return float(np.abs(ours.astype(np.float32) - target)[mask < 0.004].mean() / 255)


def colour_shift(ours: RgbImage, target: RgbImage, mask: Mask) -> float:
    """Return the distance of the mean colours inside the mask, mean over channels, in 0..1."""
    inside = mask > 0.5
    return float(np.abs(ours[inside].mean(0) - target[inside].mean(0)).mean() / 255)


def light_shift(ours: RgbImage, target: RgbImage, mask: Mask) -> float:
    """Return how far the lighting is off: the blurred difference inside the mask, mean magnitude,
    in 0..1.
    """
    # Weighted by the mask, so that background does not bleed into the face's mean light.
    weight = cv2.GaussianBlur(mask, (0, 0), LIGHT_SIGMA_PX) + 1e-3
    difference = (ours.astype(np.float32) - target) * mask[..., None]
    blurred = cv2.GaussianBlur(difference, (0, 0), LIGHT_SIGMA_PX) / weight[..., None]

    return float(np.abs(blurred)[mask > 0.5].mean() / 255)
