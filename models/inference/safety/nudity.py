"""Sexual content: Yahoo's open_nsfw network on whole images and around faces.

It was trained on photographs of pornography; it does not see drawings, and its authors publish no
error rates. They call scores under 0.2 safe and over 0.8 highly probable.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from models.inference.arrays import BgrImage, Box, Tensor
from models.inference.session import Network

# Alone enough to refuse: a single sample that the network is sure of.
REFUSE_AT = 0.8
# Two samples at half probability weigh as much as one sample that is certain.
SUSPECT_AT = 0.5
SUSPECT_SAMPLES = 2

# The network squeezes all it sees into 256 px, so a body in a wide image is judged on its own as
# well: three face widths across, six face heights down from above the head.
_BODY_WIDTHS = 3.0
_BODY_HEIGHTS = 6.0
# A body that fills more of the image than this was judged with it already: alone it would be
# seen less than half as large again.
_MOST_OF_IMAGE = 0.5

# Two images at once take a quarter less than one after the other; more only take memory.
_AT_ONCE = 4

_RESIZED_PX = 256
# The middle 224 of 256 px, as its authors crop.
_SEEN = np.s_[16:240, 16:240]
_MEAN_BGR = np.array([104, 117, 123], np.float32)


@dataclass(frozen=True)
class NudityScorer:
    """Scores images; 17 ms each on one core."""

    network: Network

    def score(self, image: BgrImage) -> float:
        """Return the probability 0..1 that an image is pornographic."""
        return float(self.network(_prepared(image))["outputs"][0, 1])

    def scores(self, image: BgrImage, faces: Sequence[Box] = ()) -> tuple[float, ...]:
        """Return the scores of the whole image and of the region around and under each face."""
        regions = [region for box in faces if (region := _body(image, box)) is not None]
        parts = [image, *regions]
        scores: list[float] = []

        for start in range(0, len(parts), _AT_ONCE):
            batch = [_prepared(part) for part in parts[start : start + _AT_ONCE]]
            seen = self.network(np.concatenate(batch))["outputs"]
            scores += [float(score) for score in seen[:, 1]]

        return tuple(scores)


def is_sexual(scores: Sequence[float]) -> bool:
    """Return whether the samples of one image or video must be refused."""
    return bool(refused_band(scores))


def refused_band(scores: Sequence[float]) -> str:
    """Return why samples are refused, as coarsely as a record may say it; "" when they pass."""
    if any(score >= REFUSE_AT for score in scores):
        return f"one of {REFUSE_AT} or more"

    suspect = sum(score >= SUSPECT_AT for score in scores)
    return f"two of {SUSPECT_AT} or more" if suspect >= SUSPECT_SAMPLES else ""


def _body(image: BgrImage, face: Box) -> BgrImage | None:
    left, top, right, bottom = (float(side) for side in face)
    width = right - left
    height = bottom - top
    middle = (left + right) / 2

    x0 = max(0, int(middle - width * _BODY_WIDTHS / 2))
    x1 = min(image.shape[1], int(middle + width * _BODY_WIDTHS / 2))
    y0 = max(0, int(top - height / 2))
    y1 = min(image.shape[0], int(top + height * _BODY_HEIGHTS))

    if (x1 - x0) * (y1 - y0) > _MOST_OF_IMAGE * image.shape[0] * image.shape[1]:
        return None
    # Less than the face itself is left inside the image: the whole image was judged already.
    if x1 - x0 < width or y1 - y0 < height:
        return None

    return np.ascontiguousarray(image[y0:y1, x0:x1])


def _prepared(image: BgrImage) -> Tensor:
    """Return the network's input as its authors make it, the JPEG step included."""
    # First by a whole number, as far as the resizing below does not notice.
    shrink = min(image.shape[:2]) // (2 * _RESIZED_PX)
    if shrink > 1:
        size = (image.shape[1] // shrink, image.shape[0] // shrink)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    colour = Image.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    resized = colour.resize((_RESIZED_PX, _RESIZED_PX), resample=Image.Resampling.BILINEAR)

    with io.BytesIO() as buffer:
        # Through JPEG, as its training data came.
        Image.fromarray(np.asarray(resized)[_SEEN]).save(buffer, format="JPEG")
        seen = np.asarray(Image.open(buffer), np.float32)

    return np.ascontiguousarray((seen[..., ::-1] - _MEAN_BGR)[None], np.float32)
