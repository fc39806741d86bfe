"""The arrays that travel through inference: dtype, shape, range and colour order, said once.

Images are uint8 in 0..255 wherever people or codecs see them, float32 in 0..1 only at the border of
a network. Positions are (x, y) in pixels, y down; the centre of the first pixel is (0, 0), as in
OpenCV's warps.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.native.kernels import kernels

BgrImage: TypeAlias = NDArray[np.uint8]
"""uint8 [H, W, 3], blue first: a whole decoded still."""

RgbImage: TypeAlias = NDArray[np.uint8]
"""uint8 [H, W, 3], red first: crops on their way to or from a network."""

Plane: TypeAlias = NDArray[np.uint8]
"""uint8 [H, W]: one plane of a video frame."""

Mask: TypeAlias = NDArray[np.float32]
"""float32 [H, W] in 0..1: how much of the swapped face shows."""

Landmarks: TypeAlias = NDArray[np.float32]
"""float32 [468, 2]: the face mesh in pixels of the image named beside it."""

FivePoints: TypeAlias = NDArray[np.float32]
"""float32 [5, 2]: left eye, right eye, nose, left and right mouth corner, as the viewer sees
them."""

Affine: TypeAlias = NDArray[np.float64]
"""float64 [2, 3]: maps a column (x, y, 1)."""

Embedding: TypeAlias = NDArray[np.float32]
"""float32 [D], L2 norm 1 after centring: who a face is."""

Box: TypeAlias = tuple[float, float, float, float]
"""left, top, right, bottom in pixels."""

Tensor: TypeAlias = NDArray[np.float32]
"""float32 of any shape: network inputs, outputs and weights."""


LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""What red, green and blue give to luma (ITU-R BT.601, as OpenCV's grey)."""

NO_MAP: Any = None
"""The second map of cv2.remap where the first has both: OpenCV 5 would read an empty array as a
map."""


def to_network(image: RgbImage) -> Tensor:
    """Return an RGB image as a network input: float32 [1, 3, H, W] in 0..1."""
    native = kernels()
    if native is not None:
        return native.planes(image)

    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    # Converted and scaled in one pass over the planes.
    return np.multiply(planes, np.float32(1 / 255), dtype=np.float32)[None]


def from_network(tensor: Tensor) -> RgbImage:
    """Return a network's float32 [1, 3, H, W] in 0..1 as an RGB image."""
    return np.asarray(
        # Rounds and saturates in one call, plane by plane, as OpenCV's kernels want them.
        cv2.merge([cv2.convertScaleAbs(plane, alpha=255) for plane in tensor[0]]),
        np.uint8,
    )


def percentile(rows: NDArray[np.float32], percent: float) -> NDArray[np.float32]:
    """Return a percentile of each column of [n, k], as numpy's does, which takes five times as long
    for the few hundred rows of an eye or a forehead.
    """
    ordered = np.sort(rows.T)
    place = (len(rows) - 1) * percent / 100
    low = ordered[:, int(place)]
    high = ordered[:, min(int(place) + 1, len(rows) - 1)]

    return low + (high - low) * np.float32(place - int(place))


def luma(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return the luma of a float32 image [H, W, 3], in its own units."""
    return np.asarray(cv2.transform(image, LUMA[None]), np.float32)  # ten times as fast as `@`
