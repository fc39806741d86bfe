"""Moving pixels between a frame and a square crop, touching no more of the frame than the crop
covers.

`to_crop` maps frame pixels to crop pixels. Both directions shrink by area first where several
pixels fall on one: a bilinear warp alone would alias, which shows as shimmer in video.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Affine, Box, Mask, Plane
from models.inference.frames.affine import compose, invert, scale_of
from models.inference.native.kernels import kernels

Pixels = NDArray[Any]

MASK_LEVELS = 128  # seven bits: the product with a difference of two bytes still fits int16


@dataclass(frozen=True)
class Region:
    """A rectangle of whole pixels inside a frame; right and bottom are excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top

    def of(self, image: Pixels) -> Pixels:
        """Return the view of `image` that this region covers."""
        return image[self.top : self.bottom, self.left : self.right]

    def halved(self) -> Region:
        """Return the region of a half-size chroma plane; edges must be even, or the frame's own."""
        return Region(self.left // 2, self.top // 2, (self.right + 1) // 2, (self.bottom + 1) // 2)

    def within(self, outer: Region) -> Region:
        """Return the region in the pixels of `outer`, which holds it."""
        return Region(
            self.left - outer.left,
            self.top - outer.top,
            self.right - outer.left,
            self.bottom - outer.top,
        )

    def enlarged(self, factor: int) -> Region:
        """Return the region of an image that is `factor` times as large."""
        return Region(
            self.left * factor, self.top * factor, self.right * factor, self.bottom * factor
        )

    def to_crop(self, factor: int = 1) -> Affine:
        """Return the matrix from the image to this region of it, `factor` times as large."""
        middle = (factor - 1) / 2  # of the small pixels that one becomes
        return np.array(
            [
                [factor, 0, middle - factor * self.left],
                [0, factor, middle - factor * self.top],
            ],
            np.float64,
        )

    def box(self) -> Box:
        return float(self.left), float(self.top), float(self.right), float(self.bottom)


def covered_region(
    to_crop: Affine, crop_box: Box, width: int, height: int, multiple: int = 1
) -> Region | None:
    """Return the part of a frame that maps into `crop_box`, its edges grown to a multiple.

    None if there is none.
    """
    left, top, right, bottom = crop_box
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    inverse = invert(to_crop)
    mapped = corners @ inverse[:, :2].T + inverse[:, 2]
    low = np.floor(mapped.min(axis=0)).astype(int)
    high = np.ceil(mapped.max(axis=0)).astype(int) + 1
    x0, y0 = (max(0, int(v)) // multiple * multiple for v in low)
    x1, y1 = (-(-int(v) // multiple) * multiple for v in high)
    x1 = min(x1, width)
    y1 = min(y1, height)

    return Region(x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def sample(
    image: Pixels, to_crop: Affine, size: int, *, extend: bool = False, outside: int = 0
) -> Pixels:
    """Return the size x size crop of an image or plane.

    What lies past the image has the value `outside`, or goes on as the image's edge if `extend`
    says so.
    """
    border = cv2.BORDER_REPLICATE if extend else cv2.BORDER_CONSTANT
    shrink = int(1 / scale_of(to_crop))
    region = (
        covered_region(to_crop, (0, 0, size, size), image.shape[1], image.shape[0], shrink)
        if shrink > 1
        else None
    )

    if region is None:
        return np.asarray(
            cv2.warpAffine(
                image, to_crop, (size, size), borderMode=border, borderValue=[outside] * 4
            )
        )

    width, height = (max(1, length // shrink) for length in region.size)
    covered = region.of(image)[: height * shrink, : width * shrink]
    small = cv2.resize(covered, (width, height), interpolation=cv2.INTER_AREA)
    from_small = compose(to_crop, _enlarge(shrink, region))

    return np.asarray(
        cv2.warpAffine(
            small, from_small, (size, size), borderMode=border, borderValue=[outside] * 4
        )
    )


def place(crop: Pixels, to_crop: Affine, region: Region, flags: int = cv2.INTER_LINEAR) -> Pixels:
    """Return the crop as it lies over `region` of the frame.

    Its edge pixels are continued outwards.
    """
    shrink = int(scale_of(to_crop))
    if shrink > 1:
        width, height = (max(1, length // shrink) for length in crop.shape[1::-1])
        x = width / crop.shape[1]
        y = height / crop.shape[0]
        crop = cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)
        to_crop = compose(np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]]), to_crop)

    from_region = compose(to_crop, np.array([[1.0, 0, region.left], [0, 1.0, region.top]]))
    warp = flags | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(crop, from_region, region.size, flags=warp, borderMode=cv2.BORDER_REPLICATE)
    )


def mask_levels(mask: Mask) -> Plane:
    """Return a mask as whole numbers 0..128, the form `blend` takes.

    Its edge is 0, so that it can be continued.
    """
    levels: Plane = np.asarray(cv2.convertScaleAbs(mask, alpha=MASK_LEVELS), np.uint8)
    levels[[0, -1]] = 0
    levels[:, [0, -1]] = 0

    return levels


def mask_box(levels: Plane) -> Box | None:
    """Return the box of the crop where a mask is above 0, with a pixel around it for
    interpolation.
    """
    x, y, width, height = cv2.boundingRect(levels)
    return (x - 1.0, y - 1.0, x + width + 1.0, y + height + 1.0) if width else None


def blend(target: Pixels, face: Pixels, levels: Pixels) -> None:
    """Mix `face` into the uint8 view `target` in place, by `levels` in 128ths.

    Level 0 leaves a pixel as it is.
    """
    native = kernels()
    if native is not None:
        return native.blend(target, face, levels)

    difference: NDArray[np.int16] = cv2.subtract(face, target, dtype=cv2.CV_16S)  # type: ignore[assignment]
    weights = levels.astype(np.int16)
    np.multiply(difference, weights if target.ndim == 2 else weights[..., None], out=difference)
    difference += MASK_LEVELS // 2
    difference >>= 7
    cv2.add(target, difference, dst=target, dtype=cv2.CV_8U)


def _enlarge(shrink: int, region: Region) -> Affine:
    """Map pixels of a region that was shrunk by area back to the frame, centre to centre."""
    offset = (shrink - 1) / 2
    return np.array(
        [[shrink, 0, region.left + offset], [0, shrink, region.top + offset]], np.float64
    )
