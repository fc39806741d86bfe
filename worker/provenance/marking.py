"""Marks one task's images and frames, and keeps fingerprints of what it marked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.provenance.fingerprint import fingerprint
from worker.provenance.mark import Plane, VideoMark, draw_in_image
from worker.provenance.mark_code import TILE, MarkTile
from worker.provenance.order import ProvenanceOrder

# A moment that is cut out of a video is longer than this as a rule.
FINGERPRINT_EVERY_S = 1.0


@dataclass
class Marking:
    """Draws the mark of a `ProvenanceOrder`; one for each task, used by one thread.

    `hashes` are 64-bit fingerprints, one a second.
    """

    tile: MarkTile
    strength: int
    hashes: list[int] = field(default_factory=list, init=False)
    _video: VideoMark = field(init=False)
    _next_hash_s: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        self._video = VideoMark(self.tile, self.strength)

    @classmethod
    def of(cls, order: ProvenanceOrder) -> Marking:
        """Return the marking that an order asks for."""
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(order.tile), np.uint8))
        chips = bits.reshape(TILE, TILE).astype(np.int8) * 2 - 1
        return cls(tile=MarkTile(chips=chips, shift=order.shift), strength=order.strength)

    def mark_image(self, image: NDArray[Any], time_s: float = 0.0) -> None:
        """Mark a BGR image or a frame of an animation in place, uint8 or uint16 [H, W, 3 or 4]."""
        # Before the fingerprint: it is of what is delivered.
        draw_in_image(image, self.tile)
        if self._is_due(time_s):
            small = cv2.resize(image[..., :3], (64, 64), interpolation=cv2.INTER_AREA)
            levels = small if small.dtype == np.uint8 else (small / 257).astype(np.uint8)
            self.hashes.append(fingerprint(np.asarray(cv2.cvtColor(levels, cv2.COLOR_BGR2GRAY))))

    def mark_frame(self, luma: Plane, time_s: float) -> None:
        """Mark the luma plane uint8 [H, W] of a video frame in place."""
        self._video.draw(luma)
        if self._is_due(time_s):
            self.hashes.append(fingerprint(luma))

    def _is_due(self, time_s: float) -> bool:
        if time_s < self._next_hash_s:
            return False
        self._next_hash_s = time_s + FINGERPRINT_EVERY_S
        return True


def tile_in_hex(tile: MarkTile) -> str:
    """Return a tile's signs as `ProvenanceOrder.tile` has them."""
    return np.packbits(tile.chips.ravel() > 0).tobytes().hex()
