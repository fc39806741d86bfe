"""Whether a photo is good enough to register a face from: what is measured, and said in words.

Each check refuses a photo, or accepts it with a warning. Rates of both on honest and on
covered photos: docs/recognition.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from models.inference.arrays import RgbImage
from models.inference.finding.alignment import TEMPLATE_SIZE, align
from models.inference.finding.face_finder import MIN_HUMAN
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.face_parts import FaceParts, eye_brightness
from models.inference.frames.image_frame import ImageFrame
from models.inference.identity import PhotoReport, PhotoWarning

MIN_FACE_PX: Final = 28.0  # between the eyes: below, the texture is enlarged more than twice
# Variance of the Laplacian on the inner face at 224 px.
MIN_SHARPNESS: Final = 12.0
MAX_YAW_DEG: Final = 35.0
# Mean levels of 255: beyond them, shadows or lights are clipped.
DARKEST: Final = 35.0
BRIGHTEST: Final = 235.0
INSIDE_REFUSED: Final = 0.8  # of the mesh: less, and a cheek or the chin is missing
INSIDE_WARNED: Final = 0.98
MAX_ROLL_DEG: Final = 60.0  # beyond it the photo is turned upright, and the report says so
HUMAN_WARNED: Final = 0.74  # 99.9 % of photographs have more, drawings at most .63
# Of 1,470 open faces 0.1 % are below the first and 1.5 % below the second of each pair.
MOUTH_REFUSED: Final = 0.15
MOUTH_WARNED: Final = 0.30
EYES_REFUSED: Final = 0.20
EYES_WARNED: Final = 0.30


@dataclass(frozen=True)
class _Fault:
    code: str
    detail: str
    refuses: bool


@dataclass(frozen=True)
class PhotoCheck:
    """Judges photos; `parts` know what mouths look like."""

    parts: FaceParts

    def judge(self, photo: ImageFrame, face: MeshedFace) -> PhotoReport:
        """Return how good a photo of a face is; the first fault that refuses it is the reason,
        all others are warnings.
        """
        crop = aligned_crop(photo, face)
        # The inner face: hair and background have a sharpness and a brightness of their own.
        luma = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[48:-16, 40:-40]
        sharpness = float(cv2.Laplacian(luma, cv2.CV_32F).var())
        brightness = float(luma.mean())

        faults = [
            *_quality_faults(face, sharpness, brightness),
            *_pose_faults(photo, face),
            *self._cover_faults(crop),
        ]

        refusal = next((fault for fault in faults if fault.refuses), None)
        return PhotoReport(
            face_px=face.eye_px,
            sharpness=sharpness,
            yaw_deg=face.yaw_deg,
            brightness=brightness,
            accepted=refusal is None,
            reason=refusal.code if refusal else None,
            detail=refusal.detail if refusal else None,
            warnings=tuple(
                PhotoWarning(fault.code, fault.detail) for fault in faults if fault is not refusal
            ),
        )

    def _cover_faults(self, crop: RgbImage) -> Iterator[_Fault]:
        mouth = self.parts.mouth_familiarity(crop)
        if mouth < MOUTH_WARNED:
            detail = (
                f"something seems to cover the mouth: it looks {mouth:.2f} like one, of 1;"
                f" take a photo without a mask or hand (at least {MOUTH_WARNED})"
            )
            yield _Fault("mouth_covered", detail, mouth < MOUTH_REFUSED)

        eyes = eye_brightness(crop)
        if eyes < EYES_WARNED:
            detail = (
                f"the eyes are {eyes:.2f} times as bright as the cheeks (at least {EYES_WARNED});"
                " take off dark glasses, or turn to the light"
            )
            yield _Fault("eyes_covered", detail, eyes < EYES_REFUSED)


def aligned_crop(photo: ImageFrame, face: MeshedFace) -> RgbImage:
    """Return the 224 px crop of the template that a photo's face is judged by."""
    return photo.rgb_crop(align(face.landmarks, "similarity"), TEMPLATE_SIZE)


def _quality_faults(face: MeshedFace, sharpness: float, brightness: float) -> Iterator[_Fault]:
    if face.eye_px < MIN_FACE_PX:
        detail = f"the eyes are {face.eye_px:.0f} px apart; at least {MIN_FACE_PX:.0f} are needed"
        yield _Fault("too_small", detail, refuses=True)

    if brightness < DARKEST:
        detail = f"the face's mean level is {brightness:.0f} of 255; at least {DARKEST:.0f}"
        yield _Fault("too_dark", detail, refuses=True)

    if brightness > BRIGHTEST:
        detail = f"the face's mean level is {brightness:.0f} of 255; at most {BRIGHTEST:.0f}"
        yield _Fault("too_bright", detail, refuses=True)

    if sharpness < MIN_SHARPNESS:
        detail = f"the face's sharpness is {sharpness:.0f}; at least {MIN_SHARPNESS:.0f} is needed"
        yield _Fault("blurred", detail, refuses=True)


def _pose_faults(photo: ImageFrame, face: MeshedFace) -> Iterator[_Fault]:
    if abs(face.yaw_deg) > MAX_YAW_DEG:
        detail = f"the head is turned by {abs(face.yaw_deg):.0f} degrees; at most {MAX_YAW_DEG:.0f}"
        yield _Fault("too_turned", detail, refuses=True)

    inside = (face.landmarks >= 0) & (face.landmarks < [photo.width, photo.height])
    share = float(np.mean(inside.all(axis=1)))

    if share < INSIDE_WARNED:
        detail = f"{100 * share:.0f} % of the face is inside the photo; show all of it"
        yield _Fault("cut_off", detail, share < INSIDE_REFUSED)

    roll_deg = math.degrees(face.roll)
    if abs(roll_deg) > MAX_ROLL_DEG:
        turned = f"the face is turned by {abs(roll_deg):.0f} degrees in the photo"
        detail = f"{turned}; it is used upright"
        yield _Fault("not_upright", detail, refuses=False)

    if face.human < HUMAN_WARNED:
        detail = (
            f"this may be a drawing, or a face that cannot be made out: {face.human:.2f} of 1"
            f" (photographs have {HUMAN_WARNED} and more)"
        )
        yield _Fault("not_a_photograph", detail, face.human < MIN_HUMAN)
