"""Checks of photos and targets before anything is swapped, and what they find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from models.inference.arrays import BgrImage, Box, RgbImage
from models.inference.frames.frame import Frame
from models.inference.frames.i420 import I420Frame, yuv_to_rgb
from models.inference.frames.image_frame import ImageFrame
from models.inference.safety.age import AgeEstimator, ApparentAge
from models.inference.safety.nudity import NudityScorer
from models.inference.session import SessionFactory

if TYPE_CHECKING:
    from models.packs.store import Pack

Refusal = Literal["sexual_content", "apparent_minor"]

# The nudity network squeezes all it sees into 256 px: more than this is not worth converting.
_SEEN_SIDE_PX = 1280


@dataclass(frozen=True)
class SafetyChecks:
    """The networks of a pack that brings them; None where an operator has turned one off."""

    nudity: NudityScorer | None
    age: AgeEstimator | None

    @classmethod
    # None for one that is switched off, and for packs from before it was part of them.
    def load(
        cls, pack: Pack, sessions: SessionFactory, *, nudity: bool = True, age: bool = True
    ) -> SafetyChecks:
        """Open the networks that are wanted and that the pack has."""
        return cls(
            nudity=NudityScorer(sessions.open(pack.graph("nudity")))
            if nudity and pack.has("nudity")
            else None,
            age=AgeEstimator(sessions.open(pack.graph("age"))) if age and pack.has("age") else None,
        )

    def nudity_scores(self, frame: Frame, faces: Sequence[Box]) -> tuple[float, ...]:
        """Return the scores of a frame and of the bodies under its faces; none where it is off."""
        if self.nudity is None:
            return ()

        image, scale = _as_bgr(frame)
        boxes = [
            (left * scale, top * scale, right * scale, bottom * scale)
            # Boxes are in the frame's pixels, the image is smaller.
            for left, top, right, bottom in faces
        ]
        return self.nudity.scores(image, boxes)

    def apparent_age(self, chips: Sequence[RgbImage]) -> ApparentAge | None:
        """Return the age that a person's chips show; None where it is off or there are none."""
        return self.age.estimate(chips) if self.age is not None and chips else None


def _as_bgr(frame: Frame) -> tuple[BgrImage, float]:
    """Return a frame as BGR of 1280 px or little more, and how much smaller it became."""
    # By whole numbers, which OpenCV averages ten times as fast as others.
    shrink = max(1, round(max(frame.width, frame.height) / _SEEN_SIDE_PX))
    scale = 1 / shrink
    size = (max(1, frame.width // shrink), max(1, frame.height // shrink))

    if isinstance(frame, ImageFrame):
        if shrink == 1:
            return frame.image, scale
        return np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)), scale
    if isinstance(frame, I420Frame):
        planes = [
            cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_AREA)
            for plane in (frame.y, frame.u, frame.v)
        ]
        rgb = cv2.transform(cv2.merge(planes), yuv_to_rgb(frame.matrix, frame.full_range))
        return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8), scale

    raise TypeError("a frame is an image or has planes")
