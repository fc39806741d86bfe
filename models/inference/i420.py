"""Video frames as they come from the decoder: three planes, half-size chroma, written in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.inference.arrays import Plane


@dataclass(frozen=True)
class I420Frame:
    """Writable views of one 8-bit YUV 4:2:0 frame: `y` [H, W], `u` and `v` [ceil(H/2), ceil(W/2)]."""

    y: Plane
    u: Plane
    v: Plane
    matrix: Literal["bt601", "bt709"] = "bt709"
    full_range: bool = False

    @property
    def width(self) -> int:
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        return int(self.y.shape[0])
