"""The kernels as functions of arrays; `kernels()` is None where they are not built.

Every caller has the same in numpy beside it, and a test that both agree. What is handed in is
checked here, once: C believes what it is told.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.inference.native.library import library

Array = NDArray[Any]
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

# numpy's own check: of this type and in one piece, or the call raises.
BYTES = np.ctypeslib.ndpointer(np.uint8, flags="C_CONTIGUOUS")
FLOATS = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")
INTS = np.ctypeslib.ndpointer(np.int32, flags="C_CONTIGUOUS")
PLACE = ctypes.c_void_p  # of rows that may lie apart
INT = ctypes.c_int
LONG = ctypes.c_ssize_t
FLOAT = ctypes.c_float
# Rows that lie on the kernels' stacks.
MOST_SIDE = 512
MOST_WIDTH = 1024
MOST_FACTOR = 3

SIGNATURES: dict[str, Sequence[Any]] = {
    "rasterise": (FLOATS, INTS, INT, FLOATS, INT, FLOAT, FLOAT, FLOATS),
    "to_planes": (BYTES, INT, FLOATS),
    "to_framed_planes": (BYTES, BYTES, INT, INT, FLOAT, FLOATS),
    "blended_face": (BYTES, BYTES, FLOATS, FLOATS, INT, BYTES),
    "blend": (PLACE, LONG, PLACE, LONG, PLACE, LONG, INT, INT, INT),
    "lit": (BYTES, FLOATS, INT, FLOATS, FLOATS, FLOAT, INT, BYTES),
    "sharpened": (BYTES, BYTES, INT, FLOAT, FLOAT, BYTES),
    "grained": (BYTES, BYTES, BYTES, INT, FLOAT, FLOAT, BYTES),
    "times_band": (BYTES, BYTES, FLOATS, INT),
    "band_at": (BYTES, INT, PLACE, LONG, INT, INT, INT, INT, INT, BYTES),
}


@dataclass(frozen=True)
class Kernels:
    """The library's functions, given and giving numpy arrays."""

    library: ctypes.CDLL

    def rasterised(
        self,
        vertices: Array,
        triangles: Array,
        values: Array,
        size: int,
        *,
        edge: float,
        nowhere: float,
    ) -> Floats:
        """Return a mesh drawn into a map [size, size, 2]: see `triangle_raster.rasterise`."""
        points = _floats(vertices, (len(vertices), 2))
        drawn = _floats(values, (len(vertices), 2))
        corners = np.ascontiguousarray(triangles, np.int32)
        if corners.min() < 0 or corners.max() >= len(points):
            raise ValueError("a triangle has a corner that is no vertex")

        out = np.empty((size, size, 2), np.float32)
        self.library.rasterise(points, corners, len(corners), drawn, size, edge, nowhere, out)
        return out

    def planes(self, image: Bytes) -> Floats:
        """Return an RGB image [h, w, 3] as [1, 3, h, w] in 0..1."""
        height, width = image.shape[:2]
        pixels = _bytes(image, (height, width, 3))
        out = np.empty((1, 3, height, width), np.float32)
        self.library.to_planes(pixels, height * width, out)
        return out

    def framed_planes(self, target: Bytes, texture: Bytes, count: int, grey: float) -> Floats:
        """Return two RGB images [s, s, 3] as the first six of `count` planes [1, count, s + 2,
        s + 2] in 0..1; their rim and the other planes are `grey`.
        """
        size = len(target)
        own = _bytes(target, (size, size, 3))
        shown = _bytes(texture, (size, size, 3))
        if count < 6:
            raise ValueError(f"{count} planes do not hold two images")

        out = np.empty((1, count, size + 2, size + 2), np.float32)
        self.library.to_framed_planes(own, shown, size, count, grey, out)
        return out

    def blended_face(
        self, target: Bytes, texture: Bytes, weight: Floats, residual: Floats
    ) -> Bytes:
        """Return the face [s, s, 3] that a blend head's maps make of target and texture.

        `weight` is [1, 4, s/2, s/2], `residual` [1, 12, s/2, s/2].
        """
        size = len(target)
        half = size // 2
        if size > MOST_SIDE:
            raise ValueError(f"{size} px are more than {MOST_SIDE}")

        own = _bytes(target, (2 * half, 2 * half, 3))
        shown = _bytes(texture, own.shape)
        share = _floats(weight, (1, 4, half, half))
        more = _floats(residual, (1, 12, half, half))
        out = np.empty_like(own)
        self.library.blended_face(own, shown, share, more, half, out)
        return out

    def blend(self, target: Bytes, face: Bytes, levels: Bytes) -> None:
        """Mix `face` into the view `target` in place, by `levels` in 128ths: all of one height and
        width, of one or three channels, rows may lie apart.
        """
        height, width = levels.shape
        channels = 1 if target.ndim == 2 else target.shape[2]
        if target.shape != face.shape or target.shape[:2] != levels.shape:
            raise ValueError("target, face and levels are of different sizes")
        if channels not in (1, 3):
            raise ValueError("images have one channel or three")

        self.library.blend(
            _rows(target), target.strides[0], _rows(face), face.strides[0],
            _rows(levels), levels.strides[0], width, height, channels,
        )  # fmt: skip

    def lit(self, drawn: Bytes, gain: Floats, tones: Floats, colours: Floats, most: float) -> Bytes:
        """Return a drawn face [s, s, 3] in another light, its colours before that at most `most`:
        see `relighting`.
        """
        size = len(drawn)
        grid = len(gain)
        if size % grid or size > MOST_SIDE:
            raise ValueError(f"{size} px is no multiple of {grid}, or more than {MOST_SIDE}")

        pixels = _bytes(drawn, (size, size, 3))
        light = _floats(gain, (grid, grid, 3))
        curve = _floats(tones, (256,))
        matrix = _floats(colours, (3, 3))
        out = np.empty_like(pixels)
        self.library.lit(pixels, light, grid, curve, matrix, most, size, out)
        return out

    def sharpened(self, face: Bytes, blur: Bytes, more: float, most: float) -> Bytes:
        """Return a face with `more` of what its blur lacks, at most `most` levels of it."""
        pixels = _bytes(face, face.shape)
        soft = _bytes(blur, face.shape)
        out = np.empty_like(pixels)
        self.library.sharpened(pixels, soft, pixels.size, more, most, out)
        return out

    def grained(self, face: Bytes, grey: Bytes, blur: Bytes, share: float, most: float) -> Bytes:
        """Return a face [h, w, 3] with a share of what `grey` [h, w] has beside its own blur."""
        pixels = _bytes(face, (*grey.shape, 3))
        plane = _bytes(grey, grey.shape)
        soft = _bytes(blur, grey.shape)
        out = np.empty_like(pixels)
        self.library.grained(pixels, plane, soft, plane.size, share, most, out)
        return out

    def times_band(self, face: Bytes, band: Bytes, factors: Floats) -> None:
        """Multiply a face [h, w, 3] in place by one of 256 factors for each byte of `band`."""
        if face.shape != (*band.shape, 3):
            raise ValueError("the band is not of the face's size")

        fine = _bytes(band, band.shape)
        self.library.times_band(face, fine, _floats(factors, (256,)), fine.size)

    def band_at(self, band: Bytes, where: Floats, factor: int, texels: int, outside: int) -> Bytes:
        """Return a band [b, b] at the places of a map [h, w, 2], `factor` times as fine; a texel of
        the map is `texels` of the band.
        """
        side = len(band)
        height, width = where.shape[:2]
        pixels = _bytes(band, (side, side))
        if where.dtype != np.float32 or where.strides[1:] != (8, 4) or where.shape[2] != 2:
            raise ValueError("a map is float32, and its rows lie in one piece")
        if width > MOST_WIDTH or factor > MOST_FACTOR:
            raise ValueError(f"{width} px, {factor} times as fine, are too many for one row")

        out = np.empty((height * factor, width * factor), np.uint8)
        self.library.band_at(
            pixels, side, where.ctypes.data, where.strides[0] // 4,
            width, height, factor, texels, outside, out,
        )  # fmt: skip
        return out


@cache
def kernels() -> Kernels | None:
    """Return the kernels, None where they are not built: then numpy does the same."""
    loaded = library()
    if loaded is None:
        return None

    for name, signature in SIGNATURES.items():
        function = getattr(loaded, name)
        function.argtypes = signature
        function.restype = None

    return Kernels(loaded)


def _rows(image: Bytes) -> int:
    """Return where an image begins whose rows may lie apart."""
    inner = (1,) if image.ndim == 2 else (image.shape[-1], 1)
    if image.dtype != np.uint8 or image.strides[1:] != inner:
        raise ValueError("rows of bytes must lie in one piece")
    return int(image.ctypes.data)


def _bytes(image: Array, shape: tuple[int, ...]) -> Bytes:
    """Return an image of this shape in one piece."""
    if image.dtype != np.uint8 or image.shape != shape:
        raise ValueError(f"{image.dtype} {image.shape} is not uint8 {shape}")
    return np.ascontiguousarray(image)


def _floats(values: Array, shape: tuple[int, ...]) -> Floats:
    """Return values of this shape as float32 in one piece."""
    if values.shape != shape:
        raise ValueError(f"{values.shape} is not {shape}")
    return np.ascontiguousarray(values, np.float32)
