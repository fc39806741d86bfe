"""When a face cannot be swapped well, and how it then fades instead of smearing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.inference.finding.face_mesh import MeshedFace
from models.inference.frames.frame import Frame
from models.inference.options import SkipReason, SwapOptions

FADE_S = 0.2
GAP_S = 0.5  # who was away for longer comes back like someone new
MIN_SHARE_IN_FRAME = 0.8  # of the mesh: a face half out of the picture has no reliable mesh
MIN_MESH_SCORE = 0.85  # hands and microphones pull it down; an open face has .99 and more


def skip_reason(face: MeshedFace, frame: Frame, options: SwapOptions) -> SkipReason | None:
    """Return why a face is better left alone, or None."""
    if face.eye_px < options.min_face_px:
        return "too_small"
    if abs(face.yaw_deg) > options.max_yaw_deg:
        return "too_turned"
    inside = (face.landmarks >= 0) & (face.landmarks < [frame.width, frame.height])
    if float(np.mean(inside.all(axis=1))) < MIN_SHARE_IN_FRAME:
        return "cut_off"
    return "occluded" if face.score < MIN_MESH_SCORE else None


@dataclass
class Fade:
    """The opacity of one person's swap, which moves towards shown or hidden over a fifth of a
    second.
    """

    opacity: float = field(default=0.0, init=False)
    _time_s: float | None = field(default=None, init=False)

    def jump(self, time_s: float, *, shown: bool) -> None:
        """Be there, or not, at once: after a cut nobody saw the face before."""
        self.opacity, self._time_s = float(shown), time_s

    def step(self, time_s: float, *, shown: bool) -> float:
        """Return the opacity for the frame at `time_s`."""
        elapsed = 0.0 if self._time_s is None else max(0.0, time_s - self._time_s)
        self._time_s = time_s
        if elapsed > GAP_S:
            self.opacity, elapsed = 0.0, 0.0
        change = min(1.0, elapsed / FADE_S)
        self.opacity = min(1.0, self.opacity + change) if shown else max(0.0, self.opacity - change)
        return self.opacity
