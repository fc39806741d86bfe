"""Outlines of the objects that are put in front of faces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.networks.cover_net import SIZE
from models.training.cover.canvas import (
    Canvas,
    Generator,
    blank,
    direction,
    ellipse,
    line,
    polygon,
    whole,
)

Array = NDArray[Any]


def _disc(canvas: Canvas, rng: Generator) -> Array:
    alpha = blank()
    size = rng.uniform(5, 34)
    radii = np.array([size, size * rng.uniform(0.6, 1.2)])
    ellipse(alpha, canvas.somewhere(rng), radii, rng.uniform(0, 180))
    return alpha


def _board(canvas: Canvas, rng: Generator) -> Array:
    """Return a phone, a book, a sheet of paper, a cup."""
    alpha = blank()
    size = rng.uniform(6, 40)
    at = canvas.on_outline(rng) if rng.random() < 0.5 else canvas.somewhere(rng)
    box = cv2.boxPoints((whole(at), (size * 2, size * rng.uniform(0.8, 3)), rng.uniform(0, 180)))
    polygon(alpha, box)

    return alpha


def _stick(canvas: Canvas, rng: Generator) -> Array:
    alpha = blank()
    at = canvas.somewhere(rng)
    along, _ = direction(rng)
    line(alpha, at - along * rng.uniform(0, 30), at + along * 150, 1.0, rng.uniform(2, 26))
    return alpha


def _microphone(canvas: Canvas, rng: Generator) -> Array:
    """Return a round head before mouth or chin on a stick from below."""
    alpha = blank()
    at = canvas.mesh[rng.choice((0, 17, 152, 4))] + rng.normal(0, 8, 2)
    radius = rng.uniform(6, 18)
    foot = at + np.array([rng.normal(0, 30), 90])
    ellipse(alpha, at, np.array([radius, radius * rng.uniform(0.9, 1.5)]), rng.uniform(0, 180))
    line(alpha, at, foot, 1.0, radius * rng.uniform(0.5, 1.2))

    return alpha


def _lower_face(canvas: Canvas, rng: Generator) -> Array:
    """Return a mask, a scarf, a veil."""
    alpha = blank()
    mesh = canvas.mesh
    height = mesh[rng.choice((4, 195, 2, 0)), 1] + rng.normal(0, 2)
    sides = mesh[[234, 454]]
    rim = rng.uniform(-4, 6)
    left = (sides[0, 0] - 6, height + rim)
    right = (sides[1, 0] + 6, height + rim)
    nose = (mesh[4, 0], height)
    bottom = mesh[152, 1] + rng.uniform(0, 30)
    polygon(alpha, np.array([left, nose, right, (right[0], bottom), (left[0], bottom)]))

    return alpha


def _brim(canvas: Canvas, rng: Generator) -> Array:
    """Return a cap, a headscarf: whatever covers a forehead from above."""
    alpha = blank()
    brow = canvas.mesh[[105, 334], 1].mean()
    edge = brow - rng.uniform(-2, 22)
    bend = rng.normal(0, 6)
    x = np.linspace(-10, SIZE + 10, 9)
    across = (x - canvas.mesh[10, 0]) / 50
    lower = edge + bend * across**2 + rng.normal(0, 4) * across
    rim = np.stack([x, lower], 1)
    polygon(alpha, np.concatenate([rim, [(SIZE + 10, -10), (-10, -10)]]))

    return alpha


def _blob(canvas: Canvas, rng: Generator) -> Array:
    """Return an uneven shape: a bunch of flowers, a sleeve, a toy."""
    alpha = blank()
    turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(5, 14))))
    reach = rng.uniform(6, 30) * rng.uniform(0.4, 1.4, len(turns))
    at = canvas.on_outline(rng) if rng.random() < 0.6 else canvas.somewhere(rng)
    polygon(alpha, at + np.stack([np.cos(turns), np.sin(turns)], 1) * reach[:, None])

    return alpha


SHAPES: tuple[Callable[[Canvas, Generator], Array], ...] = (
    _disc,
    _board,
    _board,
    _stick,
    _microphone,
    _lower_face,
    _brim,
    _blob,
)
