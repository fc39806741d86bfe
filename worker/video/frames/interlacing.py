"""Interlaced frames to whole ones: two fields, half a frame apart in time, show as combs."""

from __future__ import annotations

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

# A line that is brighter, or darker, than both its neighbours by ten grey levels is of another
# field: what noise and fine patterns do within one is less.
COMB_LEVELS = 10
_AROUND = np.ones((1, 7), np.uint8)  # pixels beside a comb belong to the same moving edge


def deinterlace(frame: VideoFrame) -> None:
    """Replace, in the writable yuv420p `frame`, what shows as combs by the lines above and below.

    The first field stays as it is; what does not move keeps all its lines.
    """
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        _comb_out(rows[: plane.height, : plane.width])


def _comb_out(pixels: NDArray[np.uint8]) -> None:
    above = pixels[0:-2:2].astype(np.int16)
    below = pixels[2::2].astype(np.int16)
    between = pixels[1:-1:2]
    up = between.astype(np.int16) - above
    down = between.astype(np.int16) - below
    same_side = (up > COMB_LEVELS) & (down > COMB_LEVELS)
    same_side |= (up < -COMB_LEVELS) & (down < -COMB_LEVELS)
    combed = cv2.dilate(same_side.astype(np.uint8), _AROUND) > 0
    between[combed] = ((above + below + 1) >> 1).astype(np.uint8)[combed]
