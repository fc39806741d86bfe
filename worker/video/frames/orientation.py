"""The display matrix: how a decoded frame must be turned, and perhaps mirrored, to look upright."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from numpy.typing import NDArray


@dataclass(frozen=True)
class Orientation:
    """Mirror left to right first when `mirrored`, then turn `quarter_turns` times
    counter-clockwise.
    """

    quarter_turns: int = 0
    mirrored: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Orientation:
        """Return the frame's orientation.

        A matrix that is no multiple of 90 degrees counts as the nearest one.
        """
        side_data = cast(
            "Mapping[Type, SideData]", frame.side_data
        )  # PyAV's own stub names it a dict of one key
        if Type.DISPLAYMATRIX not in side_data:
            return cls()

        return cls.from_matrix(np.frombuffer(bytes(side_data[Type.DISPLAYMATRIX]), np.int32))

    @classmethod
    def from_matrix(cls, matrix: NDArray[np.int32]) -> Orientation:
        """From the 9 fixed-point numbers (a b u c d v x y w) of ISO 14496-12: x' = a x + c y, y' =
        b x + d y.
        """
        a, b, c, d = (float(matrix[index]) for index in (0, 1, 3, 4))
        mirrored = a * d - b * c < 0

        if mirrored:
            a = -a
            b = -b

        angle = np.degrees(np.arctan2(b, a))  # clockwise as seen, since y points down
        return cls(round(-angle / 90) % 4, mirrored)

    @property
    def is_upright(self) -> bool:
        return self == Orientation()

    @property
    def swaps_sides(self) -> bool:
        return self.quarter_turns % 2 == 1

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after turning."""
        return (height, width) if self.swaps_sides else (width, height)

    def apply(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a view of `plane` [H, W] as it should be seen."""
        return np.rot90(plane[:, ::-1] if self.mirrored else plane, self.quarter_turns)
