"""Who a face is: the pack's identity encoder, for registration and for telling people apart in a
video.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from models.inference.arrays import Affine, Embedding, Landmarks, RgbImage, Tensor, to_network
from models.inference.counters import Counters
from models.inference.finding.alignment import Fit, align
from models.inference.frames.affine import compose
from models.inference.frames.frame import Frame
from models.inference.session import Network

# A face at level 23 of 255 agrees with its well-lit self by .81, and by .91 once it is brightened.
GOOD_LEVEL = 110.0
MAX_GAIN = 12.0  # noise of darker chips would be taken for a face's features


@dataclass(frozen=True)
class Encoded:
    """An embedding, centred and of length one, and the feature map before it where the pack's IIM
    needs that.
    """

    embedding: Embedding
    feature_map: Tensor | None


@dataclass(frozen=True)
class IdentityEncoder:
    """The encoder with the preprocessing its pack states.

    `from_template` maps a crop of the template at `template_size` px to the encoder's `size` px
    chip; `centre` is subtracted from raw embeddings.
    """

    network: Network
    size: int
    fit: Fit
    template_size: int
    from_template: Affine
    centre: Embedding
    counters: Counters

    def chip(self, frame: Frame, landmarks: Landmarks) -> RgbImage:
        """Return the crop the encoder looks at, which can be encoded later."""
        to_chip = compose(self.from_template, align(landmarks, self.fit, self.template_size))
        return frame.rgb_crop(to_chip, self.size)

    def register(self, frame: Frame, landmarks: Landmarks) -> Encoded:
        """Return all that registration needs of a face."""
        self.counters.encoder_passes += 1
        return self._encode(self.chip(frame, landmarks))

    def recognise(self, frame: Frame, landmarks: Landmarks) -> Embedding:
        """Return who a face looks like."""
        return self.recognise_chip(self.chip(frame, landmarks))

    def recognise_chip(self, chip: RgbImage) -> Embedding:
        """Return who is on a chip; a dark one is brightened first, as in a fade from black."""
        self.counters.recognition_passes += 1
        gain = min(MAX_GAIN, GOOD_LEVEL / max(1.0, float(chip.mean())))
        lit = chip if gain <= 1 else cv2.convertScaleAbs(chip, alpha=gain)
        return self._encode(np.asarray(lit, np.uint8)).embedding

    def _encode(self, chip: RgbImage) -> Encoded:
        outputs = self.network(to_network(chip))
        feature_map = outputs.get("feature_map")
        embedding = normalised(outputs["embedding"][0] - self.centre)
        return Encoded(embedding, None if feature_map is None else feature_map[0])


def normalised(embedding: Embedding) -> Embedding:
    """Return the embedding scaled to length one."""
    return np.asarray(embedding / max(float(np.linalg.norm(embedding)), 1e-9), np.float32)


def cosine_similarity(a: Embedding, b: Embedding) -> float:
    """Return the cosine of two embeddings: about .57 for one person, 0 for two (open pack, video
    frames).
    """
    return float(a @ b)
