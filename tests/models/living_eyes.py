"""Blinks and glances of people who do not exist: composites whose lids and irises are moved."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from models.inference.arrays import BgrImage
from models.inference.finding.eyes.eye_axes import INNER, LOWER, OUTER, UPPER
from models.inference.finding.eyes.iris_network import Eye

LID_HEIGHT = 0.5  # of the eye's width: the skin above the opening that comes down


def with_lids(photo: BgrImage, eyes: Sequence[Eye], share: float) -> BgrImage:
    """Return the photo with its upper lids lowered: 1 leaves them, 0 shuts the eyes."""
    where = _identity_map(photo)
    for eye in eyes:
        width = float(np.linalg.norm(eye.lids[INNER] - eye.lids[OUTER]))
        upper, lower = (_curve(eye, rank, photo.shape[1]) for rank in (UPPER, LOWER))
        gap = np.maximum(lower - upper, 0)
        lid = lower - gap * share
        top = upper - LID_HEIGHT * width
        x = where[..., 0]
        y = where[..., 1]
        above = top + (y - top) * (upper - top) / np.maximum(lid - top, 1e-3)
        inside = lower - (lower - y) / max(share, 1e-3)
        moved = np.where(y < lid, above, inside)
        is_moved = (gap > 0) & (y > top) & (y < lower) & np.isfinite(x)
        where[..., 1] = np.where(is_moved, moved, y)

    return _sampled(photo, where)


def looking(photo: BgrImage, eyes: Sequence[Eye], shift: float) -> BgrImage:
    """Return the photo with its irises moved to the right by `shift` widths of the eye."""
    where = _identity_map(photo)
    for eye in eyes:
        width = float(np.linalg.norm(eye.lids[INNER] - eye.lids[OUTER]))
        inside = np.zeros(photo.shape[:2], np.uint8)
        outline = eye.lids[[*range(9), *range(15, 8, -1)]]
        cv2.fillPoly(inside, [np.rint(outline).astype(np.int32)], 255)
        soft = cv2.GaussianBlur(inside, (0, 0), 0.02 * width).astype(np.float32) / 255
        centre = eye.iris[0] + (shift * width, 0)
        far = np.hypot(where[..., 0] - centre[0], where[..., 1] - centre[1]) / (0.45 * width)
        where[..., 0] -= shift * width * soft * np.exp(-(far**4))

    return _sampled(photo, where)


def _curve(eye: Eye, rank: slice, columns: int) -> np.ndarray:
    """Return the height of a lid at each column; both lids meet at the corners, and outside."""
    points = np.concatenate([eye.lids[[OUTER]], eye.lids[rank], eye.lids[[INNER]]])
    points = points[np.argsort(points[:, 0])]
    return np.interp(np.arange(columns), points[:, 0], points[:, 1]).astype(np.float32)


def _identity_map(photo: BgrImage) -> np.ndarray:
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]].astype(np.float32)
    return np.dstack([columns, rows])


def _sampled(photo: BgrImage, where: np.ndarray) -> BgrImage:
    no_second_map = np.empty(0, np.float32)
    return np.asarray(cv2.remap(photo, where, no_second_map, cv2.INTER_CUBIC), np.uint8)
