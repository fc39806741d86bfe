"""Hands drawn as solid bodies: bones with flesh around them, bent, turned, lit and projected.

Hands cut from videos are few and mostly forearms; what hides a face is fingers at a chin, knuckles
at a cheek, a flat hand at a forehead, in the face's own colour and light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.networks.cover_net import SIZE
from models.training.cover.canvas import Canvas, Generator

Array = NDArray[Any]

# A palm is as wide as 1.35 times the distance between the eyes, 35 px here; hands are held nearer
# to the camera than the face, and children's are smaller.
PALM_PX = (28.0, 62.0)
# In palm widths, from the index finger to the little one.
KNUCKLES = ((-0.36, 0.95), (-0.12, 1.0), (0.12, 0.97), (0.35, 0.88))
FINGERS = (0.78, 0.88, 0.8, 0.62)
JOINTS = (0.45, 0.3, 0.25)  # of a finger's length
FINGER_RADII = (0.13, 0.12, 0.11, 0.095)
BONE_RADIUS = 0.17
WRIST_RADIUS = 0.26
FOREARM = 3.0
BENT_DEG = 58.0  # of each joint of a closed fist
# How far each finger is bent: flat, pointing, two fingers, a fist, a loose hand, a hook.
POSES = (
    (0.0, 0.0, 0.0, 0.0),
    (0.0, 1.0, 1.0, 1.0),
    (0.0, 0.0, 1.0, 1.0),
    (1.0, 1.0, 1.0, 1.0),
    (0.3, 0.35, 0.4, 0.45),
    (0.6, 0.65, 0.65, 0.6),
)
TILT_DEG = 38.0  # out of the image's plane
TOWARDS_FACE_DEG = 45.0  # an arm comes from outside: its fingers point at the face, about so
SLEEVES = 0.35
GLOVES = 0.06
STEEPEST = 1.3  # slope of flesh that light knows: at an outline it would be endless
FAR = -1e3  # where there is no hand


@dataclass(frozen=True)
class Bone:
    """One bone and the flesh around it, from `start` to `end` [3] with its radii there; z comes
    towards the camera.
    """

    start: Array
    end: Array
    radii: tuple[float, float]


def solid_hand(canvas: Canvas, rng: Generator, at: Array) -> tuple[Array, Array]:
    """Return colours [112, 112, 3] and alpha [112, 112] of a hand that touches a face at a point.

    The colours are those of the face's skin, lighter or darker, or now and then another's.
    """
    width = rng.uniform(*PALM_PX)
    towards = canvas.mesh.mean(0) - at + rng.normal(0, 10, 2)
    heading = np.arctan2(towards[1], towards[0]) + np.radians(rng.normal(0, TOWARDS_FACE_DEG))
    bones = _turned(_bones(rng), rng, heading)
    # A fingertip touches, or a knuckle, or the palm.
    touching = bones[int(rng.choice(len(bones) - 1))]
    shift = np.append(at, 0) - touching.end * width
    height, along = _projected(bones, width, shift)
    alpha = (height > FAR).astype(np.float32)
    colours = _skin(canvas, rng) * _light(rng, height, width)[..., None]

    if rng.random() < SLEEVES:
        cuff = rng.uniform(0.25, 1.5)
        cloth = rng.uniform(5, 240, 3) * (0.6 + 0.4 * _light(rng, height, width)[..., None])
        colours = np.where((along < -cuff)[..., None], cloth, colours)

    return np.asarray(colours, np.float32), alpha


def _bones(rng: Generator) -> list[Bone]:
    """Return the bones of a hand that points up, in palm widths; the forearm is the last."""
    bent = np.array(POSES[rng.integers(len(POSES))]) + rng.normal(0, 0.1, 4)
    # The palm is shown, or its back: then fingers bend away from the camera.
    facing = rng.choice((-1.0, 1.0))
    spread = rng.uniform(0, 28)
    bones = []

    for index, (x, y) in enumerate(KNUCKLES):
        knuckle = np.array([x, y, 0.0])
        bones.append(Bone(np.array([0.6 * x, 0, 0.0]), knuckle, (0.9 * BONE_RADIUS, BONE_RADIUS)))
        turn = np.radians(spread * x / 0.36 + rng.normal(0, 2))
        bones += _finger(
            knuckle,
            turn,
            FINGERS[index],
            FINGER_RADII[index],
            facing * max(0.0, float(bent[index])),
        )

    thumb = np.radians(-rng.uniform(10, 75))
    root = np.array([-0.3, 0.2, 0.1 * facing])
    bones += _finger(root, thumb, 0.95, 0.145, facing * rng.uniform(0, 0.5))
    elbow = np.array([rng.normal(0, 0.3), -FOREARM, 0.0])
    bones.append(Bone(elbow, np.zeros(3), (1.3 * WRIST_RADIUS, WRIST_RADIUS)))

    return bones


def _finger(start: Array, turn: float, length: float, radius: float, bent: float) -> list[Bone]:
    bones = []
    raised = 0.0

    for index, share in enumerate(JOINTS):
        raised += np.radians(bent * BENT_DEG)
        flat = np.array([np.sin(turn), np.cos(turn)]) * np.cos(raised)
        end = start + length * share * np.array([flat[0], flat[1], np.sin(raised)])
        thin = radius * (1 - 0.1 * index)
        bones.append(Bone(start, end, (thin, 0.9 * thin)))
        start = end

    return bones


def _turned(bones: list[Bone], rng: Generator, heading: float) -> list[Bone]:
    """Return the hand tilted in depth, pointing along `heading` in the image, left or right."""
    about_x, about_y = np.radians(rng.normal(0, TILT_DEG, 2))
    tilt_x = np.array(
        [[1, 0, 0], [0, np.cos(about_x), -np.sin(about_x)], [0, np.sin(about_x), np.cos(about_x)]]
    )
    tilt_y = np.array(
        [[np.cos(about_y), 0, np.sin(about_y)], [0, 1, 0], [-np.sin(about_y), 0, np.cos(about_y)]]
    )
    along = np.array([np.cos(heading), np.sin(heading), 0])
    across = np.array([-along[1], along[0], 0]) * rng.choice((-1, 1))
    matrix = np.column_stack([across, along, [0, 0, 1]]) @ tilt_x @ tilt_y

    return [Bone(matrix @ bone.start, matrix @ bone.end, bone.radii) for bone in bones]


def _projected(bones: list[Bone], width: float, shift: Array) -> tuple[Array, Array]:
    """Return how near to the camera the hand is at each pixel, FAR where it is not, and how far up
    the arm that is: negative below the wrist, in palm widths.
    """
    height = np.full((SIZE, SIZE), FAR, np.float32)
    along = np.zeros((SIZE, SIZE), np.float32)

    for index, bone in enumerate(bones):
        start = bone.start * width + shift
        end = bone.end * width + shift
        first, last = (radius * width for radius in bone.radii)
        reach = max(first, last) + 1
        low = np.clip(np.floor(np.minimum(start, end)[:2] - reach), 0, SIZE).astype(int)
        high = np.clip(np.ceil(np.maximum(start, end)[:2] + reach), 0, SIZE).astype(int)
        if (high <= low).any():
            continue

        x = np.arange(low[0], high[0], dtype=np.float32)[None] - start[0]
        y = np.arange(low[1], high[1], dtype=np.float32)[:, None] - start[1]
        way = end - start
        share = (x * way[0] + y * way[1]) / max(float(way[:2] @ way[:2]), 1e-3)
        share = np.clip(share, 0, 1)
        radius = first + (last - first) * share
        off = radius**2 - (x - share * way[0]) ** 2 - (y - share * way[1]) ** 2
        near = start[2] + share * way[2] + np.sqrt(np.maximum(off, 0))

        place = np.s_[low[1] : high[1], low[0] : high[0]]
        nearest = (off > 0) & (near > height[place])
        height[place][nearest] = near[nearest]
        is_arm = index == len(bones) - 1
        along[place][nearest] = (share[nearest] - 1) * FOREARM if is_arm else 0

    return height, along


def _light(rng: Generator, height: Array, width: float) -> Array:
    """Return the light on each pixel, about 1: of a lamp from any side in front, and less of it
    between fingers.
    """
    there = height > FAR
    if not there.any():
        return np.ones_like(height)

    flat = np.where(there, height, height[there].min()).astype(np.float32)
    smooth = cv2.GaussianBlur(flat, (0, 0), 0.8)
    slope_x = np.clip(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8), -STEEPEST, STEEPEST)
    slope_y = np.clip(cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8), -STEEPEST, STEEPEST)
    upright = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    lamp = np.array([*rng.uniform(-0.8, 0.8, 2), 1.0])
    lamp /= np.linalg.norm(lamp)
    facing = np.maximum(0, (lamp[2] - lamp[0] * slope_x - lamp[1] * slope_y) * upright)

    ambient = rng.uniform(0.3, 0.85)
    lit = ambient + (1 - ambient) * facing / max(float(lamp[2]), 0.3)
    deep = np.clip((cv2.GaussianBlur(flat, (0, 0), 0.08 * width) - flat) / (0.2 * width), 0, 1)
    rough = cv2.GaussianBlur(rng.standard_normal((SIZE, SIZE), np.float32), (0, 0), 2.0)

    return np.asarray(
        lit * (1 - rng.uniform(0.1, 0.55) * deep) * (1 + rng.uniform(0, 0.3) * rough), np.float32
    )


def _skin(canvas: Canvas, rng: Generator) -> Array:
    """Return the hand's colour: mostly the face's, as bright or brighter, a little redder."""
    skin = canvas.skin

    if rng.random() < GLOVES:
        return rng.uniform(5, 240, 3)
    if rng.random() < 0.15:
        skin = canvas.others[1][60:84, 60:84].reshape(-1, 3).mean(0)

    return np.asarray(skin * np.exp(rng.normal(0.05, 0.22)) * rng.normal((1.01, 0.99, 0.98), 0.03))
