"""The faces of a frame: detected, meshed the way each one stands, and judged human or not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from models.inference.finding.alignment import TEMPLATE_SIZE, align
from models.inference.finding.detections import Detection, TurnedSquare, merge, overlap
from models.inference.finding.face_detector import LARGE_SHARE, FaceDetector
from models.inference.finding.face_mesh import FaceMesh, MeshedFace, RegionOfInterest
from models.inference.frames.frame import Frame

MIN_MESH_SCORE = 0.5
MIN_NEW_SCORE = 0.95  # of a face that appears: half a face beside somebody's head has .92
SAME_FACE = 0.6  # overlap of two boxes that show one face

# The detector's short-range model, asked again about one aligned face in a square of this many
# face sides: over 1,793 photographs the lowest score the right way up is .77 (99.5 % have .87),
# the highest upside down .82, and no face scores higher upside down.
UPRIGHT_SQUARE = 1.6
CLEARLY_UPRIGHT = 0.84
DIRECTIONS = 8  # angles tried when a face is not clearly upright: the model sees 30 degrees past

# Closer still, drawings fall away: the highest of the drawn faces that the mesh accepts is .63,
# 99.8 % of the photographs and every frame of the videos measured have more than .70.
HUMAN_SQUARE = 1.3
MIN_HUMAN = 0.68

# Drawn in flat colours, a face scores as high as a person. Skin is never flat: of blocks of 3 px
# between eyes 35 px apart, less than 10 % vary by under 2 levels in 99.9 % of the photographs, 21 %
# in the worst; in drawings 16 to 71 %. In the dark there is nothing to vary.
FLAT_CROP = 96
FLAT_BLOCK = 6
FLAT_LEVELS = 2
MAX_FLAT = 0.25
MIN_CONTRAST = 8.0
FACE_MIDDLE = np.s_[48:208, 44:180]  # of the 224 template: brows to chin


@dataclass(frozen=True)
class FaceFinder:
    """Detector and mesh together."""

    detector: FaceDetector
    mesh: FaceMesh

    def find_all(self, frame: Frame, *, largest_only: bool = False) -> list[MeshedFace]:
        """Return the faces of an image, left to right, down to 20 px between the eyes.

        With `largest_only` the search ends once somebody is found whom no smaller face can outdo:
        small faces are then missing.
        """
        detections = self.detector.find_large(frame)
        if largest_only:
            faces = self._settled(frame, merge(detections), known=(), least=MIN_MESH_SCORE)
            if any(_is_large_person(face, frame) for face in faces):
                return faces

        detections += self.detector.find_small(frame)
        return self._settled(frame, merge(detections), known=(), least=MIN_MESH_SCORE)

    def find(
        self, frame: Frame, squares: Sequence[TurnedSquare], known: Sequence[MeshedFace]
    ) -> list[MeshedFace]:
        """Return the faces of a video frame that are not among the `known` ones, left to right.

        Small and turned faces are only looked for in `squares`: see `FaceDetector.sweep`.
        """
        detections = self.detector.find(frame, squares)
        return self._settled(frame, detections, known, least=MIN_NEW_SCORE)

    def settle(self, frame: Frame, detection: Detection) -> MeshedFace:
        """Return the mesh of a detected face, upright in the face's own orientation.

        `human` of the face says how sure the detector is, from close up, that it is one.
        """
        face = self.mesh.settle(frame, detection)
        square = _square_around(face, UPRIGHT_SQUARE)
        detector = self.detector.short_range

        if detector.best_score(frame, square) < CLEARLY_UPRIGHT:
            best = max(_turns(square), key=lambda turned: detector.best_score(frame, turned))
            found = detector.find_turned(frame, best, min_score=MIN_MESH_SCORE)

            if found and best.angle != square.angle:
                face = self.mesh.settle(frame, max(found, key=lambda one: one.score))

        if _is_flat(frame, face):
            return replace(face, human=0.0)

        close = _square_around(face, HUMAN_SQUARE)
        return replace(face, human=detector.best_score(frame, close))

    def _settled(
        self,
        frame: Frame,
        detections: Sequence[Detection],
        known: Sequence[MeshedFace],
        least: float,
    ) -> list[MeshedFace]:
        faces: list[MeshedFace] = []
        for detection in detections:
            seen = [*known, *faces]
            if any(overlap(detection.box, other.box) > SAME_FACE for other in seen):
                continue

            face = self.settle(frame, detection)
            is_double = any(overlap(face.box, other.box) > SAME_FACE for other in seen)

            if face.score >= least and not is_double:
                faces.append(face)

        return sorted(faces, key=lambda face: face.box[0])


def _is_large_person(face: MeshedFace, frame: Frame) -> bool:
    left, top, right, bottom = face.box
    side = max(right - left, bottom - top)
    return face.human >= MIN_HUMAN and side >= LARGE_SHARE * max(frame.width, frame.height)


def _is_flat(frame: Frame, face: MeshedFace) -> bool:
    """Whether a face consists of flat colours, as a drawing does."""
    if float(np.std(face.look)) < MIN_CONTRAST:
        return False

    crop = frame.rgb_crop(align(face.landmarks, "similarity"), TEMPLATE_SIZE)
    luma = cv2.cvtColor(np.ascontiguousarray(crop[FACE_MIDDLE]), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(luma, (FLAT_CROP, FLAT_CROP), interpolation=cv2.INTER_AREA)
    side = FLAT_CROP // FLAT_BLOCK
    blocks = small.reshape(side, FLAT_BLOCK, side, FLAT_BLOCK).astype(np.int16)
    varies = blocks.max(axis=(1, 3)) - blocks.min(axis=(1, 3))

    return float(np.mean(varies < FLAT_LEVELS)) > MAX_FLAT


def _square_around(face: MeshedFace, sides: float) -> TurnedSquare:
    region = RegionOfInterest.of_landmarks(face.landmarks)
    return TurnedSquare(region.x, region.y, region.face_side * sides, region.angle)


def _turns(square: TurnedSquare) -> list[TurnedSquare]:
    step = 2 * math.pi / DIRECTIONS
    return [replace(square, angle=square.angle + index * step) for index in range(DIRECTIONS)]
