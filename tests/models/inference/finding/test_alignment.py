from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.inference.arrays import Affine
from models.inference.engine import FaceSwapEngine
from models.inference.finding.alignment import (
    TEMPLATE,
    affine_fit,
    align,
    five_points,
    similarity_fit,
)
from models.inference.frames.affine import invert, scale_of, transform

SHEAR: Affine = np.array([[0.8, 0.35, 12.0], [-0.1, 1.3, -7.0]])


def test_an_affine_fit_recovers_an_arbitrary_shear_from_five_points() -> None:
    assert affine_fit(transform(TEMPLATE, invert(SHEAR)), TEMPLATE) == pytest.approx(
        SHEAR, abs=1e-4
    )


def test_a_similarity_cannot_reproduce_a_shear() -> None:
    assert np.abs(similarity_fit(transform(TEMPLATE, invert(SHEAR)), TEMPLATE) - SHEAR).max() > 0.05


def test_a_similarity_recovers_a_turn_a_scale_and_a_shift() -> None:
    turn: Affine = np.array([[0.6, -0.45, 20.0], [0.45, 0.6, -3.0]])
    assert similarity_fit(transform(TEMPLATE, invert(turn)), TEMPLATE) == pytest.approx(
        turn, abs=1e-4
    )


def test_crops_of_two_sizes_show_the_same_place() -> None:
    landmarks = np.random.default_rng(0).uniform(100, 300, (468, 2)).astype(np.float32)
    large = align(landmarks, "similarity", 224)
    small = align(landmarks, "similarity", 112)
    assert scale_of(large) == pytest.approx(2 * scale_of(small))
    # Centres of pixels: the corner of the image lies half a pixel before the first one's centre.
    assert transform(landmarks, large) + 0.5 == pytest.approx(
        2 * (transform(landmarks, small) + 0.5), abs=1e-3
    )


@pytest.mark.shared
def test_mesh_points_align_like_the_five_points_of_the_training_crops(
    engine: FaceSwapEngine, shared: Path
) -> None:
    with (shared / "data" / "faces.csv").open() as table:
        rows = list(csv.DictReader(table))[::40]

    names = ("leye", "reye", "nose", "lmouth", "rmouth")
    shifts = []
    scales = []

    for row in rows:
        image = cv2.imread(str(shared / "data" / "faces" / row["file"]))
        mesh = (
            max(engine.detect(np.asarray(image, np.uint8)), key=lambda face: face.eye_px).landmarks
            - 32
        )
        given = np.array(
            [[float(row[f"{axis}_{name}"]) for axis in "xy"] for name in names], np.float32
        )
        by_mesh = align(mesh, "similarity")
        by_points = similarity_fit(given, TEMPLATE)
        middle = np.array([[112.0, 130.0]], np.float32)
        shifts.append(transform(middle, by_mesh) - transform(middle, by_points))
        scales.append(scale_of(by_mesh) / scale_of(by_points))

    assert np.abs(np.median(shifts, axis=0)).max() < 2.5
    assert np.median(scales) == pytest.approx(1, abs=0.02)


def test_five_points_lie_where_a_viewer_expects_them(engine: FaceSwapEngine) -> None:
    from tests.models.demo_media import portrait

    left_eye, right_eye, nose, left_mouth, right_mouth = five_points(
        engine.detect(portrait("ben_neutral"))[0].landmarks
    )
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert left_eye[1] < nose[1] < left_mouth[1]
