"""Drawing a small triangle mesh without a graphics library: all triangles at once, in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

EDGE = 1e-3  # of a triangle: pixels on a shared edge belong to both, or cracks would show
NOWHERE = -1e4  # so far off that even a sixteenth of it, mixed in when a map is enlarged, is outside any image


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
        triangle, barycentric = np.zeros((size, size), np.int32), np.zeros((size, size, 3), np.float32)
        filled = np.zeros((size, size), np.bool_)
        hit, x, y, second, third = _covered(vertices, triangles, size)
        triangle[y, x], filled[y, x] = hit, True
        barycentric[y, x] = np.stack([1 - second - third, second, third], 1)
        return cls(triangle, barycentric, filled)

    def interpolate(self, values: Array, triangles: Array) -> Array:
        """Return values [v, k] of the vertices, interpolated at every pixel [h, w, k]; 0 where nothing is."""
        corners = values[triangles[self.triangle]]
        return np.asarray(np.einsum("hwij,hwi->hwj", corners, self.barycentric))


def facing_ratio(vertices: Array, triangles: Array) -> Array:
    """Return twice the signed area of each triangle [t]: negative where it is seen from behind."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    return np.asarray((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]))


def rasterise(vertices: Array, triangles: Array, values: Array, size: int) -> NDArray[np.float32]:
    """Return values [v, 2] of the vertices, drawn into a size x size map [size, size, 2]; NOWHERE where nothing is.

    Triangles seen from behind are left out; of several that cover a pixel the last one counts.
    """
    hit, x, y, second, third = _covered(vertices, triangles, size)
    corners = values[triangles]
    origin, to_second, to_third = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    drawn = np.full((size, size, 2), NOWHERE, np.float32)
    drawn[y, x] = origin[hit] + to_second[hit] * second[:, None] + to_third[hit] * third[:, None]
    return drawn


def _covered(vertices: Array, triangles: Array, size: int) -> tuple[Array, Array, Array, Array, Array]:
    """Return, for each pixel a facing triangle covers: triangle, x, y and its two free barycentric coordinates."""
    corners = vertices[triangles].astype(np.float32)
    area = facing_ratio(vertices, triangles)
    low = np.clip(np.ceil(corners.min(1) - EDGE), 0, size).astype(np.int32)
    spans = np.clip(np.floor(corners.max(1) + EDGE), -1, size - 1).astype(np.int32) - low + 1
    spans = np.where(area[:, None] > 1e-4, np.maximum(spans, 0), 0)
    counts = spans[:, 0] * spans[:, 1]
    hit = np.repeat(np.arange(len(triangles)), counts)
    within = np.arange(len(hit)) - np.repeat(np.cumsum(counts) - counts, counts)
    row, column = np.divmod(within, spans[hit, 0])
    x, y = low[hit, 0] + column, low[hit, 1] + row
    edges = _edge_functions(corners, area)[hit]
    second = edges[:, 0] * x + edges[:, 1] * y + edges[:, 2]
    third = edges[:, 3] * x + edges[:, 4] * y + edges[:, 5]
    inside = (second >= -EDGE) & (third >= -EDGE) & (second + third <= 1 + EDGE)
    return hit[inside], x[inside], y[inside], second[inside], third[inside]


def _edge_functions(corners: Array, area: Array) -> Array:
    """Return [t, 6]: each triangle's two free barycentric coordinates as planes a x + b y + c."""
    first, second, third = corners[:, 0], corners[:, 1], corners[:, 2]
    to_second, to_third = second - first, third - first
    safe = np.where(np.abs(area) > 1e-4, area, 1)
    a2, b2 = to_third[:, 1] / safe, -to_third[:, 0] / safe
    a3, b3 = -to_second[:, 1] / safe, to_second[:, 0] / safe
    planes = [a2, b2, -(a2 * first[:, 0] + b2 * first[:, 1]), a3, b3, -(a3 * first[:, 0] + b3 * first[:, 1])]
    return np.stack(planes, 1).astype(np.float32)
