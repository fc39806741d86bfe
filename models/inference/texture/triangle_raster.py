"""Drawing a small triangle mesh without a graphics library: all triangles at once, in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.inference.native.kernels import kernels

Array = NDArray[Any]

EDGE = 1e-3  # of a triangle: pixels on a shared edge belong to both, or cracks would show
NOWHERE = (
    -1e6
)  # so far off that the least part of it, mixed in when a map is enlarged, is outside any image


@dataclass(frozen=True)
class Raster:
    """Which triangle covers each pixel of a fixed mesh, and where inside it the pixel lies.

    `triangle` int32 [h, w]; `barycentric` float32 [h, w, 3]; `filled` bool [h, w].
    """

    triangle: NDArray[np.int32]
    barycentric: NDArray[np.float32]
    filled: NDArray[np.bool_]

    @classmethod
    def of(cls, vertices: Array, triangles: Array, size: int) -> Raster:
        """Return the raster of float32 vertices [v, 2] in pixels of a size x size image."""
        triangle = np.zeros((size, size), np.int32)
        barycentric = np.zeros((size, size, 3), np.float32)
        filled = np.zeros((size, size), np.bool_)
        hit, place, second, third = _covered(vertices[triangles], size)
        triangle.reshape(-1)[place], filled.reshape(-1)[place] = hit, True
        barycentric.reshape(-1, 3)[place] = np.stack([1 - second - third, second, third], 1)

        return cls(triangle, barycentric, filled)

    def interpolate(self, values: Array, triangles: Array) -> Array:
        """Return values [v, k] of the vertices, interpolated at every pixel [h, w, k].

        0 where nothing is.
        """
        corners = values[triangles[self.triangle]]
        return np.asarray(np.einsum("hwij,hwi->hwj", corners, self.barycentric))


def facing_ratio(vertices: Array, triangles: Array) -> Array:
    """Return twice the signed area of each triangle [t]: negative where it is seen from behind."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    return np.asarray(
        (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    )


def rasterise(vertices: Array, triangles: Array, values: Array, size: int) -> NDArray[np.float32]:
    """Return values [v, 2] of the vertices, drawn into a size x size map [size, size, 2]; NOWHERE
    where nothing is.

    Triangles seen from behind are left out; of several that cover a pixel the last one counts.
    """
    native = kernels()
    if native is None:
        return rasterise_in_numpy(vertices, triangles, values, size)
    return native.rasterised(vertices, triangles, values, size, edge=EDGE, nowhere=NOWHERE)


def rasterise_in_numpy(
    vertices: Array, triangles: Array, values: Array, size: int
) -> NDArray[np.float32]:
    """Do what `rasterise` does, without kernels."""
    hit, place, second, third = _covered(vertices[triangles], size)
    corners = values[triangles]
    origin = corners[:, 0]
    steps = np.concatenate([origin, corners[:, 1] - origin, corners[:, 2] - origin], 1)[hit]
    drawn = np.full((size * size, 2), NOWHERE, np.float32)
    drawn[place] = steps[:, :2] + steps[:, 2:4] * second[:, None] + steps[:, 4:] * third[:, None]

    return drawn.reshape(size, size, 2)


def _covered(corners: Array, size: int) -> tuple[Array, Array, Array, Array]:
    """Return, for each pixel a facing triangle covers: triangle, y * size + x, and its free
    barycentric coordinates.

    `corners` is [t, 3, 2]. Every pixel of every triangle's bounding box is tried: triangles are a
    few pixels large.
    """
    planes, facing = _edge_functions(corners)
    low = np.clip(np.ceil(corners.min(1) - EDGE), 0, size)
    spans = (
        np.maximum(np.clip(np.floor(corners.max(1) + EDGE), -1, size - 1) - low + 1, 0)
        * facing[:, None]
    )
    counts = (spans[:, 0] * spans[:, 1]).astype(np.int32)
    first = np.cumsum(counts) - counts
    # Repeating one table is several times cheaper than indexing each of its columns.
    table = np.concatenate(
        [planes, low, spans[:, :1], first[:, None], np.arange(len(low))[:, None]], 1
    )
    a2, b2, c2, a3, b3, c3, x, y, width, first, hit = np.repeat(
        table.T.astype(np.float32), counts, axis=1
    )
    within = np.arange(len(x), dtype=np.float32) - first
    row = np.floor((within + np.float32(0.5)) / width)
    x = x + within - row * width
    y = y + row
    second = a2 * x + b2 * y + c2
    third = a3 * x + b3 * y + c3
    inside = np.flatnonzero(np.minimum(np.minimum(second, third), 1 - second - third) >= -EDGE)
    place = (y[inside] * size + x[inside]).astype(np.int32)

    return hit[inside].astype(np.int32), place, second[inside], third[inside]


def _edge_functions(corners: Array) -> tuple[Array, Array]:
    """Return [t, 6], each triangle's two free barycentric coordinates as planes a x + b y + c, and
    which face us.
    """
    first = corners[:, 0]
    (x2, y2), (x3, y3) = (corners[:, 1] - first).T, (corners[:, 2] - first).T
    area = x2 * y3 - y2 * x3
    facing = area > 1e-4
    safe = np.where(facing, area, 1)
    a2, b2, a3, b3 = y3 / safe, -x3 / safe, -y2 / safe, x2 / safe
    x, y = first.T

    return np.stack([a2, b2, -(a2 * x + b2 * y), a3, b3, -(a3 * x + b3 * y)], 1), facing
